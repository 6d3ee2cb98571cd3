"""Fires timers when the owner's clock reaches them, and takes those of the next minute into memory."""

import asyncio

import structlog

from perdure.base.clock import Clock, until_beat_s
from perdure.base.errors import StoreError
from services.invoker.leases import TIMERS_AHEAD_MS
from services.invoker.loading import load_timers
from services.invoker.machine.events import TimerFired
from services.invoker.owner import Owner

LATE_MS_MAX = 1_000
"""How long the loop sleeps at most, so that a clock that jumped is noticed."""

log = structlog.get_logger("perdure.invoker")


class Timekeeper:
    """One timer of the event loop for all timers of all partitions."""

    def __init__(self, owner: Owner, clock: Clock) -> None:
        self._owner = owner
        self._clock = clock
        self._changed = asyncio.Event()
        self._sleeps_until_ms = 0

    def recheck(self) -> None:
        """Notice a timer that is due before the loop would wake."""
        next_ms = self._next_at_ms()
        if next_ms is not None and next_ms < self._sleeps_until_ms:
            self._changed.set()

    async def run(self) -> None:
        """Fire what is due, until cancelled."""
        while True:
            now_ms = self._clock.now_ms()
            self._fire(now_ms)
            next_ms = self._next_at_ms()
            wait_ms = int(until_beat_s(asyncio.get_running_loop().time(), LATE_MS_MAX / 1_000) * 1_000)
            if next_ms is not None:
                wait_ms = min(wait_ms, max(0, next_ms - now_ms))
            self._sleeps_until_ms = now_ms + wait_ms
            self._changed.clear()
            try:
                async with asyncio.timeout(wait_ms / 1_000):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def look_ahead(self) -> None:
        """Take timers into memory before they are due, until cancelled."""
        while True:
            await asyncio.sleep(TIMERS_AHEAD_MS / 4_000)
            horizon_ms = self._clock.now_ms() + TIMERS_AHEAD_MS
            try:
                for owned in list(self._owner.partitions.values()):
                    await load_timers(self._owner.store, owned.view, horizon_ms)
            except StoreError as error:
                log.warning("timers_unreadable", reason=error.message)
            self.recheck()

    def _fire(self, now_ms: int) -> None:
        for number, owned in list(self._owner.partitions.items()):
            if owned.is_closing:
                continue
            for timer in owned.view.due(now_ms):
                self._owner.feed(number, TimerFired(timer))

    def _next_at_ms(self) -> int | None:
        ats = (owned.view.next_timer_at_ms() for owned in self._owner.partitions.values() if not owned.is_closing)
        return min((at_ms for at_ms in ats if at_ms is not None), default=None)
