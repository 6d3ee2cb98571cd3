"""What can happen to a partition: facts in the past tense. Whatever needs a clock, randomness or the schema arrives in them."""

import msgspec

from perdure.base.ids import InvocationId
from perdure.bus.messages import OwnerRequest
from perdure.model.invocation import AttemptTimings, Pin, Source
from perdure.model.journal import AttemptError, Call, Command, Future, OneWayCall, RunProposal
from perdure.model.mail import InvokeMail, Mail, SignalMail
from perdure.model.result import Outcome
from perdure.model.target import Target
from perdure.model.timer import Timer
from perdure.registry.retry import EffectiveRetryPolicy


class _Event(msgspec.Struct, frozen=True, gc=False):
    pass


class RequestReceived(_Event, frozen=True):
    """Another process asked; replies go to `reply_subject`."""

    reply_subject: str
    request: OwnerRequest
    new_uuid: bytes = b""
    """Fresh 16 bytes for an operation that makes a new invocation."""
    blob_prefix: bytes = b""
    """Where a part of the request was in the store: cleared in the step that applies it."""


class MailReceived(_Event, frozen=True):
    """A message from another partition; `mail_key` is the row to clear, and `body_key` that of its body; empty if there is none."""

    mail: Mail
    mail_key: bytes = b""
    body_key: bytes = b""


class CommandSent(_Event, frozen=True):
    """The attempt sent a command."""

    command: Command
    wants_ack: bool = False


class CallResolved(_Event, frozen=True):
    """The attempt sent a call, and the schema told whom it reaches."""

    command: Command
    target: Target
    source: Source
    wants_ack: bool = False
    traceparent: str | None = None
    tracestate: str = ""
    starts_trace: bool = False
    """The context is whom the callee names as its sender, not its parent."""


class BuiltInCalled(_Event, frozen=True):
    """The attempt called a service of the server's own: what is to be sent, if anything, and the answer, which only a `Call` gets."""

    command: Call | OneWayCall
    mail: InvokeMail | SignalMail | None
    answer: Outcome
    wants_ack: bool = False


class CommandRefused(_Event, frozen=True):
    """The attempt sent a command that breaks a rule which only the shell can check."""

    error: AttemptError


AttemptItem = CommandSent | CallResolved | BuiltInCalled | CommandRefused | RunProposal


class AttemptProgressed(_Event, frozen=True):
    """The attempt sent commands and proposals, in this order."""

    invocation_id: InvocationId
    attempt: int
    pin: Pin
    items: list[AttemptItem]


class AttemptSuspended(_Event, frozen=True):
    """The attempt waits for something and left."""

    invocation_id: InvocationId
    attempt: int
    awaiting: Future
    timings: AttemptTimings


class AttemptEnded(_Event, frozen=True):
    """The handler returned; its last output is the result."""

    invocation_id: InvocationId
    attempt: int
    timings: AttemptTimings


class AttemptFailed(_Event, frozen=True):
    """The attempt broke. `jitter` is a fraction in [0, 1)."""

    invocation_id: InvocationId
    attempt: int
    error: AttemptError
    policy: EffectiveRetryPolicy
    jitter: float
    timings: AttemptTimings


class RetryDue(_Event, frozen=True):
    """The delay after a failed attempt is over."""

    invocation_id: InvocationId
    attempt: int


class TimerFired(_Event, frozen=True):
    """A timer's time has come by the owner's clock."""

    timer: Timer


class OperationAdvanced(_Event, frozen=True):
    """The next invocations in order of ids that an operation may mean; after them there are no more if `is_last`."""

    operation_id: bytes
    invocation_ids: tuple[InvocationId, ...]
    is_last: bool


Event = (
    RequestReceived
    | MailReceived
    | AttemptProgressed
    | AttemptSuspended
    | AttemptEnded
    | AttemptFailed
    | RetryDue
    | TimerFired
    | OperationAdvanced
)
