"""Time and randomness as things that are handed in, so that the simulation can hand in its own."""

import os
import time
from typing import Protocol


class Clock(Protocol):
    """Wall clock in Unix milliseconds."""

    def now_ms(self) -> int:
        """Return the present Unix time in milliseconds; may jump."""
        ...


class Random(Protocol):
    """A source of random bytes."""

    def bytes(self, size: int) -> bytes:
        """Return `size` random bytes."""
        ...

    def fraction(self) -> float:
        """Return a number in [0, 1)."""
        ...


def until_beat_s(now_s: float, interval_s: float) -> float:
    """Return how long it is until the next whole multiple of an interval, or the one after if that is hardly away.

    What recurs at such times by the loop's clock wakes a process once and not once for each: all loops on a host have the same clock.
    """
    left_s = interval_s - now_s % interval_s
    return left_s if left_s > interval_s / 10 else left_s + interval_s


class SystemClock:
    """The operating system's clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000


class SystemRandom:
    """The operating system's randomness, read in blocks: 1.1 us -> 0.2 us per ULID."""

    _BLOCK_BYTES = 4096

    def __init__(self) -> None:
        self._block = b""
        self._used = 0

    def bytes(self, size: int) -> bytes:
        assert 0 < size <= self._BLOCK_BYTES
        if self._used + size > len(self._block):
            self._block = os.urandom(self._BLOCK_BYTES)
            self._used = 0
        self._used += size
        return self._block[self._used - size : self._used]

    def fraction(self) -> float:
        return int.from_bytes(self.bytes(7), "big") / (1 << 56)
