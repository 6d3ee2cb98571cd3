"""The commit loop over a store that the test holds: what gathers, what leaves, what is dropped."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from perdure.base.errors import LeaseLost
from perdure.bus.messages import Invoke
from perdure.model.invocation import AttemptTimings
from perdure.model.journal import Output
from perdure.model.lease import Lease
from perdure.model.result import Success
from perdure.store.keyspace import Keyspace
from services.invoker.machine.events import AttemptEnded, AttemptProgressed, CommandSent, RequestReceived
from services.invoker.machine.machine import PartitionMachine
from services.invoker.machine.step import Effect
from services.invoker.machine.view import PartitionView
from services.invoker.owner import OwnedPartition, Owner
from tests.unit.invoker.builders import INGRESS, PIN, a_target, an_id


class HeldStore:
    """Commits wait for `gate`; then they succeed, or fail with `failure`."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.failure: Exception | None = None
        self.commits = 0

    async def transact(self, _fn: Callable[[Any], Any]) -> None:
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        self.commits += 1


class Recorder:
    """An outlet that only notes what was let out."""

    def __init__(self) -> None:
        self.released: list[Effect] = []

    def release(self, effects: list[Effect]) -> None:
        self.released += effects

    def ring(self, partitions: set[int]) -> None: ...

    def stop_attempts(self, partition: int) -> None: ...


class HeldClock:
    def __init__(self) -> None:
        self.time_ms = 1_000

    def now_ms(self) -> int:
        return self.time_ms


def invoke(owner: Owner, number: int, *, wants_result: bool = False) -> None:
    request = Invoke(number, an_id(number), a_target(), b"", (), wants_result, is_fresh=True)
    assert owner.feed(0, RequestReceived(INGRESS, request))


def put_out(owner: Owner, number: int) -> None:
    """Let an attempt send its result, which nobody waits for until the attempt has ended."""
    output = CommandSent(Output(Success(b"")), wants_ack=False)
    assert owner.feed(0, AttemptProgressed(an_id(number), 1, PIN, [output]))


def end(owner: Owner, number: int) -> None:
    assert owner.feed(0, AttemptEnded(an_id(number), 1, AttemptTimings()))


async def start_running(owner: Owner, store: HeldStore, number: int) -> None:
    """Let an invocation have a running attempt, with nothing left to commit."""
    store.gate.set()
    invoke(owner, number, wants_result=True)
    await owner.settle()
    live = owner.live(an_id(number))
    assert live is not None
    owner.partitions[0].machine.journal_loaded(live, [])


def next_commit(owner: Owner) -> Awaitable[object]:
    """Return what can be awaited for the next commit from now on, without asking for one."""
    committed = asyncio.Event()
    owner.on_committed = committed.set
    return committed.wait()


async def some_turns() -> None:
    """Let the event loop do what needs no clock."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
def without_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what nobody waits for linger for longer than any test."""
    monkeypatch.setattr("services.invoker.owner.LINGER_S", 3_600)


def with_owner(scene: Callable[[Owner, HeldStore, Recorder], Awaitable[None]]) -> None:
    async def play() -> None:
        store, outlet, keyspace = HeldStore(), Recorder(), Keyspace()
        held: Any = store
        owner = Owner(invoker_id="i", store=held, keyspace=keyspace, clock=HeldClock(), partition_count=1)
        owner.outlet = outlet
        keys = keyspace.partition(0)
        owner.adopt(0, OwnedPartition(PartitionMachine(PartitionView(0, 1, keys)), Lease("i", 1), keys.lease))
        loop = asyncio.ensure_future(owner.run())
        try:
            await asyncio.wait_for(scene(owner, store, outlet), 10)
        finally:
            loop.cancel()

    asyncio.run(play())


def test_nothing_leaves_before_its_commit() -> None:
    async def scene(owner: Owner, store: HeldStore, outlet: Recorder) -> None:
        invoke(owner, 1)
        await asyncio.sleep(0)
        assert outlet.released == []
        store.gate.set()
        await owner.settle()
        assert len(outlet.released) == 2

    with_owner(scene)


