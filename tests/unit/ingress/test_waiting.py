"""Waiting requests: batches, repeats, owners that refuse, move and die; on virtual time."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable

import pytest

from perdure.base.ids import InvocationId, invocation_id
from perdure.bus.messages import (
    Accepted,
    Attach,
    Completed,
    GetOutput,
    Invoke,
    NotFound,
    NotOwner,
    NotReady,
    Overloaded,
    SendSignalTo,
)
from perdure.model.result import Success
from perdure.model.target import HandlerType, Target
from perdure.sim.loop import VirtualLoop
from services.ingress.waiting import MESSAGE_BYTES_MAX, Request, Waiting, batches
from tests.unit.ingress.builders import PARTITIONS, PROCESS_ID, SUBJECTS, RecordingBus

TARGET = Target("Svc", "echo", None, HandlerType.PLAIN)
DONE = Success(b"done")


class Bench:
    """A `Waiting` on a bus, with what it reports as orphans."""

    def __init__(self) -> None:
        self.bus = RecordingBus()
        self.orphans: list[bytes] = []
        self.waiting = Waiting(
            bus=self.bus, subjects=SUBJECTS, process_id=PROCESS_ID, partitions=PARTITIONS, on_orphan_blob=self.orphans.append
        )

    def an_invoke(self, partition: int = 0, *, wants_result: bool = True, is_fresh: bool = True, body: bytes = b"1") -> Invoke:
        return Invoke(self.waiting.next_request_id(), an_id(partition), TARGET, body, (), wants_result, is_fresh=is_fresh)


def an_id(partition: int) -> InvocationId:
    return invocation_id((partition << 64) // PARTITIONS + 1, bytes(15) + b"\x01")


def run(scenario: Callable[[Bench], Awaitable[None]]) -> None:
    async def main() -> None:
        bench = Bench()
        await bench.waiting.start()
        await scenario(bench)
        await bench.waiting.stop()

    VirtualLoop().run(main())


async def turn() -> None:
    """Let everything that is ready run."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_requests_of_one_turn_leave_in_one_message_for_each_owner() -> None:
    async def scenario(bench: Bench) -> None:
        bench.bus.announce("a", [0, 1], 1)
        bench.bus.announce("b", [2, 3], 1)
        asked = [bench.an_invoke(partition) for partition in (0, 2, 1, 3, 0)]
        for request in asked:
            bench.waiting.ask(request)
        await turn()
        assert bench.bus.taken("a") == [[asked[0], asked[2], asked[4]]]
        assert bench.bus.taken("b") == [[asked[1], asked[3]]]

    run(scenario)


def test_a_batch_is_cut_to_fit_a_message_and_keeps_its_order() -> None:
    requests: list[Request] = [Invoke(number, an_id(0), TARGET, bytes(400_000), (), True) for number in range(5)]
    cut = batches(requests)
    assert [len(part) for part in cut] == [2, 2, 1]
    assert [request for part in cut for request in part] == requests


def test_one_request_above_the_limit_still_leaves_alone() -> None:
    big = SendSignalTo(1, an_id(0), 17, None, Success(bytes(MESSAGE_BYTES_MAX)))
    small = GetOutput(2, an_id(0))
    assert batches([small, big, small]) == [[small], [big], [small]]


def test_the_reply_reaches_its_caller() -> None:
    async def scenario(bench: Bench) -> None:
        bench.bus.announce("a", [0], 1)
        first, second = bench.an_invoke(), bench.an_invoke()
        futures = [bench.waiting.ask(first), bench.waiting.ask(second)]
        bench.bus.reply(Completed(second.request_id, DONE), NotReady(first.request_id))
        assert await futures[1] == Completed(second.request_id, DONE)
        assert await futures[0] == NotReady(first.request_id)
        assert len(bench.waiting) == 0

    run(scenario)


def test_requests_without_an_owner_wait_for_its_announcement() -> None:
    async def scenario(bench: Bench) -> None:
        request = bench.an_invoke(1)
        bench.waiting.ask(request)
        await turn()
        assert bench.bus.published == []
        assert bench.waiting.parked == 1
        bench.bus.announce("a", [1], 1)
        await turn()
        assert bench.bus.taken("a") == [[request]], "it was never sent, so it is still fresh"
        assert bench.waiting.parked == 0

    run(scenario)


