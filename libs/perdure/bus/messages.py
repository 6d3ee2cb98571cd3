"""Every message between processes, msgpack on the bus. Fields are only ever added, at the end and with a default.

The first field of each envelope is the version of its format; a receiver refuses a newer one than it knows.
"""

from typing import Final, Literal, TypeVar

import msgspec

from perdure.base.ids import InvocationId
from perdure.model.journal import Future, Headers
from perdure.model.result import Failure, Outcome, Success, Void
from perdure.model.state import StateMutation
from perdure.model.target import Target

VERSION: Final = 1
M = TypeVar("M", bound="_Message")
LogLevel = Literal["debug", "info", "warning", "error"]


class _Message(msgspec.Struct, frozen=True, array_like=True, gc=False):
    pass


# Ingress to the owner of a partition.


class Invoke(_Message, frozen=True, tag=1):
    """Admit an invocation. With `wants_result` the reply is `Completed`, without it `Accepted`."""

    request_id: int
    invocation_id: InvocationId
    target: Target
    body: bytes
    headers: Headers
    wants_result: bool
    idempotency_key: str | None = None
    is_fresh: bool = False
    """The id is random and sent for the first time: an owner that has taken no partition since need not look for an earlier one."""
    execution_at_ms: int | None = None
    completion_retention_ms: int = 0
    journal_retention_ms: int = 0
    body_blob_id: bytes | None = None
    """Where the body is in the store, if it is too large for the bus."""
    traceparent: str | None = None
    tracestate: str = ""

    def as_repeat(self) -> "Invoke":
        """Return it for an owner that must look for an earlier one."""
        return msgspec.structs.replace(self, is_fresh=False) if self.is_fresh else self


class Attach(_Message, frozen=True, tag=2):
    """Wait for the result of an invocation. Replies: `Completed`, `NotFound`."""

    request_id: int
    invocation_id: InvocationId


class GetOutput(_Message, frozen=True, tag=3):
    """Read the result of an invocation. Replies: `Completed`, `NotReady`, `NotFound`."""

    request_id: int
    invocation_id: InvocationId


class SendSignalTo(_Message, frozen=True, tag=4):
    """Deliver a signal (an awakeable's result). Reply: `Accepted`, also where nobody is there to take it."""

    request_id: int
    invocation_id: InvocationId
    signal_index: int | None
    signal_name: str | None
    result: Success | Failure | Void
    result_blob_id: bytes | None = None
    """Where the value is in the store, if it is too large for the bus; `result` is then an empty success."""


class Operate(_Message, frozen=True, tag=5):
    """An operator's action on one invocation. Reply: `Operated`."""

    request_id: int
    invocation_id: InvocationId
    action: str
    """`cancel`, `kill`, `purge`, `purge_journal`, `pause`, `resume`, `restart_as_new`"""
    deployment: str | None = None
    """`latest`, `keep` or a deployment id, for resume and restart_as_new."""
    from_entry: int = 0


class InvocationFilter(_Message, frozen=True):
    """Which invocations an operation means; an empty field means all. Statuses as stored: `scheduled`, `suspended`, ..."""

    services: tuple[str, ...] = ()
    handlers: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()


class OperateMany(_Message, frozen=True, tag=6):
    """An operator's action on all invocations of one partition that match. Reply: `Operated` with `accepted`, once it is durable.

    It is carried out in bounded chunks, and goes on where it was if the owner changes. Not for `restart_as_new`.
    """

    request_id: int
    partition: int
    action: str
    filter: InvocationFilter
    deployment: str | None = None


class MutateState(_Message, frozen=True, tag=7):
    """Replace the state of an object or workflow of one partition. Reply: `Accepted`, once it is durable, whatever comes of it."""

    request_id: int
    partition: int
    service: str
    key: str
    mutation: StateMutation
    mutation_blob_id: bytes | None = None
    """Where the mutation is in the store (msgpack), if it is too large for the bus; `mutation` is then without entries."""


OwnerRequest = Invoke | Attach | GetOutput | SendSignalTo | Operate | OperateMany | MutateState


class OwnerRequests(_Message, frozen=True):
    """What one process asks of the partitions of one invoker."""

    version: int
    reply_subject: str
    requests: list[OwnerRequest]
    generation: int = -1
    """The last that the invoker has announced: only there are requests fresh that say so."""


# Owner of a partition to the process that asked.


class Accepted(_Message, frozen=True, tag=1):
    """The invocation is durable. `is_new` is false where an earlier one with the same id was found."""

    request_id: int
    execution_at_ms: int | None = None
    is_new: bool = True


class Completed(_Message, frozen=True, tag=2):
    """The result. `expires_at_ms` is set where it was read from a retained completion."""

    request_id: int
    result: Outcome
    expires_at_ms: int | None = None
    result_blob_id: bytes | None = None
    """Where the value is in the store, if it is too large for the bus; `result` is then an empty success."""
    target: Target | None = None
    """Whose result it is; set in answers to `Attach` and `GetOutput`, whose asker may know nothing but an id."""


