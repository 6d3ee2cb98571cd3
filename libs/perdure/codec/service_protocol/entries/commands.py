"""Entries between wire and model, one pair of functions for each and the tables that dispatch them.

Decoders take a payload and the index of the entry; encoders return the payload without the result.
Source: the public protocol.proto of V3.
"""

from collections.abc import Callable
from typing import Any, Final

from google.protobuf.message import Message

from perdure.base.errors import RemoteProtocolError
from perdure.base.ids import CANCEL_SIGNAL
from perdure.codec.service_protocol import messages_pb2 as shared
from perdure.codec.service_protocol.entries import messages_pb2 as wire
from perdure.codec.service_protocol.entries.ledger import Ledger, Mark
from perdure.codec.service_protocol.entries.results import decode_outcome, decode_result
from perdure.codec.service_protocol.entries.types import EntryType
from perdure.codec.service_protocol.parts import decode_failure, decode_headers, encode_failure, encode_headers, refuse_scope
from perdure.model import journal
from perdure.model.journal import AttachTarget, CallTarget, Command, IdempotentTarget, InvocationTarget, WorkflowTarget
from perdure.model.result import Failure, Outcome, Success, Void


def _without(entry: str, field: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"entry {entry} without {field}")


def _outcome_of(payload: bytes, entry: str) -> Outcome:
    outcome = decode_outcome(payload)
    if outcome is None:
        raise _without(entry, "a result")
    return outcome


def _decode_output(payload: bytes, _index: int, _ledger: Ledger) -> Command:
    return journal.Output(_outcome_of(payload, "Output"), wire.Named.FromString(payload).name)


def _decode_get_state(payload: bytes, index: int, _ledger: Ledger) -> Command:
    message = wire.StateKey.FromString(payload)
    result = decode_result(payload)
    if result is None:
        return journal.GetLazyState(message.key, index, message.name)
    if isinstance(result, Failure):
        raise RemoteProtocolError("entry GetState with a failure")
    return journal.GetEagerState(message.key, result, message.name)


def _decode_get_state_keys(payload: bytes, index: int, _ledger: Ledger) -> Command:
    message = wire.Named.FromString(payload)
    result = decode_result(payload)
    if result is None:
        return journal.GetLazyStateKeys(index, message.name)
    if not isinstance(result, Success):
        raise RemoteProtocolError("entry GetStateKeys with a result that is no list")
    return journal.GetEagerStateKeys(tuple(shared.StateKeys.FromString(result.value).keys), message.name)


def _decode_set_state(payload: bytes, _index: int, _ledger: Ledger) -> Command:
    message = wire.SetState.FromString(payload)
    return journal.SetState(message.key, message.value, message.name)


def _decode_clear_state(payload: bytes, _index: int, _ledger: Ledger) -> Command:
    message = wire.StateKey.FromString(payload)
    return journal.ClearState(message.key, message.name)


def _decode_clear_all_state(payload: bytes, _index: int, _ledger: Ledger) -> Command:
    return journal.ClearAllState(wire.Named.FromString(payload).name)


def _decode_get_promise(payload: bytes, index: int, _ledger: Ledger) -> Command:
    message = wire.PromiseKey.FromString(payload)
    return journal.GetPromise(message.key, index, message.name)


def _decode_peek_promise(payload: bytes, index: int, _ledger: Ledger) -> Command:
    message = wire.PromiseKey.FromString(payload)
    return journal.PeekPromise(message.key, index, message.name)


def _decode_complete_promise(payload: bytes, index: int, _ledger: Ledger) -> Command:
    message = wire.CompletePromise.FromString(payload)
    result: Outcome
    match message.WhichOneof("completion"):
        case "completion_value":
            result = Success(message.completion_value)
        case "completion_failure":
            result = decode_failure(message.completion_failure)
        case _:
            raise _without("CompletePromise", "a completion")
    return journal.CompletePromise(message.key, result, index, message.name)


def _decode_sleep(payload: bytes, index: int, _ledger: Ledger) -> Command:
    message = wire.Sleep.FromString(payload)
    return journal.Sleep(message.wake_up_time, index, message.name)


def _target_of(message: wire.Call | wire.OneWayCall) -> CallTarget:
    idempotency_key = message.idempotency_key if message.HasField("idempotency_key") else None
    return CallTarget(message.service_name, message.handler_name, message.key, idempotency_key)


