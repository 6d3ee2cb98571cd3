"""Whom a process hands its spans to. Nothing of OpenTelemetry is imported before it is wanted."""

from collections.abc import Iterable
from typing import Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from perdure.process.config import CommonConfig
from perdure.process.spans import SpanCounts, Spans


class Exporter(Spans, Protocol):
    """Sends spans in the background."""

    async def close(self) -> None:
        """Send what is left, for a bounded time."""
        ...


class SpanMetrics(Collector):
    """What became of the spans of this process."""

    def __init__(self, counts: SpanCounts) -> None:
        self._counts = counts

    def collect(self) -> Iterable[Metric]:
        """Return the present figures."""
        spans = CounterMetricFamily("perdure_tracing_spans", "Spans, by what became of them.", labels=["outcome"])
        for outcome in ("sent", "refused", "dropped"):
            spans.add_metric([outcome], getattr(self._counts, outcome))
        yield spans


def open_exporter(config: CommonConfig, *, role: str, process_id: str, registry: CollectorRegistry) -> Exporter | None:
    """Return what sends this process's spans and counts them in `registry`, or None where the configuration names no endpoint.

    Raises:
        ConfigurationError: The endpoint is no address.
    """
    if not config.tracing_endpoint:
        return None
    from perdure.process.otlp import OtlpExporter, sender_to  # 150 ms and 10 MB that only those pay who trace

    sender = sender_to(config.tracing_endpoint, config.tracing_protocol, config.tracing_headers)
    exporter = OtlpExporter(sender, role=role, process_id=process_id)
    registry.register(SpanMetrics(exporter.counts))
    return exporter
