"""Where spans are sent, as the settings say."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from perdure.base.errors import ConfigurationError
from perdure.base.trace import TraceContext
from perdure.process.config import CommonConfig
from perdure.process.otlp import OtlpExporter, sender_to
from perdure.process.spans import Span
from perdure.process.tracing import open_exporter

A_SPAN = Span("name", TraceContext(1, 2, is_sampled=True, state="vendor=1"), 3, 4, 5, {"key": "value"}, error="broken")


class Collector(SpanExporter):
    """Takes batches once it is let."""

    def __init__(self) -> None:
        self.taken: list[ReadableSpan] = []
        self.may_take = threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.may_take.wait()
        self.taken += spans
        return SpanExportResult.SUCCESS


def test_without_an_endpoint_there_is_no_exporter_and_no_opentelemetry() -> None:
    assert open_exporter(CommonConfig(), role="invoker", process_id="invoker-1") is None
    program = (
        "import sys; from perdure.process.config import CommonConfig; from perdure.process.tracing import open_exporter; "
        "open_exporter(CommonConfig(), role='invoker', process_id='1'); print('opentelemetry' in sys.modules)"
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
