"""Spans over OTLP: OpenTelemetry's exporters and its queue, fed with spans whose ids are ours. Imported only where traces are wanted.

Source: OTLP specification 1.x; W3C Trace Context.
"""

import asyncio
import contextlib
import functools
import threading
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from perdure.base.errors import ConfigurationError
from perdure.base.trace import TraceContext
from perdure.base.version import SOFTWARE_VERSION
from perdure.process.spans import Span, SpanCounts

SPANS_WAITING_MAX: Final = 8_192
"""Spans that wait to be sent; beyond them the oldest are dropped, counted and with a warning."""
SPANS_PER_MESSAGE_MAX: Final = 512
SEND_INTERVAL_MS: Final = 1_000
"""How long a span waits for others; what a killed process loses is not more than this."""
SEND_TIMEOUT_S: Final = 5
CLOSING_S_MAX: Final = 1.0
"""How long a process that stops tries to send what is left."""

_HTTP_PATH: Final = "/v1/traces"
_FLAGS: Final = TraceFlags(TraceFlags.SAMPLED)


class _CountingSender(SpanExporter):
    """Notes what became of each batch; in the thread that sends."""

    def __init__(self, sender: SpanExporter, counts: SpanCounts) -> None:
        self._sender = sender
        self._counts = counts

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._counts.taken += len(spans)
        result = self._sender.export(spans)
        if result is SpanExportResult.SUCCESS:
            self._counts.sent += len(spans)
        else:
            self._counts.refused += len(spans)
        return result

    def shutdown(self) -> None:
        self._sender.shutdown()


class OtlpExporter:
    """Sends spans in the background, from a thread of its own.

    Args:
        sender: Sends a batch, and may take its time.
    """

    def __init__(self, sender: SpanExporter, *, role: str, process_id: str) -> None:
        self.counts = SpanCounts()
        self._processor = BatchSpanProcessor(
            _CountingSender(sender, self.counts),
            max_queue_size=SPANS_WAITING_MAX,
            schedule_delay_millis=SEND_INTERVAL_MS,
            max_export_batch_size=SPANS_PER_MESSAGE_MAX,
        )
        self._resource = Resource.create(
            {
                "service.name": f"perdure-{role}",
                "service.namespace": "perdure",
                "service.instance.id": process_id,
                "service.version": SOFTWARE_VERSION,
            }
        )
        self._scope = InstrumentationScope("perdure", SOFTWARE_VERSION)

    def add(self, span: Span) -> None:
        """Queue a span; where too many wait, the oldest goes."""
        self.counts.note_added(waiting_max=SPANS_WAITING_MAX)
        context = span.context
        self._processor.on_end(
            ReadableSpan(
                span.name,
                _span_context(context),
                _span_context(context.with_span(span.parent_span_id)) if span.parent_span_id else None,
                self._resource,
                span.attributes,
                links=() if span.link is None else (Link(_span_context(span.link)),),
                kind=SpanKind[span.kind.name],
                status=Status() if span.error is None else Status(StatusCode.ERROR, span.error),
                start_time=span.start_ns,
                end_time=span.end_ns,
                instrumentation_scope=self._scope,
            )
        )

    async def close(self) -> None:
        """Send what is left; a collector that does not answer is given up after `CLOSING_S_MAX`."""
        loop = asyncio.get_running_loop()
        closed = asyncio.Event()

        def shut_down() -> None:
            self._processor.shutdown()
            with contextlib.suppress(RuntimeError):  # the loop is closed: it was given up
                loop.call_soon_threadsafe(closed.set)

        # A thread that nobody waits for at the end of the process, unlike those of the loop's executor.
        threading.Thread(target=shut_down, daemon=True).start()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_S_MAX):
                await closed.wait()


def _span_context(context: TraceContext) -> SpanContext:
    return SpanContext(context.trace_id, context.span_id, is_remote=False, trace_flags=_FLAGS, trace_state=_state_of(context.state))


@functools.lru_cache(maxsize=256)
def _state_of(text: str) -> TraceState:
    return TraceState.from_header([text])


def sender_to(endpoint: str, protocol: str, headers: dict[str, str]) -> SpanExporter:
    """Return what sends spans to a collector.

    Args:
        endpoint: `http://` or `https://` with host and port; for `http` a path may be given, `/v1/traces` if there is none.
        protocol: `grpc` or `http`.
        headers: Sent with each message.

    Raises:
        ConfigurationError: The endpoint is no such address.
    """
    _check(endpoint)
    named = {name.lower(): value for name, value in headers.items()}
    if protocol == "http":
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter

        url = endpoint if urlsplit(endpoint).path.strip("/") else endpoint.rstrip("/") + _HTTP_PATH
        return HttpExporter(url, headers=named, timeout=SEND_TIMEOUT_S)
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter

    return GrpcExporter(endpoint, insecure=endpoint.startswith("http://"), headers=named or None, timeout=SEND_TIMEOUT_S)


def _check(endpoint: str) -> None:
    try:
        parts = urlsplit(endpoint)
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port is not None
    except ValueError:
        is_address = False
    if not is_address:
        raise ConfigurationError(f"tracing_endpoint {endpoint!r} is not http://host:port or https://host:port")