def test_a_heartbeat_serves_where_no_announcement_was_heard() -> None:
    async def scenario(bench: Bench) -> None:
        request = bench.an_invoke(1)
        bench.waiting.ask(request)
        bench.bus.beat("admin-1", [1], role="admin")
        await turn()
        assert bench.bus.published == []
        bench.bus.beat("a", [1])
        await turn()
        assert bench.bus.taken("a") == [[request]]

    run(scenario)


def test_a_refusal_is_repeated_after_pauses_that_double_up_to_a_second() -> None:
    async def scenario(bench: Bench) -> None:
        loop = asyncio.get_running_loop()
        sent_at: list[float] = []

        def refuse(subject: str, payload: bytes) -> None:
            sent_at.append(loop.time())
            bench.bus.reply(NotOwner(request.request_id))

        request = bench.an_invoke(wants_result=False)
        bench.bus.on_publish = refuse
        bench.bus.announce("a", [0], 1)
        future = bench.waiting.ask(request)
        await asyncio.sleep(4.6)
        pauses = [round(later - earlier, 3) for earlier, later in itertools.pairwise(sent_at)]
        assert pauses == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0]
        assert not future.done()

    run(scenario)


def test_a_refusal_is_repeated_at_once_when_the_new_owner_announces_itself() -> None:
    async def scenario(bench: Bench) -> None:
        bench.bus.announce("a", [0], 1)
        request = bench.an_invoke(wants_result=False)
        bench.waiting.ask(request)
        await turn()
        bench.bus.taken("a")
        bench.bus.reply(NotOwner(request.request_id))
        bench.bus.announce("b", [0], 2)
        await turn()
        assert [[asked.request_id for asked in batch] for batch in bench.bus.taken("b")] == [[request.request_id]]
        await asyncio.sleep(1)
        assert bench.bus.taken("b") == [], "the pause after the refusal is moot"

    run(scenario)


def test_after_a_takeover_waiting_callers_attach_and_sends_are_repeated() -> None:
    async def scenario(bench: Bench) -> None:
        bench.bus.announce("a", [0, 1], 1)
        call, send = bench.an_invoke(0), bench.an_invoke(0, wants_result=False)
        attach = Attach(bench.waiting.next_request_id(), an_id(0))
        elsewhere = bench.an_invoke(1)
        futures = [bench.waiting.ask(request) for request in (call, send, attach, elsewhere)]
        await turn()
        bench.bus.taken("a")
        bench.bus.announce("b", [0], 2)
        await turn()
        (batch,) = bench.bus.taken("b")
        assert batch[0] == Attach(call.request_id, call.invocation_id)
        assert isinstance(batch[1], Invoke)
        assert (batch[1].request_id, batch[1].is_fresh) == (send.request_id, False)
        assert batch[2:] == [attach]
        assert bench.bus.taken("a") == []
        bench.bus.reply(Completed(call.request_id, DONE), Accepted(send.request_id), Completed(attach.request_id, DONE))
        assert await futures[0] == Completed(call.request_id, DONE)
        assert await futures[1] == Accepted(send.request_id)

    run(scenario)


def test_a_call_that_the_new_owner_does_not_know_is_invoked_again() -> None:
    async def scenario(bench: Bench) -> None:
        bench.bus.announce("a", [0], 1)
        call = bench.an_invoke(0)
        future = bench.waiting.ask(call)
        await turn()
        bench.bus.announce("b", [0], 2)
        await turn()
        bench.bus.taken("b")
        bench.bus.reply(NotFound(call.request_id))
        await turn()
        (batch,) = bench.bus.taken("b")
        assert isinstance(batch[0], Invoke)
        assert (batch[0].request_id, batch[0].body, batch[0].is_fresh) == (call.request_id, call.body, False)
        bench.bus.reply(Completed(call.request_id, DONE))
        assert await future == Completed(call.request_id, DONE)

    run(scenario)


def test_an_attach_that_finds_nothing_is_answered_so() -> None:
    async def scenario(bench: Bench) -> None:
        bench.bus.announce("a", [0], 1)
        attach = Attach(bench.waiting.next_request_id(), an_id(0))
        future = bench.waiting.ask(attach)
        bench.bus.reply(NotFound(attach.request_id))
        assert await future == NotFound(attach.request_id)

    run(scenario)


