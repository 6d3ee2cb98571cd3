"""The living processes of the suite, as their heartbeats tell."""

from collections.abc import Callable
from typing import Final

import msgspec
import structlog

from perdure.base.clock import Clock
from perdure.bus.messages import VERSION, Heartbeat, decoder_of

HEARTBEAT_INTERVAL_MS: Final = 1_000
SILENCE_MS_MAX: Final = 3_000
"""A process that was silent for longer counts as dead."""

log = structlog.get_logger("perdure.peers")


class _Seen(msgspec.Struct):
    heartbeat: Heartbeat
    at_ms: int


class Peers:
    """The last heartbeat of every process, this one included.

    Heartbeats only decide when someone acts, never whether it may: a process that counts as dead may well be alive.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._decoder = decoder_of(Heartbeat)
        self._seen_by_process: dict[str, _Seen] = {}
        self._callbacks: list[Callable[[], None]] = []
        self._ticked_at_ms = clock.now_ms()

    def alive(self, role: str | None = None, *, now_ms: int | None = None) -> list[Heartbeat]:
        """Return the last heartbeats of the living, of one role or of all, by process id."""
        deadline_ms = (self._clock.now_ms() if now_ms is None else now_ms) - SILENCE_MS_MAX
        return [
            seen.heartbeat
            for _, seen in sorted(self._seen_by_process.items())
            if seen.at_ms >= deadline_ms and role in (None, seen.heartbeat.role)
        ]

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call back when a process appears, leaves or falls silent, begins to drain, or changes its address, partitions or readiness."""
        self._callbacks.append(callback)

    def receive(self, payload: bytes, _reply: str = "") -> bool:
        """Take in a heartbeat from the bus; return whether its process was unknown."""
        try:
            heartbeat = self._decoder.decode(payload)
        except msgspec.DecodeError as error:
            log.warning("heartbeat_unreadable", reason=str(error))
            return False
        if heartbeat.version > VERSION:
            log.warning("heartbeat_of_newer_version", version=heartbeat.version, process=heartbeat.process_id)
            return False
        return self._note(heartbeat)

    def tick(self) -> None:
        """Forget the silent; to be called every `HEARTBEAT_INTERVAL_MS`.

        If this call comes late or the clock jumped, it is we who were away: nobody is blamed for the time in between.
        """
        now_ms = self._clock.now_ms()
        away_ms = now_ms - self._ticked_at_ms - HEARTBEAT_INTERVAL_MS
        self._ticked_at_ms = now_ms
        if away_ms > HEARTBEAT_INTERVAL_MS or away_ms < -HEARTBEAT_INTERVAL_MS:
            for seen in self._seen_by_process.values():
                seen.at_ms += away_ms
        silent = [key for key, seen in self._seen_by_process.items() if now_ms - seen.at_ms > SILENCE_MS_MAX]
        for process_id in silent:
            log.warning("process_fell_silent", process=process_id)
            del self._seen_by_process[process_id]
        if silent:
            self._changed()

    def _note(self, heartbeat: Heartbeat) -> bool:
        before = self._seen_by_process.get(heartbeat.process_id)
        if heartbeat.is_leaving:
            if before is not None:
                del self._seen_by_process[heartbeat.process_id]
                self._changed()
            return False
        self._seen_by_process[heartbeat.process_id] = _Seen(heartbeat, self._clock.now_ms())
        if before is None or _news(before.heartbeat) != _news(heartbeat):
            self._changed()
        return before is None

    def _changed(self) -> None:
        for callback in self._callbacks:
            callback()


def _news(heartbeat: Heartbeat) -> tuple[object, ...]:
    return heartbeat.role, heartbeat.address, heartbeat.partitions, heartbeat.is_ready, heartbeat.not_ready_because, heartbeat.is_draining
