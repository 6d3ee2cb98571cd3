"""How far behind each partition is: how long its oldest piece of work has been waiting."""

from collections.abc import Mapping, Sequence
from typing import Final, cast

import msgspec

from perdure.bus.messages import STALLED_MS, STORE_WAIT_MS, Heartbeat
from perdure.store.interface import ReadTransaction
from perdure.store.keyspace import PartitionKeys, unpack

LAG_MS_MAX: Final = 10_000
"""A partition that is further behind does not get on."""

_TIMER_AT: Final = 4
"""Where the time is in a timer's key."""


class Oldest(msgspec.Struct, frozen=True):
    """What a partition should do next: the key of the first message in its mailbox, and the time of its first timer."""

    mail: bytes | None = None
    timer_at_ms: int | None = None


def read_oldest(tr: ReadTransaction, keys: PartitionKeys) -> Oldest:
    """Return what the store says of a partition."""
    mail = tr.get_range(keys.mail, keys.mail_end, limit=1)
    timer = tr.get_range(keys.timers, keys.timers + b"\xff", limit=1)
    return Oldest(mail[0][0] if mail else None, cast("int", unpack(timer[0][0])[_TIMER_AT]) if timer else None)


class Mailboxes:
    """Remembers since when the first message of each mailbox is the first: messages do not say when they came."""

    def __init__(self) -> None:
        self._first: dict[int, tuple[bytes, int]] = {}

    def waiting_ms(self, partition: int, mail: bytes | None, now_ms: int) -> int:
        """Return how long a message has been the first, as far as anybody looked."""
        if mail is None:
            self._first.pop(partition, None)
            return 0
        seen, since_ms = self._first.get(partition, (b"", now_ms))
        if seen != mail:
            since_ms = now_ms
        self._first[partition] = mail, since_ms
        return max(0, now_ms - since_ms)


def lags_of(oldest: Mapping[int, Oldest], mailboxes: Mailboxes, alive: Sequence[Heartbeat], now_ms: int) -> dict[int, int]:
    """Return partition -> its lag in milliseconds: of mail, of timers, and of commits of its owner."""
    stalled_ms = {number: _stalled_ms(each) for each in alive for number in each.partitions}
    return {
        number: max(
            stalled_ms.get(number, 0),
            mailboxes.waiting_ms(number, first.mail, now_ms),
            0 if first.timer_at_ms is None else now_ms - first.timer_at_ms,
        )
        for number, first in oldest.items()
    }


def _stalled_ms(owner: Heartbeat) -> int:
    """Return for how long something that an owner wants to commit or read has been waiting."""
    return int(max(owner.counters.get(STALLED_MS, 0), owner.counters.get(STORE_WAIT_MS, 0)))
