"""The span of a request, and what the invocation is told of it."""

import asyncio
from collections.abc import Callable

import pytest

from perdure.base.ids import invocation_id
from perdure.base.trace import TraceContext, parse_traceparent
from perdure.bus.messages import Accepted, Completed, Invoke, OwnerReply
from perdure.model.result import Failure, Success
from perdure.model.target import HandlerType, Target
from perdure.process.spans import Span, SpanKind
from services.ingress.tracing import Tracer

UUID = 0xABC
CALLER = TraceContext(0xA1, 0xB2, is_sampled=True, state="vendor=1")


class StillClock:
    def now_ms(self) -> int:
        return 1_000


class FixedRandom:
    def bytes(self, size: int) -> bytes:
        return b"\x07".rjust(size, b"\x00")

    def fraction(self) -> float:
        return 0.0


class Told(list[Span]):
    def add(self, span: Span) -> None:
        self.append(span)


def an_invoke(context: TraceContext | None) -> Invoke:
    target = Target("Svc", "handle", None, HandlerType.PLAIN)
    traceparent, state = (None, "") if context is None else (context.traceparent, context.state)
    return Invoke(1, invocation_id(5, UUID.to_bytes(16, "big")), target, b"", (), True, traceparent=traceparent, tracestate=state)


def traced(
    context: TraceContext | None, answer: Callable[[], OwnerReply] = lambda: Accepted(1), *, ratio: float = 1.0
) -> tuple[Told, Invoke]:
    """Trace a request; return what was told and what the owner was asked."""
    told = Told()

    async def scenario() -> Invoke:
        with Tracer(told, ratio, StillClock(), FixedRandom()).request(an_invoke(context), ("10.0.0.7", 4711)) as request:
            request.reply = answer()
        return request.invoke

    return told, asyncio.run(scenario())


def test_a_request_is_a_child_of_its_caller_and_the_invocation_a_child_of_the_request() -> None:
    (span,), asked = traced(CALLER)
    assert (span.name, span.kind, span.parent_span_id) == ("ingress Svc/handle", SpanKind.SERVER, CALLER.span_id)
    assert span.context == CALLER.with_span(7)
    assert (span.attributes["client.socket.address"], span.attributes["client.socket.port"]) == ("10.0.0.7", 4711)
    assert asked.traceparent == span.context.traceparent
    assert asked.tracestate == "vendor=1"


def test_a_request_that_nobody_traced_begins_the_trace_of_its_invocation() -> None:
    (span,), asked = traced(None)
    assert (span.context.trace_id, span.parent_span_id) == (UUID, 0)
    assert asked.traceparent == span.context.traceparent


@pytest.mark.parametrize(("context", "ratio"), [(TraceContext(0xA1, 0xB2, is_sampled=False), 1.0), (None, 0.0)])
def test_what_is_not_sampled_is_not_told_but_the_invocation_knows(context: TraceContext | None, ratio: float) -> None:
    told, asked = traced(context, ratio=ratio)
    assert told == []
    assert asked.traceparent is not None
    parsed = parse_traceparent(asked.traceparent)
    assert parsed is not None
    assert not parsed.is_sampled


def test_a_sampled_caller_is_traced_whatever_the_ratio() -> None:
    assert len(traced(CALLER, ratio=0.0)[0]) == 1


def test_a_failed_invocation_fails_the_request() -> None:
    assert [span.error for span in traced(CALLER, lambda: Completed(1, Failure(500, "broken")))[0]] == ["broken"]
    assert [span.error for span in traced(CALLER, lambda: Completed(1, Success(b"")))[0]] == [None]


def test_a_request_that_is_refused_is_told_with_the_reason() -> None:
    told = Told()

    async def scenario() -> None:
        with pytest.raises(OSError, match="gone"), Tracer(told, 1.0, StillClock(), FixedRandom()).request(an_invoke(CALLER)):
            raise OSError("gone")

    asyncio.run(scenario())
    assert [span.error for span in told] == ["OSError"]
