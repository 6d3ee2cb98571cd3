"""What an invoker makes of requests before its machines see them."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from perdure.bus.messages import VERSION, Invoke, OwnerRequest, OwnerRequests, encode
from perdure.bus.subjects import Subjects
from perdure.sim.loop import SimRandom
from services.invoker.machine.events import RequestReceived
from services.invoker.requests import Requests
from tests.unit.invoker.builders import a_target, an_id

ADOPTIONS = 7


class FakeBus:
    """Hands the receiver of the invoker's requests to the test."""

    def __init__(self) -> None:
        self.receivers: dict[str, Any] = {}

    async def subscribe(self, subject: str, receiver: Any) -> None:
        self.receivers[subject] = receiver

    def publish(self, subject: str, payload: bytes, *, reply: str = "") -> None:
        raise AssertionError(subject)


class FakeOwner:
    """Owns one partition, and keeps what it is fed."""

    invoker_id = "invoker"
    adoptions = ADOPTIONS

    def __init__(self) -> None:
        self.partitions = {0: SimpleNamespace(is_closing=False, view=SimpleNamespace(lives={}))}
        self.fed: list[OwnerRequest] = []

    def partition_of(self, _invocation_id: bytes) -> int:
        return 0

    def feed(self, _partition: int, event: RequestReceived) -> bool:
        self.fed.append(event.request)
        return True


def taken(generation: int) -> list[OwnerRequest]:
    """Return what a machine is given of a request that claims to be fresh."""
    owner, bus = FakeOwner(), FakeBus()

    async def receive() -> None:
        requests = Requests(
            owner=owner,  # type: ignore[arg-type]
            bus=bus,  # type: ignore[arg-type]
            subjects=Subjects(),
            clock=SimpleNamespace(now_ms=lambda: 0),  # type: ignore[arg-type]
            random=SimRandom(1, "requests"),
            invocations_max=10,
        )
        await requests.subscribe()
        invoke = Invoke(1, an_id(1), a_target(), b"", [], wants_result=True, is_fresh=True)
        bus.receivers["perdure.owner.invoker"](encode(OwnerRequests(VERSION, "reply", [invoke], generation)), "reply")

    asyncio.run(receive())
    return owner.fed


@pytest.mark.parametrize(("generation", "is_fresh"), [(ADOPTIONS, True), (ADOPTIONS - 1, False), (-1, False)])
def test_a_request_is_fresh_only_for_an_owner_that_has_taken_no_partition_since_it_was_sent(generation: int, *, is_fresh: bool) -> None:
    [request] = taken(generation)
    assert isinstance(request, Invoke)
    assert request.is_fresh is is_fresh
