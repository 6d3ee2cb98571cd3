"""What an invoker counts on the way of a call: plain numbers, that `metrics` turns into metrics."""

from collections.abc import Iterable
from typing import Final

from perdure.process.meters import SECONDS, SHORT_SECONDS, ByHandler, Histogram
from services.invoker.plan import Outcome

ROWS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
BYTES: Final = tuple(1_024 * 4**power for power in range(8))


class CommitMeters:
    """Counts of an owner's commits.

    Attributes:
        rows: Of a commit.
        sizes: Of a commit, in bytes.
        queued: From a batch's first event to the start of its commit, in seconds.
        durations: Of a commit, in seconds.
    """

    __slots__ = ("durations", "queued", "rows", "sizes")

    def __init__(self) -> None:
        self.rows = Histogram(ROWS)
        self.sizes = Histogram(BYTES)
        self.queued = Histogram(SHORT_SECONDS)
        self.durations = Histogram(SHORT_SECONDS)

    def record(self, *, rows: int, size_bytes: int, duration_s: float) -> None:
        """Count a commit."""
        self.rows.observe(rows)
        self.sizes.observe(size_bytes)
        self.durations.observe(duration_s)


class HandlerMeter:
    """Counts of one handler's attempts."""

    __slots__ = ("durations", "outcomes")

    def __init__(self) -> None:
        self.outcomes: dict[Outcome, int] = dict.fromkeys(Outcome, 0)
        self.durations = Histogram(SECONDS)


class AttemptMeters:
    """Counts of attempts, by handler, and where their time went, of all together."""

    def __init__(self) -> None:
        self.sent_bytes = 0
        self.received_bytes = 0
        """Of the service protocol, as `sent_bytes`."""
        self.by_handler: ByHandler[HandlerMeter] = ByHandler(HandlerMeter)
        self.phases: dict[str, Histogram] = {name: Histogram(SHORT_SECONDS) for name in ("slot", "first_byte", "handler", "commits")}

    def record(self, service: str, handler: str, outcome: Outcome, duration_s: float, phases_s: Iterable[float]) -> None:
        """Count an attempt that ended; `phases_s` are in the order of `phases`."""
        meter = self.by_handler.of(service, handler)
        meter.outcomes[outcome] += 1
        meter.durations.observe(duration_s)
        for phase, phase_s in zip(self.phases.values(), phases_s, strict=True):
            phase.observe(phase_s)
