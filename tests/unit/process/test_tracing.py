"""Where spans are sent, as the settings say."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from prometheus_client import CollectorRegistry

from perdure.base.errors import ConfigurationError
from perdure.base.trace import TraceContext
from perdure.process.config import CommonConfig
from perdure.process.otlp import OtlpExporter, sender_to
from perdure.process.spans import Span
from perdure.process.tracing import SpanMetrics, open_exporter

A_SPAN = Span("name", TraceContext(1, 2, is_sampled=True, state="vendor=1"), 3, 4, 5, {"key": "value"}, error="broken")


class Collector(SpanExporter):
    """Takes batches once it is let, or refuses them."""

    def __init__(self, answer: SpanExportResult = SpanExportResult.SUCCESS) -> None:
        self.taken: list[ReadableSpan] = []
        self.answer = answer
        self.may_take = threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.may_take.wait()
        self.taken += spans
        return self.answer


def test_without_an_endpoint_there_is_no_exporter_and_no_opentelemetry() -> None:
    assert open_exporter(CommonConfig(), role="invoker", process_id="invoker-1", registry=CollectorRegistry()) is None
    program = (
        "import sys; from prometheus_client import CollectorRegistry; from perdure.process.config import CommonConfig; "
        "from perdure.process.tracing import open_exporter; "
        "open_exporter(CommonConfig(), role='invoker', process_id='1', registry=CollectorRegistry()); print('opentelemetry' in sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "False"


@pytest.mark.parametrize(
    "endpoint", ["collector", "collector:4317", "ftp://collector:4317", "http://collector", "http://:4317", "http://a:b"]
)
def test_an_endpoint_that_is_no_address_is_refused(endpoint: str) -> None:
    with pytest.raises(ConfigurationError, match="tracing_endpoint"):
        sender_to(endpoint, "grpc", {})


def test_a_span_is_sent_with_the_ids_that_it_came_with() -> None:
    collector = Collector()
    collector.may_take.set()
    exporter = OtlpExporter(collector, role="invoker", process_id="invoker-1")
    exporter.add(A_SPAN)
    asyncio.run(exporter.close())
    (sent,) = collector.taken
    assert sent.context is not None
    assert sent.parent is not None
    assert (sent.context.trace_id, sent.context.span_id, sent.parent.span_id) == (1, 2, 3)
    assert sent.context.trace_state.to_header() == "vendor=1"
    assert (sent.start_time, sent.end_time, sent.status.description) == (4, 5, "broken")
    assert sent.resource.attributes["service.instance.id"] == "invoker-1"


def test_a_collector_that_takes_nothing_keeps_no_process_from_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perdure.process.otlp.CLOSING_S_MAX", 0.05)
    collector = Collector()
    exporter = OtlpExporter(collector, role="invoker", process_id="invoker-1")
    exporter.add(A_SPAN)
    asyncio.run(exporter.close())
    assert collector.taken == []
    collector.may_take.set()


def counted(exporter: OtlpExporter) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(SpanMetrics(exporter.counts))
    return {
        outcome: registry.get_sample_value("perdure_tracing_spans_total", {"outcome": outcome}) or 0
        for outcome in ("sent", "refused", "dropped")
    }


def test_spans_that_find_no_place_are_dropped_and_counted_and_the_others_are_sent(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("perdure.process.otlp.SPANS_WAITING_MAX", 4)
    monkeypatch.setattr("perdure.process.otlp.SPANS_PER_MESSAGE_MAX", 4)
    monkeypatch.setattr("perdure.process.otlp.CLOSING_S_MAX", 30.0)
    collector = Collector()
    exporter = OtlpExporter(collector, role="invoker", process_id="invoker-1")
    added = 0
    while exporter.counts.taken < 4:  # the collector has the first batch in its hands
        exporter.add(A_SPAN)
        added += 1
    for _ in range(20):
        exporter.add(A_SPAN)
    collector.may_take.set()
    asyncio.run(exporter.close())
    counts = counted(exporter)
    assert counts["sent"] == len(collector.taken)
    assert counts["dropped"] >= 16
    assert counts["sent"] + counts["dropped"] == added + 20
    assert "dropping" in caplog.text


def test_spans_that_the_collector_refuses_are_counted() -> None:
    collector = Collector(SpanExportResult.FAILURE)
    collector.may_take.set()
    exporter = OtlpExporter(collector, role="invoker", process_id="invoker-1")
    exporter.add(A_SPAN)
    asyncio.run(exporter.close())
    assert counted(exporter) == {"sent": 0, "refused": 1, "dropped": 0}
