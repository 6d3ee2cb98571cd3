"""Spans of the suite, in words of its own: what a process tells of, and the names it uses."""

import enum
from typing import Protocol

import msgspec

from perdure.base.ids import InvocationId, format_invocation_id
from perdure.base.trace import TraceContext
from perdure.model.target import Target

Attributes = dict[str, str | int | bool]


class SpanKind(enum.Enum):
    """What a span is in the exchange between processes, in OpenTelemetry's words."""

    INTERNAL = "internal"
    SERVER = "server"
    CLIENT = "client"


class Span(msgspec.Struct, frozen=True):
    """Something that took its time, told when it is over. Times are Unix nanoseconds.

    Attributes:
        context: Its own; only sampled ones are told.
        parent_span_id: The span of the same trace that it belongs to; 0 for the first.
        link: The span of another trace that it follows from.
        error: Why it failed; None where it did not.
    """

    name: str
    context: TraceContext
    parent_span_id: int
    start_ns: int
    end_ns: int
    attributes: Attributes
    kind: SpanKind = SpanKind.INTERNAL
    link: TraceContext | None = None
    error: str | None = None


class Spans(Protocol):
    """Where spans go."""

    def add(self, span: Span) -> None:
        """Take a span; it is sent later, or dropped where too many wait. Never blocks."""
        ...


def short_name(target: Target) -> str:
    """Return a target for the names of spans: the same for all keys."""
    return f"{target.service}/{target.handler}" if target.key is None else f"{target.service}/{{key}}/{target.handler}"


def attributes_of(invocation_id: InvocationId, target: Target) -> Attributes:
    """Return what every span of an invocation says."""
    key = "" if target.key is None else f"{target.key}/"
    return {
        "rpc.system": "restate",
        "rpc.service": target.service,
        "rpc.method": target.handler,
        "restate.invocation.id": format_invocation_id(invocation_id),
        "restate.invocation.target": f"{target.service}/{key}{target.handler}",
    }


class SpanCounts:
    """What became of the spans of a process.

    Attributes:
        taken: Handed to whoever sends them.
        sent: The collector has them.
        refused: It did not take them in time, or not at all.
        dropped: Too many waited.
    """

    def __init__(self) -> None:
        self.taken = 0
        self.sent = 0
        self.refused = 0
        self.dropped = 0
        self._added = 0

    def note_added(self, *, waiting_max: int) -> None:
        """Note one more, which takes the place of another where `waiting_max` wait already."""
        if self._added - self.taken - self.dropped >= waiting_max:
            self.dropped += 1
        self._added += 1
