"""The journal: commands (what the handler asked for) and notifications (what answers them).

One model for every wire version; codecs translate. Completion ids are chosen by the SDK within one invocation.
Source: shared/spec/service-protocol.md, sections 4 and 5.
"""

import enum

import msgspec

from perdure.model.result import Failure, Outcome, Result, Success, Void

Headers = tuple[tuple[str, str], ...]


class _Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    pass


class Input(_Entry, frozen=True, tag=1):
    """Entry 0 of every journal."""

    value: bytes
    headers: Headers = ()


class Output(_Entry, frozen=True, tag=2):
    """The result of the handler; the last one counts."""

    result: Outcome
    name: str = ""


class GetLazyState(_Entry, frozen=True, tag=3):
    key: bytes
    completion_id: int
    name: str = ""


class GetLazyStateKeys(_Entry, frozen=True, tag=4):
    completion_id: int
    name: str = ""


class GetEagerState(_Entry, frozen=True, tag=5):
    """A read that the SDK answered from the eager state; `Void` where the key was absent."""

    key: bytes
    result: Success | Void
    name: str = ""


class GetEagerStateKeys(_Entry, frozen=True, tag=6):
    keys: tuple[bytes, ...]
    name: str = ""


class SetState(_Entry, frozen=True, tag=7):
    key: bytes
    value: bytes
    name: str = ""


class ClearState(_Entry, frozen=True, tag=8):
    key: bytes
    name: str = ""


class ClearAllState(_Entry, frozen=True, tag=9):
    name: str = ""


class GetPromise(_Entry, frozen=True, tag=10):
    key: str
    completion_id: int
    name: str = ""


class PeekPromise(_Entry, frozen=True, tag=11):
    key: str
    completion_id: int
    name: str = ""


class CompletePromise(_Entry, frozen=True, tag=12):
    key: str
    result: Outcome
    completion_id: int
    name: str = ""


class Sleep(_Entry, frozen=True, tag=13):
    """A durable timer; `wake_up_at_ms` is Unix time of the SDK's clock."""

    wake_up_at_ms: int
    completion_id: int
    name: str = ""