def test_what_gathers_during_a_commit_leaves_in_one_batch() -> None:
    async def scene(owner: Owner, store: HeldStore, _outlet: Recorder) -> None:
        invoke(owner, 1)
        await asyncio.sleep(0)
        for number in (2, 3, 4):
            invoke(owner, number)
        store.gate.set()
        await owner.settle()
        assert store.commits == 2

    with_owner(scene)


@pytest.mark.usefixtures("without_clock")
def test_what_nobody_waits_for_leaves_with_what_comes_behind_it() -> None:
    async def scene(owner: Owner, store: HeldStore, outlet: Recorder) -> None:
        await start_running(owner, store, 1)
        outlet.released.clear()
        put_out(owner, 1)
        await some_turns()
        assert store.commits == 1
        committed = next_commit(owner)
        end(owner, 1)
        await committed
        assert store.commits == 2
        assert len(outlet.released) == 1

    with_owner(scene)


@pytest.mark.usefixtures("without_clock")
def test_what_nobody_waits_for_does_not_leave_with_a_commit_before_it() -> None:
    async def scene(owner: Owner, store: HeldStore, _outlet: Recorder) -> None:
        await start_running(owner, store, 1)
        store.gate.clear()
        invoke(owner, 2)
        await asyncio.sleep(0)
        put_out(owner, 1)
        store.gate.set()
        await some_turns()
        assert store.commits == 2

    with_owner(scene)


def test_what_nobody_waits_for_leaves_by_itself_before_long() -> None:
    async def scene(owner: Owner, store: HeldStore, _outlet: Recorder) -> None:
        await start_running(owner, store, 1)
        committed = next_commit(owner)
        put_out(owner, 1)
        await committed
        assert store.commits == 2

    with_owner(scene)


@pytest.mark.usefixtures("without_clock")
def test_who_settles_does_not_wait_for_the_clock() -> None:
    async def scene(owner: Owner, store: HeldStore, _outlet: Recorder) -> None:
        await start_running(owner, store, 1)
        put_out(owner, 1)
        await owner.settle()
        assert store.commits == 2

    with_owner(scene)


def test_a_lost_lease_drops_everything_and_lets_nothing_out() -> None:
    async def scene(owner: Owner, store: HeldStore, outlet: Recorder) -> None:
        lost = asyncio.Event()
        owner.on_lost = lost.set
        store.failure = LeaseLost("another owner")
        invoke(owner, 1)
        store.gate.set()
        await lost.wait()
        assert owner.partitions == {}
        assert outlet.released == []

    with_owner(scene)


def test_who_waits_for_what_was_dropped_does_not_wait_for_ever() -> None:
    async def scene(owner: Owner, store: HeldStore, _outlet: Recorder) -> None:
        invoke(owner, 1)
        settled = asyncio.ensure_future(owner.settle())
        await asyncio.sleep(0)
        owner.drop_all()
        await settled
        await owner.settle()

    with_owner(scene)


def test_a_commit_that_hangs_shows_as_a_stall() -> None:
    async def scene(owner: Owner, _store: HeldStore, _outlet: Recorder) -> None:
        assert owner.stalled_ms(61_000) == 0
        invoke(owner, 1)
        await asyncio.sleep(0)
        assert owner.stalled_ms(61_000) == 60_000

    with_owner(scene)


def test_batches_that_wait_behind_others_are_no_older_than_their_own_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.invoker.owner.TRANSACTION_ROWS_MAX", 0)  # each request has a batch of its own

    async def scene(owner: Owner, store: HeldStore, _outlet: Recorder) -> None:
        assert isinstance(owner.clock, HeldClock)
        owner.on_committed = store.gate.clear
        for number in range(1, 4):
            owner.clock.time_ms = 1_000 * number
            invoke(owner, number)
            await asyncio.sleep(0)
        ages_ms: list[int] = []
        for commits in range(3):
            ages_ms.append(owner.stalled_ms(10_000))
            store.gate.set()
            while store.commits == commits:
                await asyncio.sleep(0)
        assert ages_ms == [9_000, 8_000, 7_000]
        assert owner.stalled_ms(10_000) == 0

    with_owner(scene)
