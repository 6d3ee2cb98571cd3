"""How records look as text and JSON. Source: shared/spec/sql.md, section 3."""

from http import HTTPStatus
from typing import Any, Final

import msgspec

from perdure.base.ids import InvocationId
from perdure.model.invocation import InvocationRecord
from perdure.model.journal import AttemptError, Combinator, Future
from perdure.model.result import Failure
from perdure.model.target import HandlerType, Target

_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus} | {
    400: "Bad request",
    500: "Internal",
    570: "Journal mismatch",
    571: "Protocol violation",
}
_COMBINATORS: Final = {
    Combinator.UNKNOWN: "Unknown",
    Combinator.FIRST_COMPLETED: "FirstCompleted",
    Combinator.ALL_COMPLETED: "AllCompleted",
    Combinator.FIRST_SUCCEEDED_OR_ALL_FAILED: "FirstSucceededOrAllFailed",
    Combinator.ALL_SUCCEEDED_OR_FIRST_FAILED: "AllSucceededOrFirstFailed",
}


def target_text(target: Target) -> str:
    """Return `Service/handler` or `Object/key/handler`, the key as it is."""
    if target.key is None:
        return f"{target.service}/{target.handler}"
    return f"{target.service}/{target.key}/{target.handler}"


def service_type_text(target: Target) -> str:
    """Return `service`, `virtual_object` or `workflow`."""
    if target.handler_type is HandlerType.PLAIN:
        return "service"
    return "workflow" if target.is_workflow else "virtual_object"


def failure_text(failure: Failure) -> str:
    """Return `[code] message`."""
    return f"[{failure.code}] {failure.message}"


def promise_failure_text(failure: Failure) -> str:
    """Return `[code phrase] message`, as promises show their failures."""
    return f"{code_text(failure.code)} {failure.message}"


def attempt_failure_text(error: AttemptError) -> str:
    """Return `[code phrase] message`, and the stack trace on the lines below, as the last failure of an invocation is shown."""
    text = f"{code_text(error.code)} {error.message}"
    return f"{text}\n{error.stacktrace}" if error.stacktrace else text


def code_text(code: int) -> str:
    """Return `[code phrase]`, or `[code]` where there is no phrase."""
    phrase = _PHRASES.get(code)
    return f"[{code}]" if phrase is None else f"[{code} {phrase}]"


def utf8_text(value: bytes) -> str | None:
    """Return bytes as text, None where they are none."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def trace_id_of(invocation_id: InvocationId, record: InvocationRecord) -> str | None:
    """Return the trace of an invocation, as far as its callers told of one: theirs, or its uuid where it was sent."""
    if record.traceparent is None:
        return None
    return invocation_id[8:].hex() if record.starts_trace else record.traceparent.split("-")[1]


def future_json(future: Future) -> str:
    """Return the tree of what is waited for as JSON text."""
    return msgspec.json.encode(_future_tree(future)).decode()


def _future_tree(future: Future) -> dict[str, Any]:  # JSON
    leaves: list[dict[str, Any]] = [{"Single": {"CompletionId": completion_id}} for completion_id in future.completion_ids]
    leaves += [{"Single": {"SignalIndex": index}} for index in future.signal_indexes]
    leaves += [{"Single": {"SignalName": name}} for name in future.signal_names]
    return {_COMBINATORS[future.combinator]: leaves + [_future_tree(nested) for nested in future.nested]}


def leaves_of(future: Future) -> tuple[list[int], list[int]]:
    """Return all completion ids and all signal indexes that a future waits for."""
    completions, signals = list(future.completion_ids), list(future.signal_indexes)
    for nested in future.nested:
        more_completions, more_signals = leaves_of(nested)
        completions += more_completions
        signals += more_signals
    return completions, signals
