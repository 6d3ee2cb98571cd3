"""What one reader does about records that cannot become invocations: their partition waits, the others do not."""

import asyncio
import random

import msgspec

from perdure.sim.loop import VirtualLoop
from perdure.sim.store import SimStore
from services.invoker.subscriptions.pump import RETRY_DELAY_S_MAX, Pump
from tests.unit.invoker.subscriptions.simulated import (
    KEYS,
    SUBSCRIPTION,
    History,
    Log,
    a_log,
    a_pump,
    empty_mailboxes,
    positions,
    registered,
)

LENGTH = 40
BAD = 5
"""Number of the record of partition 0 that has no text for a key."""


def a_log_with_a_bad_key() -> Log:
    log = a_log(partitions=3, length=LENGTH)
    records = list(log.records_by_partition[0])
    records[BAD] = msgspec.structs.replace(records[BAD], key=b"\xff")
    log.records_by_partition = {**log.records_by_partition, 0: records}
    return log


class Reading:
    """A reader of a log, for as long as a test looks at it."""

    def __init__(self, log: Log) -> None:
        self.log, self.history = log, History()
        self.store = SimStore(random=random.Random(1), on_commit=self.history.note)
        self.pump: Pump = a_pump(log, self.store.client("reader"), random.Random(2), failure=0.0, greed=1.0)

    async def __aenter__(self) -> "Reading":
        await registered(self.store.client("admin"))
        self._tasks = [asyncio.ensure_future(empty_mailboxes(self.store.client("owners"))), asyncio.ensure_future(self.pump.run())]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)

    def position(self, partition: int) -> int:
        return positions(self.store).get(KEYS.position(SUBSCRIPTION.id, partition), 0)

    def end(self, partition: int) -> int:
        return self.log.records_by_partition[partition][-1].offset + 1

    async def until_read(self, *partitions: int) -> None:
        async with asyncio.timeout(60):
            while any(self.position(partition) < self.end(partition) for partition in partitions):
                await asyncio.sleep(0.05)


def test_a_record_without_a_usable_key_stops_its_partition_and_no_other() -> None:
    async def run() -> None:
        async with Reading(a_log_with_a_bad_key()) as reading:
            await reading.until_read(1, 2)
            await asyncio.sleep(10 * RETRY_DELAY_S_MAX)
            assert reading.position(0) == reading.log.records_by_partition[0][BAD - 1].offset + 1
            assert "is not UTF-8" in (reading.pump.failure or "")
            assert reading.pump.failures < 20
        assert {key: len(values) for key, values in reading.history.values.items() if key.startswith(("1-", "2-"))} == {
            f"{partition}-{number}": len(range(number, LENGTH, 3)) for partition in (1, 2) for number in range(3)
        }

    VirtualLoop().run(run())


def test_its_partition_is_read_on_once_the_record_is_gone() -> None:
    async def run() -> None:
        async with Reading(a_log_with_a_bad_key()) as reading:
            await reading.until_read(1, 2)
            records = reading.log.records_by_partition
            reading.log.records_by_partition = {**records, 0: records[0][BAD + 1 :]}
            await reading.until_read(0)
            assert reading.pump.failure is None

    VirtualLoop().run(run())


def test_the_failure_is_over_as_well_if_nothing_came_behind_the_record() -> None:
    async def run() -> None:
        log = a_log_with_a_bad_key()
        log.records_by_partition = {**log.records_by_partition, 0: log.records_by_partition[0][: BAD + 1]}
        async with Reading(log) as reading:
            await reading.until_read(1, 2)
            await asyncio.sleep(RETRY_DELAY_S_MAX)
            assert reading.pump.failure is not None
            log.records_by_partition = {**log.records_by_partition, 0: []}
            await asyncio.sleep(3 * RETRY_DELAY_S_MAX)
            assert reading.pump.failure is None

    VirtualLoop().run(run())
