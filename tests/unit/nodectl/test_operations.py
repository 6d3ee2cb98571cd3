"""What operators change: what reaches the processes and the store, and what is refused."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from perdure.base.clock import SystemClock, SystemRandom
from perdure.base.errors import StoreError
from perdure.bus.interface import NoResponders
from perdure.bus.messages import VERSION, Doorbell, Drain, Heartbeat, encode
from perdure.process.runtime import Runtime
from perdure.store.embedded.store import open_embedded
from perdure.store.keyspace import Keyspace
from perdure.store.placements import read_placements
from services.nodectl.config import NodectlConfig
from services.nodectl.operations import Operations
from services.nodectl.refusal import Refused
from tests.unit.admin.harness import MemoryBus

KEYS = Keyspace("test")
PARTITIONS = 4


class AnsweringBus(MemoryBus):
    """Answers requests as `reply` does."""

    def __init__(self, reply: Callable[[], bytes]) -> None:
        super().__init__()
        self.requested: list[tuple[str, bytes]] = []
        self._reply = reply

    async def request(self, subject: str, payload: bytes, *, timeout_s: float) -> bytes:
        self.requested.append((subject, payload))
        return self._reply()


class Node:
    """Operations of a node that has heard of two invokers and an ingress."""

    def __init__(self, runtime: Runtime[NodectlConfig], bus: AnsweringBus) -> None:
        self.runtime = runtime
        self.bus = bus
        self._operations = Operations(runtime, KEYS, PARTITIONS)
        for process_id in ("invoker-1", "invoker-2", "ingress-1"):
            self.hear(process_id)

    def hear(self, process_id: str, **options: Any) -> None:
        role = process_id.partition("-")[0]
        self.runtime.peers.receive(encode(Heartbeat(VERSION, role, process_id, "", "1", 0, **options)))

    async def put(self, path: str, query: bytes = b"", token: bytes = b"") -> Any:
        return await self._operations.carry_out(path, query, [(b"authorization", b"Bearer " + token)] if token else [])

    async def refusal(self, path: str, query: bytes = b"", token: bytes = b"") -> tuple[int, str]:
        with pytest.raises(Refused) as caught:
            await self.put(path, query, token)
        return caught.value.status, caught.value.message

    async def placements(self) -> dict[int, str]:
        return await self.runtime.store.read(lambda tr: read_placements(tr, KEYS))


def nobody() -> bytes:
    raise NoResponders


def silence() -> bytes:
    raise TimeoutError


@asynccontextmanager
async def a_node(directory: Path, *, reply: Callable[[], bytes] = bytes, auth_token: str = "") -> AsyncIterator[Node]:
    bus, store = AnsweringBus(reply), open_embedded(str(directory / "store.db"))
    config = NodectlConfig(root="test", auth_token=auth_token)
    try:
        yield Node(
            Runtime(
                role="nodectl", process_id="nodectl-1", config=config, clock=SystemClock(), random=SystemRandom(), bus=bus, store=store
            ),
            bus,
        )
    finally:
        await store.close()


def test_a_process_is_told_to_drain(tmp_path: Path) -> None:
    async def test() -> None:
        async with a_node(tmp_path) as node:
            assert await node.put("/drain", b"process=invoker-1") == {"process_id": "invoker-1", "role": "invoker"}
            assert node.bus.requested == [("test.drain.invoker-1", encode(Drain(VERSION)))]

    asyncio.run(test())


@pytest.mark.parametrize(("reply", "status"), [(nobody, 404), (silence, 504)])
def test_a_process_that_does_not_take_it_is_no_success(tmp_path: Path, reply: Callable[[], bytes], status: int) -> None:
    async def test() -> None:
        async with a_node(tmp_path, reply=reply) as node:
            assert (await node.refusal("/drain", b"process=ingress-1"))[0] == status

    asyncio.run(test())


def test_an_invoker_is_drained_only_while_another_can_take_its_partitions(tmp_path: Path) -> None:
    async def test() -> None:
        async with a_node(tmp_path) as node:
            node.hear("invoker-2", is_draining=True)
            assert (await node.refusal("/drain", b"process=invoker-1"))[0] == 409
            node.hear("invoker-3")
            await node.put("/drain", b"process=invoker-1")

    asyncio.run(test())


def test_a_move_is_a_word_in_the_store_and_a_bell(tmp_path: Path) -> None:
    async def test() -> None:
        async with a_node(tmp_path) as node:
            await node.put("/move", b"partition=3&process=invoker-2")
            await node.put("/move", b"partition=0&process=invoker-1")
            assert await node.placements() == {3: "invoker-2", 0: "invoker-1"}
            await node.put("/move", b"partition=3")
            assert await node.placements() == {0: "invoker-1"}
            assert node.bus.published[-1] == ("test.doorbell", encode(Doorbell(VERSION, [3])))

    asyncio.run(test())


@pytest.mark.parametrize(
    ("query", "status"),
    [
        (b"partition=4&process=invoker-1", 400),
        (b"partition=-1&process=invoker-1", 400),
        (b"partition=%C2%B2&process=invoker-1", 400),
        (b"process=invoker-1", 400),
        (b"partition=1&process=ingress-1", 400),
        (b"partition=1&process=invoker-9", 404),
        (b"partition=1&process=invoker-3", 409),
    ],
)
def test_a_move_that_cannot_be_is_refused(tmp_path: Path, query: bytes, status: int) -> None:
    async def test() -> None:
        async with a_node(tmp_path) as node:
            node.hear("invoker-3", is_draining=True)
            assert (await node.refusal("/move", query))[0] == status
            assert await node.placements() == {}

    asyncio.run(test())


def test_a_store_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_fn: object) -> None:
        raise StoreError("out of order")

    async def test() -> None:
        async with a_node(tmp_path) as node:
            monkeypatch.setattr(node.runtime.store, "transact", fail)
            status, message = await node.refusal("/move", b"partition=1&process=invoker-1")
            assert (status, "out of order" in message) == (503, True)

    asyncio.run(test())


@pytest.mark.parametrize("path", ["/drain", "/move", "/log-level"])
def test_every_operation_wants_the_token(tmp_path: Path, path: str) -> None:
    async def test() -> None:
        async with a_node(tmp_path, auth_token="secret") as node:
            assert [(await node.refusal(path, token=token))[0] for token in (b"", b"secre", b"secrets")] == [401, 401, 401]
            assert (await node.refusal(path, token=b"secret"))[0] != 401

    asyncio.run(test())
