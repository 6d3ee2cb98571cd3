"""Every record is admitted once and in order: under deaths, double readers, lost answers of the store and brokers that fail."""

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.registry.schema import remove_subscription
from perdure.registry.subscriptions import pause_subscription
from perdure.sim.loop import VirtualLoop, VirtualProcess, within
from perdure.sim.store import SimStore, StoreFaults
from services.invoker.subscriptions.admission import MAILBOX_ROWS_MAX, NotReading
from tests.unit.invoker.subscriptions.simulated import (
    KEYS,
    SUBSCRIPTION,
    History,
    Log,
    a_log,
    a_pump,
    an_arrival,
    empty_mailboxes,
    positions,
    registered,
)

LENGTH = 60
FAULTS = StoreFaults(conflict=0.1, unknown_applied=0.1, unknown_lost=0.1, failure=0.02, delay_s_max=0.02)
CASES = {
    "quiet": (StoreFaults(), 0.0, 1, 0),
    "store": (FAULTS, 0.0, 1, 0),
    "broker": (StoreFaults(), 0.1, 1, 0),
    "readers": (StoreFaults(delay_s_max=0.02), 0.0, 3, 0),
    "deaths": (StoreFaults(delay_s_max=0.02), 0.0, 2, 8),
    "everything": (FAULTS, 0.05, 3, 8),
}


class Run:
    """Readers of one log on one store, each in a process of its own that may be killed and made anew."""

    def __init__(self, seed: int, faults: StoreFaults, failure: float, readers: int, log: Log) -> None:
        self.dice = random.Random(seed)
        self.history = History()
        self.store = SimStore(random=random.Random(seed + 1), on_commit=self.history.note)
        self.faults, self.failure, self.log = faults, failure, log
        self.processes = [VirtualProcess(f"reader-{number}") for number in range(readers)]
        self.tasks: list[asyncio.Task[None]] = []

    async def run(self, deaths: int) -> None:
        await registered(self.store.client("admin"))
        self.tasks.append(asyncio.ensure_future(empty_mailboxes(self.store.client("owners"))))
        self.store.faults = self.faults
        for process in self.processes:
            self._start(process)
        for _ in range(deaths):
            await asyncio.sleep(self.dice.random() / 5)
            self._replace(self.dice.randrange(len(self.processes)))
        async with asyncio.timeout(600):
            while not self._is_read():
                await asyncio.sleep(0.05)
        for task in self.tasks:
            task.cancel()
        await asyncio.wait(self.tasks)

    def _start(self, process: VirtualProcess) -> None:
        with within(process):
            greed = 1.0 if len(self.processes) == 1 else 0.7
            pump = a_pump(self.log, self.store.client(process.name), self.dice, failure=self.failure, greed=greed)
            self.tasks.append(asyncio.ensure_future(pump.run()))

    def _replace(self, number: int) -> None:
        self.store.kill(self.processes[number].name)
        self.processes[number].kill()
        self.processes[number] = VirtualProcess(f"{self.processes[number].name}+")
        self._start(self.processes[number])

    def _is_read(self) -> bool:
        ends = {KEYS.position(SUBSCRIPTION.id, number): each[-1].offset + 1 for number, each in self.log.records_by_partition.items()}
        return positions(self.store) == ends


@pytest.mark.parametrize("seed", range(15))
@pytest.mark.parametrize("case", CASES)
def test_every_record_is_admitted_once_and_in_the_order_of_its_key(case: str, seed: int) -> None:
    faults, failure, readers, deaths = CASES[case]
    log = a_log(partitions=3, length=LENGTH)
    run = Run(seed, faults, failure, readers, log)
    VirtualLoop().run(run.run(deaths))
    expected = {f"{partition}-{key}": list(range(key, LENGTH, 3)) for partition in range(3) for key in range(3)}
    assert run.history.values == expected, f"case {case}, seed {seed}"
    for partition, confirmed in log.confirmed.items():
        assert confirmed <= log.records_by_partition[partition][-1].offset + 1


def a_store() -> tuple[SimStore, History]:
    history = History()
    return SimStore(random=random.Random(1), on_commit=history.note), history


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 10)), max_size=20))
def test_whatever_comes_twice_is_admitted_once(parts: list[tuple[int, int]]) -> None:
    """Readers that begin at or before the position, as all do, and bring any number of records each."""
    store, history = a_store()

    async def run() -> int:
        client = store.client("a")
        await registered(client)
        admission = a_log(1, 1).admission(client)
        position = (await admission.begin(SUBSCRIPTION.id, [0], _zero))[0]
        for back, count in parts:
            first = max(0, position - back)
            arrivals = [an_arrival(offset, b"%d" % offset) for offset in range(first, first + count)]
            moved = await admission.admit(SUBSCRIPTION.id, arrivals)
            assert moved == {0: max(position, first + count)}
            position = moved[0]
        return position

    position = VirtualLoop().run(run())
    assert history.values["k"] == list(range(position))


async def _zero(_: int) -> int:
    return 0


@pytest.mark.parametrize("is_deleted", [True, False])
def test_nothing_is_admitted_of_what_was_deleted_or_paused(is_deleted: bool) -> None:
    store, history = a_store()

    async def run() -> None:
        client = store.client("a")
        await registered(client)
        admission = a_log(1, 1).admission(client)
        await admission.begin(SUBSCRIPTION.id, [0], _zero)
        if is_deleted:
            await client.transact(lambda tr: remove_subscription(tr, KEYS, SUBSCRIPTION.id))
        else:
            await client.transact(lambda tr: pause_subscription(tr, KEYS, SUBSCRIPTION.id, is_paused=True))
        with pytest.raises(NotReading):
            await admission.admit(SUBSCRIPTION.id, [an_arrival(1, b"1")])
        with pytest.raises(NotReading):
            await admission.begin(SUBSCRIPTION.id, [1], _zero)

    VirtualLoop().run(run())
    assert history.values == {}


def test_where_reading_begins_is_fixed_before_the_first_record() -> None:
    store, _ = a_store()

    async def run() -> tuple[dict[int, int], dict[int, int]]:
        client = store.client("a")
        await registered(client)
        admission = a_log(1, 1).admission(client)

        async def later(_: int) -> int:
            return 99

        return await admission.begin(SUBSCRIPTION.id, [0], _zero), await admission.begin(SUBSCRIPTION.id, [0, 1], later)

    assert VirtualLoop().run(run()) == ({0: 0}, {0: 0, 1: 99})


def test_a_partition_whose_owner_is_behind_gets_no_more() -> None:
    store, _ = a_store()

    async def run() -> None:
        client = store.client("a")
        await registered(client)
        admission = a_log(1, 1).admission(client)
        await admission.begin(SUBSCRIPTION.id, [0], _zero)
        for number in range(MAILBOX_ROWS_MAX):
            assert await admission.has_room([an_arrival(number, b"1")])
            await admission.admit(SUBSCRIPTION.id, [an_arrival(number, b"1")])
        assert not await admission.has_room([an_arrival(number, b"1")])

    VirtualLoop().run(run())
