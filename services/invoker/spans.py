"""What the spans of commands and signals say. Pure. Names are the same for all keys; values and payloads are never told."""

from typing import Final

from perdure.base.ids import CANCEL_SIGNAL, InvocationId, format_invocation_id
from perdure.model import journal
from perdure.model.journal import Call, Command, OneWayCall, Signal
from perdure.model.result import Failure, Result
from perdure.process.spans import Attributes

_NAMES: Final[dict[type, str]] = {
    journal.Output: "output",
    journal.GetLazyState: "get-state",
    journal.GetLazyStateKeys: "get-state-keys",
    journal.GetEagerState: "get-state",
    journal.GetEagerStateKeys: "get-state-keys",
    journal.SetState: "set-state",
    journal.ClearState: "clear-state",
    journal.ClearAllState: "clear-all-state",
    journal.GetPromise: "get-promise",
    journal.PeekPromise: "peek-promise",
    journal.CompletePromise: "complete-promise",
    journal.Sleep: "sleep",
    journal.Call: "call",
    journal.OneWayCall: "send",
    journal.SendSignal: "send-signal",
    journal.Run: "run",
    journal.AttachInvocation: "attach",
    journal.GetInvocationOutput: "get-output",
    journal.CompleteAwakeable: "complete-awakeable",
}


def name_of(command: Command) -> str:
    """Return the name of a command's span: its kind, then whom it calls or how the handler calls it."""
    kind = _NAMES[type(command)]
    if isinstance(command, Call | OneWayCall):
        target = command.target
        return f"{kind} {target.service}/{'{key}/' if target.key else ''}{target.handler}"
    return f"{kind} {command.name}" if isinstance(command, journal.Run) and command.name else kind


def attributes_of_command(command: Command, index: int) -> Attributes:
    """Return what a command's span adds to what all spans of its invocation say."""
    attributes: Attributes = {"restate.command.type": _NAMES[type(command)], "restate.command.index": index}
    name = getattr(command, "name", "")
    if name:
        attributes["restate.command.name"] = name
    if isinstance(command, Call | OneWayCall) and command.callee_id:
        attributes["restate.callee.invocation.id"] = format_invocation_id(InvocationId(command.callee_id))
    return attributes


def name_of_signal(signal: Signal) -> str:
    """Return the name of a signal's span."""
    if signal.signal_index == CANCEL_SIGNAL:
        return "cancel"
    return "signal" if signal.signal_name is not None else "awakeable"


def completion_id_of(command: Command) -> int | None:
    """Return which completion ends a command; None for what is done when it is journaled."""
    return getattr(command, "completion_id", None)


def error_of(result: Result) -> str | None:
    """Return why a result is none."""
    return result.message if isinstance(result, Failure) else None
