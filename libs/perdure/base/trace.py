"""Trace contexts: the W3C headers, and contexts that follow from what is durable, so that whoever asks later finds the same ones.

Pure. Source: W3C Trace Context, sections 3.2 and 3.3; shared/spec/lifecycle.md, 1.4; shared/spec/service-protocol.md, 2.1.
"""

import re
from typing import Final

import msgspec
import xxhash

_TRACEPARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_STATE_MEMBER: Final = re.compile(
    r"([a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})"
    r"=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)
STATE_CHARACTERS_MAX: Final = 512
STATE_MEMBERS_MAX: Final = 32
_TRACEPARENT_CHARACTERS: Final = 55
_SAMPLED: Final = 1
_HALF: Final = 1 << 64


class TraceContext(msgspec.Struct, frozen=True, gc=False):
    """A span as others see it: the trace of 128 bits, its own id of 64, neither of them 0."""

    trace_id: int
    span_id: int
    is_sampled: bool
    state: str = ""
    """The vendors' part, `tracestate`, passed on as it came."""

    @property
    def traceparent(self) -> str:
        """Return the header that makes what follows a child of this span."""
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{'01' if self.is_sampled else '00'}"

    def with_span(self, span_id: int) -> "TraceContext":
        """Return another span of the same trace."""
        return TraceContext(self.trace_id, span_id, self.is_sampled, self.state)


def parse_traceparent(text: str, state: str = "") -> TraceContext | None:
    """Return the context of a `traceparent`, None where it is none; a version to come may add parts, version 0 may not."""
    parts = _TRACEPARENT.fullmatch(text)
    if parts is None or parts[1] == "ff" or (parts[1] == "00" and parts[5]):
        return None
    trace_id, span_id = int(parts[2], 16), int(parts[3], 16)
    if not trace_id or not span_id:
        return None
    return TraceContext(trace_id, span_id, bool(int(parts[4], 16) & _SAMPLED), state)


def known_part_of(traceparent: str) -> str:
    """Return a valid `traceparent` as one of version 0, without what versions to come may add."""
    return f"00{traceparent[2:_TRACEPARENT_CHARACTERS]}"


def tracestate_of(text: str) -> str:
    """Return the `tracestate` that a client sent, or an empty one where it breaks the rules or is longer than must be passed on."""
    if not text or len(text) > STATE_CHARACTERS_MAX:
        return ""
    members = [member for part in text.split(",") if (member := part.strip(" \t"))]
    keys = {found[1] for member in members if (found := _STATE_MEMBER.fullmatch(member)) is not None}
    return ",".join(members) if len(keys) == len(members) <= STATE_MEMBERS_MAX else ""


def span_id_of(*parts: bytes | int) -> int:
    """Return the id of the span that `parts` identify; numbers are of 64 bits."""
    raw = b"".join([part.to_bytes(8, "big") if isinstance(part, int) else part for part in parts])
    return xxhash.xxh3_64_intdigest(raw) or 1


def is_in_sample(trace_id: int, ratio: float) -> bool:
    """Return whether a trace without parent is among those that are sampled; every process says the same."""
    return trace_id % _HALF < ratio * _HALF