class CallTarget(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Whom a call addresses, as the SDK names it; `key` is empty for services and for the empty key."""

    service: str
    handler: str
    key: str
    idempotency_key: str | None = None


class Call(_Entry, frozen=True, tag=14):
    """A call whose result is awaited. Callee and retentions are known once the call is resolved, when it is journaled."""

    target: CallTarget
    parameter: bytes
    headers: Headers
    invocation_id_completion_id: int
    completion_id: int
    name: str = ""
    callee_id: bytes = b""
    completion_retention_ms: int = 0
    journal_retention_ms: int = 0


class OneWayCall(_Entry, frozen=True, tag=15):
    """A call whose result nobody awaits; `invoke_at_ms` 0 means now."""

    target: CallTarget
    parameter: bytes
    headers: Headers
    invoke_at_ms: int
    invocation_id_completion_id: int
    name: str = ""
    callee_id: bytes = b""
    completion_retention_ms: int = 0
    journal_retention_ms: int = 0


class SendSignal(_Entry, frozen=True, tag=16):
    """Exactly one of `signal_index` and `signal_name` names the signal."""

    target_invocation_id: str
    signal_index: int | None
    signal_name: str | None
    result: Success | Failure | Void
    name: str = ""


class Run(_Entry, frozen=True, tag=17):
    """A side effect that the handler executes; its result arrives as a proposal."""

    completion_id: int
    name: str = ""


class WorkflowTarget(msgspec.Struct, frozen=True, array_like=True, tag=0, gc=False):
    workflow: str
    key: str


class IdempotentTarget(msgspec.Struct, frozen=True, array_like=True, tag=1, gc=False):
    service: str
    key: str | None
    handler: str
    idempotency_key: str


class InvocationTarget(msgspec.Struct, frozen=True, array_like=True, tag=2, gc=False):
    invocation_id: str


AttachTarget = WorkflowTarget | IdempotentTarget | InvocationTarget


class AttachInvocation(_Entry, frozen=True, tag=18):
    target: AttachTarget
    completion_id: int
    name: str = ""


class GetInvocationOutput(_Entry, frozen=True, tag=19):
    target: AttachTarget
    completion_id: int
    name: str = ""


class CompleteAwakeable(_Entry, frozen=True, tag=20):
    awakeable_id: str
    result: Outcome
    name: str = ""


class CompletionType(enum.IntEnum):
    """Which command a completion answers; wire codecs map it to their type codes."""

    GET_LAZY_STATE = 0
    GET_LAZY_STATE_KEYS = 1
    GET_PROMISE = 2
    PEEK_PROMISE = 3
    COMPLETE_PROMISE = 4
    SLEEP = 5
    CALL = 6
    CALL_INVOCATION_ID = 7
    RUN = 8
    ATTACH_INVOCATION = 9
    GET_INVOCATION_OUTPUT = 10


class Completion(_Entry, frozen=True, tag=30):
    """The answer to the command that announced `completion_id`."""

    completion_type: CompletionType
    completion_id: int
    result: Result


class Signal(_Entry, frozen=True, tag=31):
    """A signal from outside: by index (1 cancel, 17 and up awakeables) or by name."""

    signal_index: int | None
    signal_name: str | None
    result: Success | Failure | Void


Command = (
    Input
    | Output
    | GetLazyState
    | GetLazyStateKeys
    | GetEagerState
    | GetEagerStateKeys
    | SetState
    | ClearState
    | ClearAllState
    | GetPromise
    | PeekPromise
    | CompletePromise
    | Sleep
    | Call
    | OneWayCall
    | SendSignal
    | Run
    | AttachInvocation
    | GetInvocationOutput
    | CompleteAwakeable
)
Notification = Completion | Signal
Entry = Command | Notification


class StoredEntry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A journal entry as the store keeps it."""

    appended_at_ms: int
    entry: Entry


class RunProposal(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The result of a run before it is journaled."""

    completion_id: int
    result: Outcome
    wants_ack: bool = False
    """Protocol V7: answer with an acknowledgement instead of the full notification."""


class Combinator(enum.IntEnum):
    """How the leaves of a `Future` combine. Source: shared/spec/service-protocol.md, 4.1 and 6.2."""

    UNKNOWN = 0
    FIRST_COMPLETED = 1
    ALL_COMPLETED = 2
    FIRST_SUCCEEDED_OR_ALL_FAILED = 3
    ALL_SUCCEEDED_OR_FIRST_FAILED = 4


class Future(msgspec.Struct, frozen=True, array_like=True):
    """What a suspended handler awaits: completion ids, signals and nested futures, under one combinator."""

    completion_ids: tuple[int, ...] = ()
    signal_indexes: tuple[int, ...] = ()
    signal_names: tuple[str, ...] = ()
    nested: tuple["Future", ...] = ()
    combinator: Combinator = Combinator.UNKNOWN


class ErrorBehavior(enum.IntEnum):
    """What an attempt's error asks for (V7; `RETRY` before)."""

    RETRY = 0
    PAUSE = 1
    FAIL = 2


class AttemptError(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Why an attempt failed; transient unless `behavior` says otherwise. `doc_code` as `RT0007`."""

    code: int
    message: str
    doc_code: str
    stacktrace: str = ""
    related_command_index: int | None = None
    related_command_name: str | None = None
    related_command_type: str | None = None
    next_retry_delay_ms: int | None = None
    behavior: ErrorBehavior = ErrorBehavior.RETRY


class EventType(enum.IntEnum):
    """What a journal event tells. Source: shared/spec/lifecycle.md, 6.5."""

    TRANSIENT_ERROR = 0
    PAUSED = 1


class JournalEvent(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Something that happened to an invocation besides its journal; `error` is absent for a pause by hand."""

    event_type: EventType
    appended_at_ms: int
    after_entry_index: int
    error: AttemptError | None = None
