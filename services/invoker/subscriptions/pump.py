"""Reads one subscription: what is this process's share of it, for ever, through every failure.

Nobody needs to agree on who reads: two readers of one partition cost time, not correctness (see `admission`).
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from perdure.base.errors import PerdureError
from perdure.model.subscription import Subscription
from services.invoker.subscriptions.admission import Admission, Arrival, batches
from services.invoker.subscriptions.mapping import Mapper
from services.invoker.subscriptions.source import Record, Source

RETRY_DELAY_S_MIN: Final = 0.2
RETRY_DELAY_S_MAX: Final = 10.0
IDLE_S: Final = 0.5
"""How often one without a share looks whether it has got one."""
BUSY_S: Final = 0.02
"""How often a reader looks whether those that it admits to have caught up."""
SETTLED_S: Final = 1.0
"""After reading for so long without trouble, the last failure is over."""

log = structlog.get_logger("perdure.subscriptions")


class Pump:
    """Moves the records of one subscription.

    Attributes:
        failure: Why nothing is read just now, or None.
        records: Records admitted by this process.
        failures: How often reading broke off.
    """

    def __init__(
        self,
        subscription: Subscription,
        *,
        open_source: Callable[[], Source],
        mapper: Mapper,
        admission: Admission,
        share: Callable[[Sequence[int]], set[int]],
        may_take: Callable[[], bool],
    ) -> None:
        self.subscription = subscription
        self.failure: str | None = None
        self.records = 0
        self.failures = 0
        self._open_source = open_source
        self._mapper = mapper
        self._admission = admission
        self._share = share
        self._may_take = may_take
        self._retry_delay_s = RETRY_DELAY_S_MIN
        self._in_the_way: dict[int, int] = {}
        """Partition of the source -> offset of a record that cannot become an invocation: reading stops before it."""
        self._aside_until_s = 0.0
        """Until when those partitions are left aside, so that the others are read meanwhile."""

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            try:
                await self._read_until_trouble()
            except PerdureError as error:
                self._failed(error.message)
            except Exception as error:
                log.exception("subscription_crashed", subscription=self.subscription.id)
                self._failed(f"{type(error).__name__}: {error}")
            await asyncio.sleep(self._next_delay_s())

    def _next_delay_s(self) -> float:
        delay_s = self._retry_delay_s
        self._retry_delay_s = min(delay_s * 2, RETRY_DELAY_S_MAX)
        return delay_s

    def _failed(self, reason: str) -> None:
        self.failures += 1
        if reason != self.failure:
            log.warning("subscription_failed", subscription=self.subscription.id, reason=reason)
        self.failure = reason

    async def _read_until_trouble(self) -> None:
        source = self._open_source()
        try:
            loop = asyncio.get_running_loop()
            began_s = loop.time()
            reading: set[int] = set()
            while True:
                share = self._readable(self._share(await source.partitions()), loop.time())
                if share != reading:
                    began_s = loop.time()
                    begin = await self._admission.begin(self.subscription.id, sorted(share), source.first_offset)
                    await source.read_from(begin)
                    reading = share
                records = await source.take() if share else []
                if share:
                    await self._move(source, records)
                else:
                    await asyncio.sleep(IDLE_S)
                if loop.time() - began_s > SETTLED_S:
                    self._settled(set() if records else share)
        finally:
            await source.close()

    def _readable(self, share: set[int], now_s: float) -> set[int]:
        """Return of our share what is to be read now."""
        self._in_the_way = {partition: offset for partition, offset in self._in_the_way.items() if partition in share}
        return share - self._in_the_way.keys() if now_s < self._aside_until_s else share

    async def _move(self, source: Source, records: list[Record]) -> None:
        """Admit records; of a partition with one that cannot become an invocation those before it."""
        arrivals: list[Arrival] = []
        stopped: set[int] = set()
        for record in records:
            if record.partition in stopped:
                continue
            try:
                mail = self._mapper.mail_of(self.subscription, record)
            except PerdureError as error:
                stopped.add(record.partition)
                self._stop_before(record, error)
            else:
                arrivals.append(Arrival(record.partition, record.offset, mail))
        for batch in batches(arrivals):
            await self._wait_for_room(batch)
            await source.confirm(await self._admission.admit(self.subscription.id, batch))
            self.records += len(batch)
        for arrival in arrivals:
            if arrival.offset >= self._in_the_way.get(arrival.partition, arrival.offset + 1):
                del self._in_the_way[arrival.partition]
        if arrivals:
            self._recovered()

    def _stop_before(self, record: Record, error: PerdureError) -> None:
        self._in_the_way[record.partition] = record.offset
        self._aside_until_s = asyncio.get_running_loop().time() + self._next_delay_s()
        self._failed(error.message)

    async def _wait_for_room(self, batch: list[Arrival]) -> None:
        while True:
            if self._may_take() and await self._admission.has_room(batch):
                return
            await asyncio.sleep(BUSY_S)

    def _settled(self, read_to_the_end: set[int]) -> None:
        """Note that reading goes well; what stood in the way of these partitions is gone, for their brokers have no more."""
        self._in_the_way = {partition: offset for partition, offset in self._in_the_way.items() if partition not in read_to_the_end}
        self._recovered()

    def _recovered(self) -> None:
        if self._in_the_way:
            return
        self._retry_delay_s = RETRY_DELAY_S_MIN
        if self.failure is not None:
            log.info("subscription_recovered", subscription=self.subscription.id)
            self.failure = None
