"""What events cause: writes for the next transaction, and what happens only after it has committed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from perdure.base.ids import InvocationId
from perdure.base.limits import VALUE_BYTES_MAX
from perdure.bus.messages import OwnerReply
from perdure.model.invocation import Status
from perdure.model.journal import AttemptError, Entry, Notification
from perdure.model.mail import Mail
from perdure.model.result import Outcome
from perdure.store.chunks import WHOLE_VALUE

if TYPE_CHECKING:
    from perdure.model.timer import Timer
    from services.invoker.machine.view import CachedState, Live


class Reply(msgspec.Struct, frozen=True, gc=False):
    """Answer a request of another process."""

    reply_subject: str
    reply: OwnerReply


class StartAttempt(msgspec.Struct, frozen=True, gc=False):
    """Run attempt `attempt` of an invocation as soon as there is a slot."""

    partition: int
    invocation_id: InvocationId
    attempt: int


class RetryAttempt(msgspec.Struct, frozen=True, gc=False):
    """Report `RetryDue` for attempt `attempt` after a delay."""

    partition: int
    invocation_id: InvocationId
    attempt: int
    delay_ms: int


class Forward(msgspec.Struct, frozen=True, gc=False):
    """Send a notification, journal entry `index`, to the open attempt; `as_ack` as a mere acknowledgement of a run."""

    invocation_id: InvocationId
    attempt: int
    index: int
    notification: Notification
    as_ack: bool = False


class AckCommand(msgspec.Struct, frozen=True, gc=False):
    """Tell the open attempt that command `command_index` is durable."""

    invocation_id: InvocationId
    attempt: int
    command_index: int


class StopAttempt(msgspec.Struct, frozen=True, gc=False):
    """Give up the exchange of an attempt whose results no longer count."""

    invocation_id: InvocationId
    attempt: int


class FailAttempt(msgspec.Struct, frozen=True, gc=False):
    """A command broke a rule: give up the exchange and report the failure of the attempt."""

    invocation_id: InvocationId
    attempt: int
    error: AttemptError


class SuspendAttempt(msgspec.Struct, frozen=True, gc=False):
    """Close the request side, so that the handler suspends."""

    invocation_id: InvocationId
    attempt: int


class ContinueOperation(msgspec.Struct, frozen=True, gc=False):
    """Find the next invocations that an operation may mean, and report `OperationAdvanced`."""

    partition: int
    operation_id: bytes


class Traced(NamedTuple):
    """What the journal of a running invocation took in, or the result that ended it. The indexes are those of the entry."""

    live: Live
    at_ms: int
    entry_index: int
    command_index: int
    what: Entry | Outcome


Effect = Reply | StartAttempt | RetryAttempt | Forward | AckCommand | StopAttempt | FailAttempt | SuspendAttempt | ContinueOperation


class Step:
    """What a batch of events causes. Rows go into the owner's next transaction; `after_commit` runs once it has committed.

    Attributes:
        writes: key -> value, or None to clear; the last write of a key counts.
        wide: As `writes`, for values that are, or replace, ones too large for a row.
        cleared: Prefixes to clear before the writes.
        states: Cached state that the batch writes.
        fired: Timers that fired: partition, timer.
        counts: Changes of the number of invocations: partition, service, handler, status -> difference.
        dirty: Invocations whose record changed; encoded once when the batch is sealed.
        outbox: Messages to other partitions that are not routed yet.
        mailed: Routed messages for partitions of other owners: partition, message.
        size_bytes: Bytes of the values written so far, records left out.
        touched: Partitions that the batch writes or answers for.
        traced: What happened, in order, for whoever traces it; None where nobody does.
    """

    __slots__ = (
        "after_commit",
        "cleared",
        "counts",
        "dirty",
        "fired",
        "mailed",
        "outbox",
        "size_bytes",
        "states",
        "touched",
        "traced",
        "wide",
        "writes",
    )

    def __init__(self, *, is_traced: bool = False) -> None:
        self.traced: list[Traced] | None = [] if is_traced else None
        self.writes: dict[bytes, bytes | None] = {}
        self.wide: dict[bytes, bytes | None] = {}
        self.cleared: list[bytes] = []
        self.dirty: dict[InvocationId, Live] = {}
        self.counts: dict[tuple[int, str, str, Status], int] = {}
        self.states: set[CachedState] = set()
        self.fired: list[tuple[int, Timer]] = []
        self.size_bytes = 0
        self.outbox: list[tuple[int, Mail]] = []
        self.mailed: list[tuple[int, Mail]] = []
        self.touched: set[int] = set()
        self.after_commit: list[Effect] = []

    @property
    def is_empty(self) -> bool:
        return not (self.has_effects or self.writes or self.dirty or self.cleared or self.wide)

    @property
    def has_effects(self) -> bool:
        """Whether somebody gets to know of it once it has committed."""
        return bool(self.after_commit or self.mailed)

    def put_value(self, key: bytes, value: bytes | None, *, was_wide: bool = False) -> None:
        """Write or clear a value of any size; `was_wide` says that the one before may have been too large for a row."""
        if was_wide or (value is not None and len(value) > VALUE_BYTES_MAX):
            self.writes.pop(key, None)
            self.wide[key] = value
        else:
            self.wide.pop(key, None)
            self.writes[key] = None if value is None else WHOLE_VALUE + value
        if value is not None:
            self.size_bytes += len(value)

    def clear_prefix(self, prefix: bytes) -> None:
        """Clear all keys under a prefix, those that this batch wrote included; looks at every row of the batch."""
        for rows in (self.writes, self.wide):
            for key in [key for key in rows if key.startswith(prefix)]:
                del rows[key]
        self.cleared.append(prefix)
