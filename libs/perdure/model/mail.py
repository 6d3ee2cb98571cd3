"""Messages from one invocation's partition to another's, as the mailbox stores them.

Written in the transaction that records them at the sender, removed in the one that applies them at the receiver.
Source: shared/spec/lifecycle.md, section 5; architecture, rule 5.
"""

import msgspec

from perdure.base.ids import InvocationId
from perdure.model.invocation import CallSink, Source
from perdure.model.journal import CompletionType, Headers
from perdure.model.result import Failure, Result, Success, Void
from perdure.model.target import Target


class _Mail(msgspec.Struct, frozen=True, array_like=True, gc=False):
    pass


class InvokeMail(_Mail, frozen=True, tag=1):
    """Admit an invocation that a handler called; `sink` is None for one-way calls."""

    invocation_id: InvocationId
    target: Target
    body: bytes
    headers: Headers
    source: Source
    sink: CallSink | None
    idempotency_key: str | None = None
    execution_at_ms: int | None = None
    completion_retention_ms: int = 0
    journal_retention_ms: int = 0
    traceparent: str | None = None
    tracestate: str = ""
    starts_trace: bool = False
    """The context is whom to name as the sender, not the parent."""

    @property
    def is_deterministic(self) -> bool:
        """Whether an earlier invocation may have the same id."""
        return self.idempotency_key is not None or (self.target.is_workflow and self.target.handler_type == 3)


class CompletionMail(_Mail, frozen=True, tag=2):
    """Complete a command of `invocation_id`."""

    invocation_id: InvocationId
    completion_type: CompletionType
    completion_id: int
    result: Result


class AttachMail(_Mail, frozen=True, tag=3):
    """Answer `sink` with the result of `invocation_id`, when there is one."""

    invocation_id: InvocationId
    sink: CallSink


class OutputMail(_Mail, frozen=True, tag=4):
    """Answer `sink` with the result of `invocation_id`, or with nothing if there is none yet."""

    invocation_id: InvocationId
    sink: CallSink


class SignalMail(_Mail, frozen=True, tag=5):
    """Deliver a signal; index 1 cancels."""

    invocation_id: InvocationId
    signal_index: int | None
    signal_name: str | None
    result: Success | Failure | Void


class KillMail(_Mail, frozen=True, tag=6):
    """Kill a child of a killed invocation."""

    invocation_id: InvocationId


Mail = InvokeMail | CompletionMail | AttachMail | OutputMail | SignalMail | KillMail

_encoder = msgspec.msgpack.Encoder()
_decoder: "msgspec.msgpack.Decoder[Mail]" = msgspec.msgpack.Decoder(Mail)


def encode(mail: Mail) -> bytes:
    """Return the stored form."""
    return _encoder.encode(mail)


def decode(raw: bytes) -> Mail:
    """Return the message of a mailbox row."""
    return _decoder.decode(raw)