class NotReady(_Message, frozen=True, tag=3):
    request_id: int


class NotFound(_Message, frozen=True, tag=4):
    request_id: int


class NotOwner(_Message, frozen=True, tag=5):
    """This process does not own the partition (any more); ask the owner that the next announcement names."""

    request_id: int


class Overloaded(_Message, frozen=True, tag=6):
    """The owner refused to queue more; nothing was stored."""

    request_id: int


class Operated(_Message, frozen=True, tag=7):
    """The outcome of an `Operate`: `done`, `appended`, or the name of the refusal, and the new id for restart_as_new."""

    request_id: int
    outcome: str
    new_invocation_id: InvocationId | None = None


OwnerReply = Accepted | Completed | NotReady | NotFound | NotOwner | Overloaded | Operated


class OwnerReplies(_Message, frozen=True):
    """All replies of one commit to one process."""

    version: int
    replies: list[OwnerReply]


# Between all processes.


class Announcement(_Message, frozen=True):
    """An invoker now owns these partitions: whoever waits on them re-attaches."""

    version: int
    invoker_id: str
    partitions: list[int]
    epoch_by_partition: dict[int, int]
    generation: int = -1
    """How many partitions this process has ever taken: whatever was sent before it took one may come late."""


class Doorbell(_Message, frozen=True):
    """There is mail for these partitions. Carries no truth."""

    version: int
    partitions: list[int]


class SchemaChanged(_Message, frozen=True):
    """Admin changed metadata; `meta_version` is the counter in the store after it."""

    version: int
    meta_version: int


STALLED_MS: Final = "stalled_ms"
"""Counter in heartbeats of invokers: the age of the oldest event that has not committed."""
STORE_WAIT_MS: Final = "store_wait_ms"
"""Counter in heartbeats of invokers: for how long the store has been keeping one waiting, with whatever it asked first."""


class Heartbeat(_Message, frozen=True):
    """Sent every second by every process; the last one, with `is_leaving`, when it stops."""

    version: int
    role: str
    process_id: str
    address: str
    """Where its public port listens, `host:port`, or empty."""
    software_version: str
    started_at_ms: int
    partitions: list[int] = []
    is_ready: bool = True
    is_leaving: bool = False
    counters: dict[str, float] = {}
    not_ready_because: str = ""
    subscription_failures: dict[str, str] = {}
    """Subscription id -> why this invoker cannot read it just now."""
    is_draining: bool = False
    """It is about to stop: nothing more is given to it."""
    scheme: str = ""
    """Of its public port: `http`, `https`, or empty where that speaks no HTTP."""


class MetricsSnapshot(_Message, frozen=True):
    """Answer to a metrics request: the process's metrics as Prometheus text."""

    version: int
    role: str
    process_id: str
    text: bytes
    compressed_text: bytes = b""
    """Where not empty, the text, by zlib."""


class SetLogLevel(_Message, frozen=True):
    """Print from another level on: all processes of a role, or all. Answered with `LogLevelSet` by each that does."""

    version: int
    level: LogLevel
    role: str = ""


class LogLevelSet(_Message, frozen=True):
    """This process prints from `level` on, until it is told otherwise or ends."""

    version: int
    role: str
    process_id: str
    level: LogLevel


class Drain(_Message, frozen=True):
    """Take on no more, and give away what there is. Answered with nothing, once the process has begun."""

    version: int


class LiveInvocation(_Message, frozen=True):
    """What only the owner knows of an invocation: `ready`, `running` or `backing-off`, and its attempts."""

    invocation_id: InvocationId
    status: str
    retry_count: int = 0
    last_start_at_ms: int | None = None
    next_retry_at_ms: int | None = None
    last_failure: str | None = None
    last_failure_code: str | None = None
    last_attempt_deployment_id: str | None = None
    last_attempt_server: str | None = None
    related_command_index: int | None = None
    related_command_name: str | None = None
    related_command_type: str | None = None
    awaiting_on: Future | None = None


class LiveInvocations(_Message, frozen=True):
    """Answer of one invoker to a request for its live invocations."""

    version: int
    invoker_id: str
    invocations: list[LiveInvocation]


class UnknownVersion(ValueError):
    """A message of a newer format than this process reads."""


def encode(message: _Message) -> bytes:
    """Return the msgpack form of an envelope."""
    return _encoder.encode(message)


def decoder_of(kind: type[M]) -> "msgspec.msgpack.Decoder[M]":
    """Return a decoder for one envelope, to be kept by the receiver."""
    return msgspec.msgpack.Decoder(kind)


_encoder = msgspec.msgpack.Encoder()
