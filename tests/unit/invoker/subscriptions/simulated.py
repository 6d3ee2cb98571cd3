"""A source, its readers and the owners that take their mail, simulated: deaths, lost answers, double readers, brokers that fail."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from perdure.base.ids import InvocationId
from perdure.model.invocation import Source
from perdure.model.mail import InvokeMail
from perdure.model.mail import decode as decode_mail
from perdure.model.subscription import Broker, Subscription
from perdure.model.target import HandlerType, ServiceType, Target
from perdure.registry.options import OptionsCache, ServerDefaults
from perdure.registry.schema import Schema, put_subscription
from perdure.sim.loop import EPOCH_MS, SimRandom
from perdure.sim.store import Commit, SimStore, StoreFaults
from perdure.store.interface import Store, Transaction
from perdure.store.keyspace import Keyspace, range_of
from services.invoker.mail_rows import mail_range
from services.invoker.subscriptions.admission import Admission, Arrival
from services.invoker.subscriptions.mapping import Mapper
from services.invoker.subscriptions.pump import Pump
from services.invoker.subscriptions.source import Record, SourceFailed
from tests.unit.registry.builders import a_handler, a_service

KEYS: Final = Keyspace("test")
PARTITIONS: Final = 4
SUBSCRIPTION: Final = Subscription("sub_1a", Broker.KAFKA, "mine", "orders", "Ledger", "note", 0)


class FixedClock:
    def now_ms(self) -> int:
        return EPOCH_MS


class FixedSchema:
    def __init__(self) -> None:
        service = a_service("Ledger", ServiceType.VIRTUAL_OBJECT, a_handler("note", HandlerType.EXCLUSIVE))
        self.current = Schema(services={service.name: service})


class Log:
    """The records of a topic: partition -> records."""

    def __init__(self, records_by_partition: Mapping[int, Sequence[Record]]) -> None:
        self.records_by_partition = records_by_partition
        self.confirmed: dict[int, int] = {}
        self.mapper = Mapper(FixedSchema(), OptionsCache(ServerDefaults()), FixedClock(), SimRandom(1, "mapper"))

    def admission(self, store: Store | None = None) -> Admission:
        return Admission(
            store=store or SimStore(random=random.Random(1), faults=StoreFaults()).client("nobody"),
            keyspace=KEYS,
            partition_count=PARTITIONS,
            clock=FixedClock(),
            random=SimRandom(1, "admission"),
            ring=lambda _: None,
        )


LOG: Final = Log({})


def a_log(partitions: int, length: int) -> Log:
    """Records with gaps in their offsets, each with a value of its own; a key is in one partition."""
    return Log(
        {
            partition: [
                Record(partition, 3 + 2 * number, b"%d-%d" % (partition, number % 3), b"%d" % number, ()) for number in range(length)
            ]
            for partition in range(partitions)
        }
    )


def an_arrival(offset: int, body: bytes = b"") -> Arrival:
    target = Target("Ledger", "note", "k", HandlerType.EXCLUSIVE)
    return Arrival(0, offset, InvokeMail(InvocationId(bytes(24)), target, body, (), source=Source(kind="subscription"), sink=None))


class SimSource:
    """Reads a log, some records at a time; fails now and then."""

    def __init__(self, log: Log, dice: random.Random, failure: float) -> None:
        self._log = log
        self._dice = dice
        self._failure = failure
        self._next: dict[int, int] = {}

    async def partitions(self) -> list[int]:
        return sorted(self._log.records_by_partition)

    async def first_offset(self, partition: int) -> int:
        await self._think()
        return 3

    async def read_from(self, begin: Mapping[int, int]) -> None:
        await self._think()
        self._next = dict(begin)

    async def take(self) -> list[Record]:
        await self._think()
        records: list[Record] = []
        for partition, offset in self._next.items():
            waiting = [record for record in self._log.records_by_partition[partition] if record.offset >= offset]
            taken = waiting[: self._dice.randrange(1, 8)]
            records += taken
            if taken:
                self._next[partition] = taken[-1].offset + 1
        return records

    async def confirm(self, next_offsets: Mapping[int, int]) -> None:
        await self._think()
        for partition, offset in next_offsets.items():
            self._log.confirmed[partition] = max(offset, self._log.confirmed.get(partition, 0))

    async def close(self) -> None:
        self._next = {}

    async def _think(self) -> None:
        await asyncio.sleep(self._dice.random() / 100)
        if self._dice.random() < self._failure:
            raise SourceFailed("the broker is away")


class History:
    """What was admitted, in the order of commits: key -> values. A store that calls it for each commit makes it."""

    def __init__(self) -> None:
        self.values: dict[str, list[int]] = defaultdict(list)

    def note(self, commit: Commit) -> None:
        mailboxes = tuple(KEYS.partition(number).mail for number in range(PARTITIONS))
        for key, value in sorted(commit.writes.items()):
            if value is not None and key.startswith(mailboxes):
                mail = decode_mail(value[1:])
                assert isinstance(mail, InvokeMail)
                self.values[mail.target.key or ""].append(int(mail.body))


async def empty_mailboxes(store: Store) -> None:
    """Take mail away, as the owners of partitions do, until cancelled."""

    def empty(tr: Transaction) -> None:
        for number in range(PARTITIONS):
            tr.clear_range(*mail_range(KEYS.partition(number), None))

    while True:
        await store.transact(empty)
        await asyncio.sleep(0.02)


def a_pump(log: Log, store: Store, dice: random.Random, *, failure: float, greed: float) -> Pump:
    """A reader that holds itself responsible for each partition with probability `greed`, and changes its mind."""
    return Pump(
        SUBSCRIPTION,
        open_source=lambda: SimSource(log, dice, failure),
        mapper=log.mapper,
        admission=log.admission(store),
        share=_Share(dice, greed),
        may_take=lambda: True,
    )


class _Share:
    def __init__(self, dice: random.Random, greed: float) -> None:
        self._dice = dice
        self._greed = greed
        self._share: set[int] = set()
        self._looks = 0

    def __call__(self, partitions: Sequence[int]) -> set[int]:
        if self._looks % 10 == 0:
            self._share = {partition for partition in partitions if self._dice.random() < self._greed}
        self._looks += 1
        return self._share


async def registered(store: Store) -> None:
    await store.transact(lambda tr: put_subscription(tr, KEYS, SUBSCRIPTION))


def positions(store: SimStore) -> dict[bytes, int]:
    return {key: int.from_bytes(value, "big") for key, value in store.pairs(*range_of(KEYS.positions_of(SUBSCRIPTION.id)))}