def _decode_call(payload: bytes, index: int, _ledger: Ledger) -> Command:
    message = wire.Call.FromString(payload)
    headers = decode_headers(message.headers)
    return journal.Call(_target_of(message), message.parameter, headers, Mark.CALLEE_ID | index, index, message.name)


def _decode_one_way_call(payload: bytes, index: int, _ledger: Ledger) -> Command:
    message = wire.OneWayCall.FromString(payload)
    headers = decode_headers(message.headers)
    callee_id = Mark.CALLEE_ID | index
    return journal.OneWayCall(_target_of(message), message.parameter, headers, message.invoke_time, callee_id, message.name)


def _decode_awakeable(payload: bytes, index: int, ledger: Ledger) -> Command:
    ledger.awakeables.add(index)
    return journal.Run(Mark.AWAKEABLE | index, wire.Named.FromString(payload).name)


def _decode_complete_awakeable(payload: bytes, _index: int, _ledger: Ledger) -> Command:
    message = wire.CompleteAwakeable.FromString(payload)
    return journal.CompleteAwakeable(message.id, _outcome_of(payload, "CompleteAwakeable"), message.name)


def _decode_cancel(payload: bytes, _index: int, ledger: Ledger) -> Command:
    message = wire.Addressed.FromString(payload)
    target = _decode_target(message, ledger)
    if not isinstance(target, InvocationTarget):
        raise _without("CancelInvocation", "a target")
    return journal.SendSignal(target.invocation_id, CANCEL_SIGNAL, None, Void(), message.name)


def _decode_attach(payload: bytes, index: int, ledger: Ledger) -> Command:
    message = wire.Addressed.FromString(payload)
    return journal.AttachInvocation(_decode_target(message, ledger), index, message.name)


def _decode_get_output(payload: bytes, index: int, ledger: Ledger) -> Command:
    message = wire.Addressed.FromString(payload)
    return journal.GetInvocationOutput(_decode_target(message, ledger), index, message.name)


def _decode_target(message: wire.Addressed, ledger: Ledger) -> AttachTarget:
    match message.WhichOneof("target"):
        case "invocation_id":
            return InvocationTarget(message.invocation_id)
        case "call_entry_index":
            return InvocationTarget(ledger.callee_of(message.call_entry_index))
        case "idempotent_request_target":
            request = message.idempotent_request_target
            refuse_scope(request)
            key = request.service_key if request.HasField("service_key") else None
            return IdempotentTarget(request.service_name, key, request.handler_name, request.idempotency_key)
        case "workflow_target":
            workflow = message.workflow_target
            refuse_scope(workflow)
            return WorkflowTarget(workflow.workflow_name, workflow.workflow_key)
        case _:
            raise _without("that addresses an invocation", "a target")


DECODERS: Final[dict[int, Callable[[bytes, int, Ledger], Command]]] = {
    EntryType.OUTPUT: _decode_output,
    EntryType.GET_STATE: _decode_get_state,
    EntryType.SET_STATE: _decode_set_state,
    EntryType.CLEAR_STATE: _decode_clear_state,
    EntryType.CLEAR_ALL_STATE: _decode_clear_all_state,
    EntryType.GET_STATE_KEYS: _decode_get_state_keys,
    EntryType.GET_PROMISE: _decode_get_promise,
    EntryType.PEEK_PROMISE: _decode_peek_promise,
    EntryType.COMPLETE_PROMISE: _decode_complete_promise,
    EntryType.SLEEP: _decode_sleep,
    EntryType.CALL: _decode_call,
    EntryType.ONE_WAY_CALL: _decode_one_way_call,
    EntryType.AWAKEABLE: _decode_awakeable,
    EntryType.COMPLETE_AWAKEABLE: _decode_complete_awakeable,
    EntryType.CANCEL_INVOCATION: _decode_cancel,
    EntryType.ATTACH_INVOCATION: _decode_attach,
    EntryType.GET_INVOCATION_OUTPUT: _decode_get_output,
}
"""Entries that are one command; runs and kept entries come with a proposal, which is the decoder's part."""


def _encode_input(command: journal.Input) -> Message:
    message = wire.Input(value=command.value)
    encode_headers(command.headers, message.headers)
    return message


def _encode_named(
    command: journal.Output | journal.ClearAllState | journal.GetLazyStateKeys | journal.GetEagerStateKeys | journal.Run,
) -> Message:
    return wire.Named(name=command.name)


def _encode_state_key(command: journal.GetLazyState | journal.GetEagerState | journal.ClearState) -> Message:
    return wire.StateKey(key=command.key, name=command.name)


