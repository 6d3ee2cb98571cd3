"""Exactly-once admission: how far a source is read is a row, and moves in the transaction that posts the invocations.

Whoever reads the same partition at the same time, whatever a broker delivers twice, and whenever a process dies: a record is admitted by
the one transaction that moves the row past it, and in order. The row is all that is kept, one per partition of a source.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec

from perdure.base.clock import Clock, Random
from perdure.base.errors import PerdureError
from perdure.base.ids import partition_of, ulid
from perdure.base.limits import BUS_BODY_BYTES_MAX
from perdure.model.mail import InvokeMail
from perdure.model.subscription import Subscription
from perdure.store.chunks import get_chunked
from perdure.store.interface import ReadTransaction, Store, Transaction
from perdure.store.keyspace import Keyspace
from services.invoker.mail_rows import mail_range, rows_of_mail, write_mail

RECORDS_MAX: Final = 500
"""Records that one transaction admits."""
BYTES_MAX: Final = 2 * BUS_BODY_BYTES_MAX
"""Bytes of records that one transaction admits; a larger record has one of its own."""
MAILBOX_ROWS_MAX: Final = 256
"""A partition with so much mail gets none of ours until its owner has caught up."""
_RECORD_BYTES: Final = 256
_ORIGIN: Final = b"/subscription"
"""End of the rows' keys, which is no invoker's name: owners tell their own mail by theirs."""
_decode: Final = msgspec.msgpack.Decoder(Subscription).decode


class NotReading(PerdureError):
    """The subscription was deleted or paused: nothing of it is admitted."""


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """A record's invocation, and which record it is."""

    partition: int
    offset: int
    mail: InvokeMail


class Admission:
    """Posts the invocations of records into the mailboxes of their partitions."""

    def __init__(
        self,
        *,
        store: Store,
        keyspace: Keyspace,
        partition_count: int,
        clock: Clock,
        random: Random,
        ring: Callable[[set[int]], None],
    ) -> None:
        self._store = store
        self._keyspace = keyspace
        self._partition_count = partition_count
        self._clock = clock
        self._random = random
        self._ring = ring

    async def begin(self, subscription_id: str, partitions: Sequence[int], first_offset: Callable[[int], Awaitable[int]]) -> dict[int, int]:
        """Return partition of the source -> the next offset to admit; where nothing was read so far, that is fixed now.

        Raises:
            NotReading: The subscription was deleted or paused.
        """
        known = await self._store.read(lambda tr: self._positions(tr, subscription_id, partitions))
        fresh = {partition: await first_offset(partition) for partition in partitions if partition not in known}
        if not fresh:
            return known

        def fix(tr: Transaction) -> dict[int, int]:
            self._check_reading(tr, subscription_id)
            found = self._positions(tr, subscription_id, list(fresh))
            for partition, offset in fresh.items():
                if partition not in found:
                    tr.set(self._keyspace.position(subscription_id, partition), _encode(offset))
            return fresh | found

        return known | await self._store.transact(fix)

    async def admit(self, subscription_id: str, arrivals: Sequence[Arrival]) -> dict[int, int]:
        """Admit what is not admitted yet, in order; return partition of the source -> the next offset to admit, once that is durable.

        Raises:
            NotReading: The subscription was deleted or paused; nothing was admitted.
        """
        origin = ulid(self._clock.now_ms(), self._random.bytes(10)) + _ORIGIN
        sources = sorted({arrival.partition for arrival in arrivals})

        def admit(tr: Transaction) -> tuple[dict[int, int], set[int]]:
            self._check_reading(tr, subscription_id)
            positions = self._positions(tr, subscription_id, sources)
            fresh = [arrival for arrival in arrivals if arrival.offset >= positions[arrival.partition]]
            mailed = [(self._partition_of(arrival), arrival.mail) for arrival in fresh]
            moved = {arrival.partition: arrival.offset + 1 for arrival in fresh}
            write_mail(tr, rows_of_mail(mailed, self._keyspace, origin))
            for partition, offset in moved.items():
                tr.set(self._keyspace.position(subscription_id, partition), _encode(offset))
            return positions | moved, {partition for partition, _ in mailed}

        next_offsets, rung = await self._store.transact(admit)
        if rung:
            self._ring(rung)
        return next_offsets

    async def has_room(self, arrivals: Sequence[Arrival]) -> bool:
        """Whether the partitions that these go to have little mail waiting."""
        wanted = sorted({self._partition_of(arrival) for arrival in arrivals})

        def is_short(tr: ReadTransaction) -> bool:
            ranges = [mail_range(self._keyspace.partition(number), None) for number in wanted]
            return all(len(tr.get_range(begin, end, limit=MAILBOX_ROWS_MAX)) < MAILBOX_ROWS_MAX for begin, end in ranges)

        return await self._store.read(is_short)

    def _partition_of(self, arrival: Arrival) -> int:
        return partition_of(arrival.mail.invocation_id, self._partition_count)

    def _check_reading(self, tr: ReadTransaction, subscription_id: str) -> None:
        raw = get_chunked(tr, self._keyspace.subscription(subscription_id))
        if raw is None or _decode(raw).is_paused:
            raise NotReading("the subscription was deleted or paused")

    def _positions(self, tr: ReadTransaction, subscription_id: str, partitions: Sequence[int]) -> dict[int, int]:
        rows = {partition: tr.get(self._keyspace.position(subscription_id, partition)) for partition in partitions}
        return {partition: int.from_bytes(row, "big") for partition, row in rows.items() if row is not None}


def batches(arrivals: Sequence[Arrival]) -> list[list[Arrival]]:
    """Cut arrivals, in order, into what one transaction takes each."""
    cut: list[list[Arrival]] = []
    size_bytes = 0
    for arrival in arrivals:
        weight = len(arrival.mail.body) + _RECORD_BYTES
        if not cut or len(cut[-1]) == RECORDS_MAX or size_bytes + weight > BYTES_MAX:
            cut.append([])
            size_bytes = 0
        cut[-1].append(arrival)
        size_bytes += weight
    return cut


def _encode(offset: int) -> bytes:
    return offset.to_bytes(8, "big")
