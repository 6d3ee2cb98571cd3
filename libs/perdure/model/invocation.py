"""The record of an invocation and what hangs on it. Source: shared/spec/lifecycle.md, section 3."""

import enum

import msgspec

from perdure.base.ids import InvocationId
from perdure.model.journal import Future
from perdure.model.result import Outcome
from perdure.model.target import Target


class Status(enum.IntEnum):
    """Stored status. `INVOKED` shows as ready, running or backing-off, which only the owner's memory can tell."""

    SCHEDULED = 0
    INBOXED = 1
    INVOKED = 2
    SUSPENDED = 3
    PAUSED = 4
    COMPLETED = 5


class IngressSink(msgspec.Struct, frozen=True, array_like=True, tag=0, gc=False):
    """A request that waits at an ingress process; only in memory, since the ingress re-attaches after a takeover."""

    reply_subject: str
    request_id: int
    wants_target: bool = False
    """It knows only the id: the answer says whose result it is."""


class CallSink(msgspec.Struct, frozen=True, array_like=True, tag=1, gc=False):
    """A call or attach command of another invocation that waits for the result."""

    caller_id: InvocationId
    completion_id: int
    is_attach: bool = False


Sink = IngressSink | CallSink


class Source(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Who created an invocation: `ingress`, `service` (with the caller), `subscription`, `restart_as_new`."""

    kind: str = "ingress"
    invocation_id: InvocationId | None = None
    target: Target | None = None
    subscription_id: str | None = None
    request: tuple[str, int] | None = None
    """Reply subject and request id of the ingress request: the same again is a repetition, not a second call."""
    restarted_from: InvocationId | None = None


class Pin(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The deployment and protocol version that an invocation stays with from its first journaled command on."""

    deployment_id: str
    protocol_version: int


class AttemptTimings(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where the time of the last attempt went, in microseconds."""

    waited_for_slot_us: int = 0
    to_first_byte_us: int = 0
    in_handler_us: int = 0
    in_commits_us: int = 0


class InvocationRecord(msgspec.Struct, array_like=True):
    """What the store keeps of an invocation. Mutable: the owner's machine is the only writer."""

    target: Target
    status: Status
    created_at_ms: int
    modified_at_ms: int
    source: Source = Source()
    idempotency_key: str | None = None
    execution_at_ms: int | None = None
    completion_retention_ms: int = 0
    journal_retention_ms: int = 0
    sinks: list[CallSink] = []
    pin: Pin | None = None
    journal_length: int = 0
    command_count: int = 0
    awaiting: Future | None = None
    inbox_sequence: int | None = None
    result: Outcome | None = None
    completed_at_ms: int | None = None
    running_at_ms: int | None = None
    inboxed_at_ms: int | None = None
    scheduled_at_ms: int | None = None
    retry_attempts: int = 0
    """Attempts of the stretch that ended in a pause; live counts are the owner's memory."""
    timings: AttemptTimings = AttemptTimings()
    traceparent: str | None = None
    event_count: int = 0
    """Journal events that are kept."""
    created_by: str = ""
    """Version of the software that admitted it."""
    tracestate: str = ""
    starts_trace: bool = False
    """It was sent, or restarted: `traceparent` is not the parent but who caused it, and the invocation begins a trace of its own."""
