"""What the ingress counts, kept as plain numbers on the hot path and turned into metrics when somebody asks.

0.4 us per request, against 3 us for a counter and a histogram of prometheus-client.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from services.ingress.directory import HandlerEntry

BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
COMPLETED: Final = 0
INVOCATION_ERROR: Final = 1
REQUEST_ERROR: Final = 2
INGRESS_ERROR: Final = 3
ABANDONED: Final = 4
_OUTCOMES: Final = ("completed", "invocation_error", "request_error", "ingress_error", "abandoned")


class HandlerMeter:
    """Counts of one handler and kind of request."""

    __slots__ = ("buckets", "outcomes", "sum_s")

    def __init__(self) -> None:
        self.outcomes = [0] * len(_OUTCOMES)
        self.buckets = [0] * (len(BUCKETS_S) + 1)
        self.sum_s = 0.0

    def record(self, outcome: int, duration_s: float) -> None:
        """Count a request that ended."""
        self.outcomes[outcome] += 1
        self.buckets[bisect_left(BUCKETS_S, duration_s)] += 1
        self.sum_s += duration_s


class Meters(Collector):
    """All counts of this process."""

    def __init__(self, *, waiting: Callable[[], int], parked: Callable[[], int]) -> None:
        self.admitted = 0
        self.rate_limited = 0
        self._waiting = waiting
        self._parked = parked
        self._by_handler: dict[tuple[str, str, bool], HandlerMeter] = {}

    def of(self, entry: HandlerEntry, is_send: bool) -> HandlerMeter:
        """Return the counts of a handler's calls or sends."""
        key = (entry.service, entry.handler, is_send)
        meter = self._by_handler.get(key)
        if meter is None:
            meter = self._by_handler[key] = HandlerMeter()
        return meter

    def register(self, registry: CollectorRegistry) -> None:
        """Offer the counts to whoever scrapes."""
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Yield all families."""
        admission = CounterMetricFamily("perdure_ingress_admissions", "Requests let in or turned away unseen.", labels=["outcome"])
        admission.add_metric(["admitted"], self.admitted)
        admission.add_metric(["rate_limited"], self.rate_limited)
        requests = CounterMetricFamily(
            "perdure_ingress_requests", "Calls and sends that ended.", labels=["service", "handler", "type", "outcome"]
        )
        durations = HistogramMetricFamily(
            "perdure_ingress_request_duration_seconds",
            "Calls and sends from their headers to their answer, the wait for the result included.",
            labels=["service", "handler", "type"],
        )
        for (service, handler, is_send), meter in self._by_handler.items():
            labels = [service, handler, "send" if is_send else "call"]
            for name, count in zip(_OUTCOMES, meter.outcomes, strict=True):
                if count:
                    requests.add_metric([*labels, name], count)
            durations.add_metric(labels, buckets=_cumulated(meter.buckets), sum_value=meter.sum_s)
        yield admission
        yield requests
        yield durations
        yield GaugeMetricFamily("perdure_ingress_waiting", "Requests that wait for an owner's reply.", value=self._waiting())
        yield GaugeMetricFamily("perdure_ingress_parked", "Waiting requests whose partition has no known owner.", value=self._parked())


def _cumulated(counts: list[int]) -> list[tuple[str, float]]:
    total = 0
    cumulated: list[tuple[str, float]] = []
    for bound, count in zip([*map(str, BUCKETS_S), "+Inf"], counts, strict=True):
        total += count
        cumulated.append((bound, total))
    return cumulated