def test_a_repeated_announcement_repeats_nothing() -> None:
    async def scenario(bench: Bench) -> None:
        bench.bus.announce("a", [0], 1)
        bench.waiting.ask(bench.an_invoke(0))
        await turn()
        bench.bus.taken("a")
        bench.bus.announce("a", [0], 1)
        bench.bus.beat("a", [0])
        await turn()
        assert bench.bus.taken("a") == []

    run(scenario)


def test_an_owner_that_nobody_hears_is_forgotten_until_it_is_heard_again() -> None:
    async def scenario(bench: Bench) -> None:
        bench.bus.announce("a", [0], 1)
        first = bench.an_invoke(0, wants_result=False)
        bench.waiting.ask(first)
        await turn()
        bench.bus.taken("a")
        bench.bus.nobody_listens(SUBJECTS.owner("a"))
        second = bench.an_invoke(0, wants_result=False)
        bench.waiting.ask(second)
        await turn()
        assert bench.bus.taken("a") == []
        assert bench.waiting.parked == 2
        bench.bus.beat("a", [0])
        await turn()
        (batch,) = bench.bus.taken("a")
        assert [request.request_id for request in batch] == [first.request_id, second.request_id]
        assert [request.is_fresh for request in batch if isinstance(request, Invoke)] == [False, True]

    run(scenario)


def test_no_responders_of_other_subjects_are_ignored() -> None:
    async def scenario(bench: Bench) -> None:
        bench.bus.announce("a", [0], 1)
        bench.bus.nobody_listens("somewhere.else")
        bench.waiting.ask(bench.an_invoke(0))
        await turn()
        assert len(bench.bus.taken("a")) == 1

    run(scenario)


@pytest.mark.parametrize(("wants_result", "period_s"), [(False, 5), (True, 10)])
def test_a_request_without_any_reply_is_repeated(wants_result: bool, period_s: int) -> None:
    async def scenario(bench: Bench) -> None:
        bench.bus.announce("a", [0], 1)
        request = bench.an_invoke(0, wants_result=wants_result)
        bench.waiting.ask(request)
        await turn()
        bench.bus.taken("a")
        await asyncio.sleep(period_s - 1.5)
        assert bench.bus.taken("a") == []
        await asyncio.sleep(2)
        (batch,) = bench.bus.taken("a")
        assert [asked.request_id for asked in batch] == [request.request_id]
        assert isinstance(batch[0], Attach if wants_result else Invoke)
        await asyncio.sleep(period_s)
        assert len(bench.bus.taken("a")) == 1, "and again"

    run(scenario)


def test_everything_is_repeated_once_the_bus_is_back() -> None:
    async def scenario(bench: Bench) -> None:
        bench.bus.announce("a", [0], 1)
        before, during = bench.an_invoke(0), bench.an_invoke(0, wants_result=False)
        bench.waiting.ask(before)
        await turn()
        bench.bus.is_connected = False
        bench.waiting.ask(during)
        await turn()
        bench.bus.taken("a")
        bench.bus.is_connected = True
        await asyncio.sleep(1.5)
        (batch,) = bench.bus.taken("a")
        assert [request.request_id for request in batch] == [before.request_id, during.request_id]
        await asyncio.sleep(2)
        assert bench.bus.taken("a") == []

    run(scenario)


def test_a_request_that_was_answered_or_forgotten_is_not_repeated() -> None:
    async def scenario(bench: Bench) -> None:
        bench.bus.announce("a", [0], 1)
        answered, forgotten = bench.an_invoke(0), bench.an_invoke(0)
        future = bench.waiting.ask(answered)
        bench.waiting.ask(forgotten)
        await turn()
        bench.bus.taken("a")
        bench.bus.reply(Overloaded(answered.request_id))
        bench.waiting.forget(forgotten.request_id)
        bench.bus.announce("b", [0], 2)
        await asyncio.sleep(30)
        assert await future == Overloaded(answered.request_id)
        assert bench.bus.published == []
        assert len(bench.waiting) == 0

    run(scenario)


def test_a_second_reply_is_harmless_and_its_blob_is_reported() -> None:
    async def scenario(bench: Bench) -> None:
        bench.bus.announce("a", [0], 1)
        request = bench.an_invoke(0)
        future = bench.waiting.ask(request)
        bench.bus.reply(Completed(request.request_id, DONE))
        bench.bus.reply(Completed(request.request_id, Success(b""), result_blob_id=b"blob"), NotOwner(request.request_id))
        assert await future == Completed(request.request_id, DONE)
        assert bench.orphans == [b"blob"]

    run(scenario)
