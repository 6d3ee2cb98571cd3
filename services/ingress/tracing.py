"""Spans of requests: from asking the owner to its answer. Source: shared/spec/ingress.md, section 23."""

import asyncio
import contextlib
from collections.abc import Generator

import msgspec

from perdure.base.clock import Clock, Random
from perdure.base.ids import InvocationId
from perdure.base.trace import TraceContext, is_in_sample, parse_traceparent
from perdure.bus.messages import Completed, Invoke, OwnerReply
from perdure.model.result import Failure
from perdure.process.spans import Span, SpanKind, Spans, attributes_of, short_name
from services.ingress.asgi import Client


class TracedRequest:
    """An invoke on its way, told to be a child of the span that ends with it; `reply` is what came of it."""

    __slots__ = ("invoke", "reply")

    def __init__(self, invoke: Invoke) -> None:
        self.invoke = invoke
        self.reply: OwnerReply | None = None


class Tracer:
    """Tells of each invoke; the invocation becomes a child of the request."""

    def __init__(self, spans: Spans, sample_ratio: float, clock: Clock, random: Random) -> None:
        self._spans = spans
        self._sample_ratio = sample_ratio
        self._clock = clock
        self._random = random
        self._time = asyncio.get_running_loop().time

    @contextlib.contextmanager
    def request(self, invoke: Invoke, client: Client | None = None) -> Generator[TracedRequest]:
        """Tell of what happens within; whoever is inside sends the invoke of the request and leaves the reply there."""
        parent = None if invoke.traceparent is None else parse_traceparent(invoke.traceparent, invoke.tracestate)
        context = self._begun(invoke.invocation_id) if parent is None else parent.with_span(self._span_id())
        request = TracedRequest(msgspec.structs.replace(invoke, traceparent=context.traceparent))
        start_ns, started_at_s = self._clock.now_ms() * 1_000_000, self._time()
        error: str | None = None
        try:
            yield request
            error = _error_of(request.reply)
        except BaseException as raised:
            error = type(raised).__name__
            raise
        finally:
            if context.is_sampled:
                end_ns = start_ns + round((self._time() - started_at_s) * 1e9)
                attributes = attributes_of(invoke.invocation_id, invoke.target)
                if client is not None:
                    attributes |= {"client.socket.address": client[0], "client.socket.port": client[1]}
                parent_span_id = 0 if parent is None else parent.span_id
                name = f"ingress {short_name(invoke.target)}"
                self._spans.add(Span(name, context, parent_span_id, start_ns, end_ns, attributes, SpanKind.SERVER, error=error))

    def _begun(self, invocation_id: InvocationId) -> TraceContext:
        trace_id = int.from_bytes(invocation_id[8:], "big")
        return TraceContext(trace_id, self._span_id(), is_in_sample(trace_id, self._sample_ratio))

    def _span_id(self) -> int:
        return int.from_bytes(self._random.bytes(8), "big") or 1


def _error_of(reply: OwnerReply | None) -> str | None:
    return reply.result.message if isinstance(reply, Completed) and isinstance(reply.result, Failure) else None
