"""Journal entries as JSON: in full, and without what may be large. Source: shared/spec/sql.md, section 4.4.

All names and shapes are those that existing tools read. JSON trees are dicts of Any.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from perdure.base.ids import InvocationId, format_invocation_id
from perdure.model import journal as j
from perdure.model.deployment import Service
from perdure.model.result import Failure, InvocationIdResult, Result, StateKeys, Success
from perdure.model.target import HandlerType, ServiceType

Json = dict[str, Any]
ServiceOf = Callable[[str], Service | None]
"""Service name -> what is registered under it."""

COMPLETIONS: Final = {kind: "".join(word.capitalize() for word in kind.name.split("_")) for kind in j.CompletionType}
_HANDLER_TYPES: Final = {HandlerType.EXCLUSIVE: "Exclusive", HandlerType.SHARED: "Shared", HandlerType.WORKFLOW: "Workflow"}
_NO_SPAN: Final = {
    "span_context": {"trace_id": [0] * 16, "span_id": [0] * 8, "trace_flags": 0, "is_remote": False, "trace_state": ""},
    "cause": None,
}


def entry_type(entry: j.Entry) -> str:
    """Return `Command: X` or `Notification: X`."""
    if isinstance(entry, j.Completion):
        return f"Notification: {COMPLETIONS[entry.completion_type]}"
    if isinstance(entry, j.Signal):
        return "Notification: Signal"
    return f"Command: {type(entry).__name__}"


def full_json(entry: j.Entry, service_of: ServiceOf) -> str:
    """Return the whole entry."""
    if isinstance(entry, j.Completion):
        tree: Json = {"Notification": {"Completion": {COMPLETIONS[entry.completion_type]: _completion(entry)}}}
    elif isinstance(entry, j.Signal):
        tree = {"Notification": {"Signal": {"id": _signal_id(entry.signal_index, entry.signal_name), "result": _result(entry.result)}}}
    else:
        name = "" if isinstance(entry, j.Input) else entry.name
        tree = {"Command": {type(entry).__name__: _command(entry, service_of) | {"name": name}}}
    return msgspec.json.encode(tree).decode()


def lite_json(entry: j.Entry, service_of: ServiceOf) -> str:
    """Return an entry without payloads, headers and empty names."""
    if isinstance(entry, j.Completion):
        kind = _kind(entry.result)
        parts: Json = {
            "ty": {"Completion": COMPLETIONS[entry.completion_type]},
            "id": {"CompletionId": entry.completion_id},
            "result": kind,
        }
        tree: Json = {"Notification": parts}
    elif isinstance(entry, j.Signal):
        named = {"SignalName": entry.signal_name}
        signal_id = named if entry.signal_index is None else {"SignalIndex": entry.signal_index}
        tree = {"Notification": {"ty": "Signal", "id": signal_id, "result": _kind(entry.result)}}
    else:
        tree = {"Command": {type(entry).__name__: _lite_command(entry, service_of)}}
    return msgspec.json.encode(tree).decode()


def _completion(entry: j.Completion) -> Json:
    parts: Json = {"completion_id": entry.completion_id}
    if isinstance(entry.result, InvocationIdResult):
        return parts | {"invocation_id": entry.result.invocation_id}
    if isinstance(entry.result, StateKeys):
        return parts | {"state_keys": _keys(entry.result.keys)}
    if entry.completion_type is j.CompletionType.SLEEP:
        return parts
    return parts | {"result": _result(entry.result)}


def _result(result: Result) -> Any:
    match result:
        case Success(value):
            return {"Success": list(value)}
        case Failure(code, message, metadata):
            failure: Json = {"code": code, "message": message}
            return {"Failure": failure | ({"metadata": [{"key": key, "value": value} for key, value in metadata]} if metadata else {})}
        case _:
            return _kind(result)


def _kind(result: Result) -> str:
    match result:
        case InvocationIdResult():
            return "InvocationId"
        case _:
            return type(result).__name__


def _keys(keys: tuple[bytes, ...]) -> list[str]:
    return [_text(key) for key in keys]


def _text(key: bytes) -> str:
    return key.decode(errors="replace")


def _headers(headers: j.Headers) -> list[Json]:
    return [{"name": name, "value": value} for name, value in headers]


def _signal_id(index: int | None, name: str | None) -> Json:
    return {"Name": name} if index is None else {"Index": index}


def _command(entry: j.Command, service_of: ServiceOf) -> Json:
    """Return everything but the name."""
    match entry:
        case j.Input():
            return {"headers": _headers(entry.headers), "payload": list(entry.value)}
        case j.SetState():
            return {"key": _text(entry.key), "value": list(entry.value)}
        case j.GetEagerStateKeys():
            return {"state_keys": _keys(entry.keys)}
        case j.GetEagerState():
            return {"key": _text(entry.key), "result": _result(entry.result)}
        case j.CompletePromise():
            return {"key": entry.key, "value": _result(entry.result), "completion_id": entry.completion_id}
        case j.Output():
            return {"result": _result(entry.result)}
        case j.CompleteAwakeable():
            return {"id": entry.awakeable_id, "result": _result(entry.result)}
        case j.SendSignal():
            return _signal(entry) | {"result": _result(entry.result)}
        case j.Call():
            return {"request": _request(entry, service_of)} | _call_ids(entry)
        case j.OneWayCall():
            return {"request": _request(entry, service_of)} | _one_way_ids(entry)
        case _:
            return _small(entry)


def _lite_command(entry: j.Command, service_of: ServiceOf) -> Json:
    name: Json = {} if isinstance(entry, j.Input) or not entry.name else {"name": entry.name}
    match entry:
        case j.Input() | j.GetEagerStateKeys():
            return name
        case j.SetState():
            return {"key": _text(entry.key)} | name
        case j.GetEagerState():
            return {"key": _text(entry.key), "result": _kind(entry.result)} | name
        case j.CompletePromise():
            return {"key": entry.key, "completion_id": entry.completion_id} | name
        case j.Output():
            return {"result": _kind(entry.result)} | name
        case j.CompleteAwakeable():
            return {"id": entry.awakeable_id, "result": _kind(entry.result)} | name
        case j.SendSignal():
            return _signal(entry) | {"result": _kind(entry.result)} | name
        case j.Call():
            return _callee(entry, service_of) | _call_ids(entry) | name
        case j.OneWayCall():
            return _callee(entry, service_of) | _one_way_ids(entry) | name
        case _:
            return _small(entry) | name


def _small(entry: j.Command) -> Json:
    """Return what is the same in both forms: commands that carry nothing large."""
    match entry:
        case j.Run():
            return {"completion_id": entry.completion_id}
        case j.Sleep():
            return {"wake_up_time": entry.wake_up_at_ms, "completion_id": entry.completion_id}
        case j.GetLazyState():
            return {"key": _text(entry.key), "completion_id": entry.completion_id}
        case j.GetLazyStateKeys():
            return {"completion_id": entry.completion_id}
        case j.ClearState():
            return {"key": _text(entry.key)}
        case j.GetPromise() | j.PeekPromise():
            return {"key": entry.key, "completion_id": entry.completion_id}
        case j.AttachInvocation() | j.GetInvocationOutput():
            return {"target": _attach_target(entry.target), "completion_id": entry.completion_id}
        case _:
            return {}


def _signal(entry: j.SendSignal) -> Json:
    return {"target_invocation_id": entry.target_invocation_id, "signal_id": _signal_id(entry.signal_index, entry.signal_name)}


def _call_ids(entry: j.Call) -> Json:
    return {"invocation_id_completion_id": entry.invocation_id_completion_id, "result_completion_id": entry.completion_id}


def _one_way_ids(entry: j.OneWayCall) -> Json:
    return {"invoke_time": entry.invoke_at_ms, "invocation_id_completion_id": entry.invocation_id_completion_id}


def _callee(entry: j.Call | j.OneWayCall, service_of: ServiceOf) -> Json:
    callee_id = format_invocation_id(InvocationId(entry.callee_id)) if entry.callee_id else ""
    return {"invocation_id": callee_id, "invocation_target": call_target_json(entry.target, service_of)}


def _request(entry: j.Call | j.OneWayCall, service_of: ServiceOf) -> Json:
    return _callee(entry, service_of) | {
        "span_context": _NO_SPAN,
        "parameter": list(entry.parameter),
        "headers": _headers(entry.headers),
        "idempotency_key": entry.target.idempotency_key,
        "completion_retention_duration": _duration(entry.completion_retention_ms),
        "journal_retention_duration": _duration(entry.journal_retention_ms),
    }


def _duration(milliseconds: int) -> Json:
    return {"secs": milliseconds // 1000, "nanos": milliseconds % 1000 * 1_000_000}


def call_target_json(target: j.CallTarget, service_of: ServiceOf) -> Json:
    """Return the target of a call; what kind of service it is tells the registry, or else its key."""
    service = service_of(target.service)
    kind = service.service_type if service is not None else ServiceType.VIRTUAL_OBJECT if target.key else ServiceType.SERVICE
    if kind is ServiceType.SERVICE:
        return {"Service": {"name": target.service, "handler": target.handler, "scope": None}}
    handler = None if service is None else service.handlers.get(target.handler)
    handler_type = _HANDLER_TYPES.get(HandlerType.EXCLUSIVE if handler is None else handler.handler_type, "Exclusive")
    parts = {"name": target.service, "key": target.key, "handler": target.handler, "handler_ty": handler_type, "scope": None}
    return {"Workflow" if kind is ServiceType.WORKFLOW else "VirtualObject": parts}


def _attach_target(target: j.AttachTarget) -> Json:
    match target:
        case j.InvocationTarget(invocation_id):
            return {"InvocationId": invocation_id}
        case j.WorkflowTarget(workflow, key):
            return {"Workflow": {"service_name": workflow, "key": key}}
        case j.IdempotentTarget(service, key, handler, idempotency_key):
            parts = {"service_name": service, "service_key": key, "service_handler": handler, "idempotency_key": idempotency_key}
            return {"IdempotentRequest": parts}
