"""Which trace an invocation belongs to, and the ids of its spans: functions of what is stored, the same for every owner.

Pure. Source: shared/spec/lifecycle.md, 1.4 and 5.1; docs/guides/tracing.md.
"""

import msgspec

from perdure.base.ids import InvocationId
from perdure.base.trace import TraceContext, is_in_sample, parse_traceparent, span_id_of
from perdure.model.invocation import InvocationRecord


class Lineage(msgspec.Struct, frozen=True):
    """The span of an invocation, what is above it, and whom it follows if it is the first of its trace."""

    context: TraceContext
    parent_span_id: int
    link: TraceContext | None = None

    def attempt(self, epoch: int, number: int) -> TraceContext:
        """Return the span of an attempt: attempts are numbered anew by every owner, and an epoch has one."""
        return self._span(b"attempt", epoch, number)

    def command(self, index: int) -> TraceContext:
        """Return the span of a command."""
        return self._span(b"command", index)

    def signal(self, entry_index: int) -> TraceContext:
        """Return the span of a signal that arrived."""
        return self._span(b"signal", entry_index)

    def _span(self, *parts: bytes | int) -> TraceContext:
        return self.context.with_span(span_id_of(self.context.span_id, *parts))


def lineage_of(invocation_id: InvocationId, record: InvocationRecord, sample_ratio: float) -> Lineage:
    """Return where an invocation is among spans: below its caller; or first of a trace that has its uuid as id, for sends as for what
    nobody traced before.

    The time of admission is in the span's id, as an idempotency key can bring the same id again.
    """
    span_id = span_id_of(invocation_id, record.created_at_ms)
    caller = None if record.traceparent is None else parse_traceparent(record.traceparent, record.tracestate)
    if caller is not None and not record.starts_trace:
        return Lineage(caller.with_span(span_id), caller.span_id)
    trace_id = int.from_bytes(invocation_id[8:], "big")
    is_sampled = is_in_sample(trace_id, sample_ratio) if caller is None else caller.is_sampled
    return Lineage(TraceContext(trace_id, span_id, is_sampled), 0, caller)