def _encode_set_state(command: journal.SetState) -> Message:
    return wire.SetState(key=command.key, value=command.value, name=command.name)


def _encode_promise_key(command: journal.GetPromise | journal.PeekPromise) -> Message:
    return wire.PromiseKey(key=command.key, name=command.name)


def _encode_complete_promise(command: journal.CompletePromise) -> Message:
    message = wire.CompletePromise(key=command.key, name=command.name)
    if isinstance(command.result, Success):
        message.completion_value = command.result.value
    else:
        encode_failure(command.result, message.completion_failure, has_metadata=False)
    return message


def _encode_sleep(command: journal.Sleep) -> Message:
    return wire.Sleep(wake_up_time=command.wake_up_at_ms, name=command.name)


def _encode_call(command: journal.Call) -> Message:
    target = command.target
    message = wire.Call(
        service_name=target.service,
        handler_name=target.handler,
        parameter=command.parameter,
        key=target.key,
        idempotency_key=target.idempotency_key,
        name=command.name,
    )
    encode_headers(command.headers, message.headers)
    return message


def _encode_one_way_call(command: journal.OneWayCall) -> Message:
    target = command.target
    message = wire.OneWayCall(
        service_name=target.service,
        handler_name=target.handler,
        parameter=command.parameter,
        invoke_time=command.invoke_at_ms,
        key=target.key,
        idempotency_key=target.idempotency_key,
        name=command.name,
    )
    encode_headers(command.headers, message.headers)
    return message


def _encode_complete_awakeable(command: journal.CompleteAwakeable) -> Message:
    return wire.CompleteAwakeable(id=command.awakeable_id, name=command.name)


def _encode_cancel(command: journal.SendSignal) -> Message:
    return wire.Addressed(invocation_id=command.target_invocation_id, name=command.name)


def _encode_addressed(command: journal.AttachInvocation | journal.GetInvocationOutput) -> Message:
    message = wire.Addressed(name=command.name)
    match command.target:
        case InvocationTarget(invocation_id):
            message.invocation_id = invocation_id
        case IdempotentTarget(service, key, handler, idempotency_key):
            request = shared.IdempotentRequestTarget(service_name=service, handler_name=handler, idempotency_key=idempotency_key)
            if key is not None:
                request.service_key = key
            message.idempotent_request_target.CopyFrom(request)
        case WorkflowTarget(workflow, key):
            message.workflow_target.workflow_name = workflow
            message.workflow_target.workflow_key = key
    return message


# The value's argument is the key's type, which a dict cannot say: hence Any.
ENCODERS: Final[dict[type[Command], tuple[EntryType, Callable[[Any], Message]]]] = {
    journal.Input: (EntryType.INPUT, _encode_input),
    journal.Output: (EntryType.OUTPUT, _encode_named),
    journal.GetLazyState: (EntryType.GET_STATE, _encode_state_key),
    journal.GetEagerState: (EntryType.GET_STATE, _encode_state_key),
    journal.SetState: (EntryType.SET_STATE, _encode_set_state),
    journal.ClearState: (EntryType.CLEAR_STATE, _encode_state_key),
    journal.ClearAllState: (EntryType.CLEAR_ALL_STATE, _encode_named),
    journal.GetLazyStateKeys: (EntryType.GET_STATE_KEYS, _encode_named),
    journal.GetEagerStateKeys: (EntryType.GET_STATE_KEYS, _encode_named),
    journal.GetPromise: (EntryType.GET_PROMISE, _encode_promise_key),
    journal.PeekPromise: (EntryType.PEEK_PROMISE, _encode_promise_key),
    journal.CompletePromise: (EntryType.COMPLETE_PROMISE, _encode_complete_promise),
    journal.Sleep: (EntryType.SLEEP, _encode_sleep),
    journal.Call: (EntryType.CALL, _encode_call),
    journal.OneWayCall: (EntryType.ONE_WAY_CALL, _encode_one_way_call),
    journal.SendSignal: (EntryType.CANCEL_INVOCATION, _encode_cancel),
    journal.Run: (EntryType.RUN, _encode_named),
    journal.AttachInvocation: (EntryType.ATTACH_INVOCATION, _encode_addressed),
    journal.GetInvocationOutput: (EntryType.GET_INVOCATION_OUTPUT, _encode_addressed),
    journal.CompleteAwakeable: (EntryType.COMPLETE_AWAKEABLE, _encode_complete_awakeable),
}
