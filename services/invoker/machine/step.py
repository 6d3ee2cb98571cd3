"""What events cause: writes for the next transaction, and what happens only after it has committed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from perdure.base.ids import InvocationId
from perdure.bus.messages import OwnerReply
from perdure.model.journal import AttemptError, Notification
from services.invoker.machine.mail import Mail

if TYPE_CHECKING:
    from services.invoker.machine.view import Live


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


Effect = Reply | StartAttempt | RetryAttempt | Forward | AckCommand | StopAttempt | FailAttempt | SuspendAttempt


class Step:
    """What a batch of events causes. Rows go into the owner's next transaction; `after_commit` runs once it has committed.

    Attributes:
        writes: key -> value, or None to clear; the last write of a key counts.
        cleared: Prefixes to clear before the writes.
        dirty: Invocations whose record changed; encoded once when the batch is sealed.
        outbox: Messages to other partitions that are not routed yet.
        mailed: Routed messages for partitions of other owners: partition, message.
        touched: Partitions that the batch writes.
    """

    __slots__ = ("after_commit", "cleared", "dirty", "mailed", "outbox", "touched", "writes")

    def __init__(self) -> None:
        self.writes: dict[bytes, bytes | None] = {}
        self.cleared: list[bytes] = []
        self.dirty: dict[InvocationId, Live] = {}
        self.outbox: list[tuple[int, Mail]] = []
        self.mailed: list[tuple[int, Mail]] = []
        self.touched: set[int] = set()
        self.after_commit: list[Effect] = []

    @property
    def is_empty(self) -> bool:
        return not (self.after_commit or self.writes or self.dirty or self.mailed or self.cleared)

    def clear_prefix(self, prefix: bytes) -> None:
        """Clear all keys under a prefix, those that this batch wrote included; looks at every row of the batch."""
        for key in [key for key in self.writes if key.startswith(prefix)]:
            del self.writes[key]
        self.cleared.append(prefix)
