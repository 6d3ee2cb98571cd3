"""What the ingress counts: plain numbers on the way of a request, metrics when somebody asks."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from perdure.process.meters import SECONDS, ByHandler, Histogram
from services.ingress.directory import HandlerEntry

COMPLETED: Final = 0
INVOCATION_ERROR: Final = 1
REQUEST_ERROR: Final = 2
INGRESS_ERROR: Final = 3
ABANDONED: Final = 4
_OUTCOMES: Final = ("completed", "invocation_error", "request_error", "ingress_error", "abandoned")


class HandlerMeter:
    """Counts of one handler and kind of request."""

    __slots__ = ("durations", "outcomes")

    def __init__(self) -> None:
        self.outcomes = [0] * len(_OUTCOMES)
        self.durations = Histogram(SECONDS)

    def record(self, outcome: int, duration_s: float) -> None:
        """Count a request that ended."""
        self.outcomes[outcome] += 1
        self.durations.observe(duration_s)


class Meters(Collector):
    """All counts of this process."""

    def __init__(self, *, waiting: Callable[[], int], parked: Callable[[], int]) -> None:
        self.admitted = 0
        self.rate_limited = 0
        self.responses: Counter[int] = Counter()
        """Status -> answers over HTTP; those of gRPC and Connect are not among them."""
        self.owners = Histogram(SECONDS)
        """From asking an owner to its final reply."""
        self._waiting = waiting
        self._parked = parked
        self._calls: ByHandler[HandlerMeter] = ByHandler(HandlerMeter)
        self._sends: ByHandler[HandlerMeter] = ByHandler(HandlerMeter)

    def of(self, entry: HandlerEntry, is_send: bool) -> HandlerMeter:
        """Return the counts of a handler's calls or sends."""
        return (self._sends if is_send else self._calls).of(entry.service, entry.handler)

    def register(self, registry: CollectorRegistry) -> None:
        """Offer the counts to whoever scrapes."""
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Yield all families."""
        admission = CounterMetricFamily("perdure_ingress_admissions", "Requests let in or turned away unseen.", labels=["outcome"])
        admission.add_metric(["admitted"], self.admitted)
        admission.add_metric(["rate_limited"], self.rate_limited)
        yield admission
        yield from self._requests()
        responses = CounterMetricFamily("perdure_ingress_responses", "Answers, by HTTP status.", labels=["status"])
        for status, count in sorted(self.responses.items()):
            responses.add_metric([str(status)], count)
        yield responses
        yield self.owners.family(
            "perdure_ingress_owner_duration_seconds", "From asking the owner of a partition to its final reply, repetitions included."
        )
        yield GaugeMetricFamily("perdure_ingress_waiting", "Requests that wait for an owner's reply.", value=self._waiting())
        yield GaugeMetricFamily("perdure_ingress_parked", "Waiting requests whose partition has no known owner.", value=self._parked())

    def _requests(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "perdure_ingress_requests", "Calls and sends that ended.", labels=["service", "handler", "type", "outcome"]
        )
        durations = HistogramMetricFamily(
            "perdure_ingress_request_duration_seconds",
            "Calls and sends from their headers to their answer, the wait for the result included.",
            labels=["service", "handler", "type"],
        )
        for kind, meters in (("call", self._calls), ("send", self._sends)):
            for (service, handler), meter in meters.items():
                labels = [service, handler, kind]
                for name, count in zip(_OUTCOMES, meter.outcomes, strict=True):
                    requests.add_metric([*labels, name], count)  # also 0: the first one counts only where there was a sample before
                meter.durations.add_to(durations, labels)
        yield requests
        yield durations
