"""Commands between wire and model, one pair of functions for each and the tables that dispatch them.

Decoders take a payload; encoders return a message (replayed commands are sent as they came).
Source: shared/spec/service-protocol.md, section 4.4.
"""

from collections.abc import Callable
from typing import Any, Final

from google.protobuf.message import Message

from perdure.base.errors import RemoteProtocolError
from perdure.codec.service_protocol import messages_pb2 as wire
from perdure.codec.service_protocol.frames import MessageType
from perdure.codec.service_protocol.parts import (
    decode_failure,
    decode_headers,
    decode_outcome,
    decode_target,
    encode_failure,
    encode_headers,
    encode_outcome,
    encode_result,
    encode_target,
    missing,
    refuse_scope,
)
from perdure.model import journal
from perdure.model.journal import CallTarget, Command
from perdure.model.result import Outcome, Success, Void


def _decode_output(payload: bytes) -> Command:
    message = wire.Output.FromString(payload)
    return journal.Output(decode_outcome(message), message.name)


def _decode_get_lazy_state(payload: bytes) -> Command:
    message = wire.GetLazyState.FromString(payload)
    return journal.GetLazyState(message.key, message.result_completion_id, message.name)


def _decode_get_lazy_state_keys(payload: bytes) -> Command:
    message = wire.GetLazyStateKeys.FromString(payload)
    return journal.GetLazyStateKeys(message.result_completion_id, message.name)


def _decode_get_eager_state(payload: bytes) -> Command:
    message = wire.GetEagerState.FromString(payload)
    match message.WhichOneof("result"):
        case "value":
            return journal.GetEagerState(message.key, Success(message.value.content), message.name)
        case "void":
            return journal.GetEagerState(message.key, Void(), message.name)
        case _:
            raise missing(message, "result")


def _decode_get_eager_state_keys(payload: bytes) -> Command:
    message = wire.GetEagerStateKeys.FromString(payload)
    return journal.GetEagerStateKeys(tuple(message.value.keys), message.name)


def _decode_set_state(payload: bytes) -> Command:
    message = wire.SetState.FromString(payload)
    if not message.HasField("value"):
        raise missing(message, "value")
    return journal.SetState(message.key, message.value.content, message.name)


def _decode_clear_state(payload: bytes) -> Command:
    message = wire.ClearState.FromString(payload)
    return journal.ClearState(message.key, message.name)


def _decode_clear_all_state(payload: bytes) -> Command:
    return journal.ClearAllState(wire.ClearAllState.FromString(payload).name)


def _decode_get_promise(payload: bytes) -> Command:
    message = wire.GetPromise.FromString(payload)
    return journal.GetPromise(message.key, message.result_completion_id, message.name)


def _decode_peek_promise(payload: bytes) -> Command:
    message = wire.PeekPromise.FromString(payload)
    return journal.PeekPromise(message.key, message.result_completion_id, message.name)


def _decode_complete_promise(payload: bytes) -> Command:
    message = wire.CompletePromise.FromString(payload)
    result: Outcome
    match message.WhichOneof("completion"):
        case "completion_value":
            result = Success(message.completion_value.content)
        case "completion_failure":
            result = decode_failure(message.completion_failure)
        case _:
            raise missing(message, "completion")
    return journal.CompletePromise(message.key, result, message.result_completion_id, message.name)


def _decode_sleep(payload: bytes) -> Command:
    message = wire.Sleep.FromString(payload)
    return journal.Sleep(message.wake_up_time, message.result_completion_id, message.name)


def _decode_call_target(message: wire.Call | wire.OneWayCall) -> CallTarget:
    refuse_scope(message)
    idempotency_key = message.idempotency_key if message.HasField("idempotency_key") else None
    return CallTarget(message.service_name, message.handler_name, message.key, idempotency_key)


def _decode_call(payload: bytes) -> Command:
    message = wire.Call.FromString(payload)
    return journal.Call(
        _decode_call_target(message),
        message.parameter,
        decode_headers(message.headers),
        message.invocation_id_notification_idx,
        message.result_completion_id,
        message.name,
    )


def _decode_one_way_call(payload: bytes) -> Command:
    message = wire.OneWayCall.FromString(payload)
    return journal.OneWayCall(
        _decode_call_target(message),
        message.parameter,
        decode_headers(message.headers),
        message.invoke_time,
        message.invocation_id_notification_idx,
        message.name,
    )


def _decode_send_signal(payload: bytes) -> Command:
    message = wire.SendSignal.FromString(payload)
    signal = message.WhichOneof("signal_id")
    if signal is None:
        raise missing(message, "signal")
    index = message.idx if signal == "idx" else None
    name = message.name if signal == "name" else None
    match message.WhichOneof("result"):
        case "value":
            result = Success(message.value.content)
        case "failure":
            result = decode_failure(message.failure)
        case "void":
            result = Void()
        case _:
            raise missing(message, "result")
    return journal.SendSignal(message.target_invocation_id, index, name, result, message.entry_name)


def _decode_run(payload: bytes) -> Command:
    message = wire.Run.FromString(payload)
    return journal.Run(message.result_completion_id, message.name)


def _decode_attach_invocation(payload: bytes) -> Command:
    message = wire.AttachInvocation.FromString(payload)
    return journal.AttachInvocation(decode_target(message), message.result_completion_id, message.name)


def _decode_get_invocation_output(payload: bytes) -> Command:
    message = wire.GetInvocationOutput.FromString(payload)
    return journal.GetInvocationOutput(decode_target(message), message.result_completion_id, message.name)


def _decode_complete_awakeable(payload: bytes) -> Command:
    message = wire.CompleteAwakeable.FromString(payload)
    return journal.CompleteAwakeable(message.awakeable_id, decode_outcome(message), message.name)


def _refuse_input(payload: bytes) -> Command:
    raise RemoteProtocolError("message Input, which only the server sends")


DECODERS: Final[dict[int, Callable[[bytes], Command]]] = {
    MessageType.INPUT: _refuse_input,
    MessageType.OUTPUT: _decode_output,
    MessageType.GET_LAZY_STATE: _decode_get_lazy_state,
    MessageType.SET_STATE: _decode_set_state,
    MessageType.CLEAR_STATE: _decode_clear_state,
    MessageType.CLEAR_ALL_STATE: _decode_clear_all_state,
    MessageType.GET_LAZY_STATE_KEYS: _decode_get_lazy_state_keys,
    MessageType.GET_EAGER_STATE: _decode_get_eager_state,
    MessageType.GET_EAGER_STATE_KEYS: _decode_get_eager_state_keys,
    MessageType.GET_PROMISE: _decode_get_promise,
    MessageType.PEEK_PROMISE: _decode_peek_promise,
    MessageType.COMPLETE_PROMISE: _decode_complete_promise,
    MessageType.SLEEP: _decode_sleep,
    MessageType.CALL: _decode_call,
    MessageType.ONE_WAY_CALL: _decode_one_way_call,
    MessageType.SEND_SIGNAL: _decode_send_signal,
    MessageType.RUN: _decode_run,
    MessageType.ATTACH_INVOCATION: _decode_attach_invocation,
    MessageType.GET_INVOCATION_OUTPUT: _decode_get_invocation_output,
    MessageType.COMPLETE_AWAKEABLE: _decode_complete_awakeable,
}


def _encode_input(command: journal.Input, _has_metadata: bool) -> Message:
    message = wire.Input()
    message.value.content = command.value
    encode_headers(command.headers, message.headers)
    return message


def _encode_output(command: journal.Output, has_metadata: bool) -> Message:
    message = wire.Output(name=command.name)
    encode_outcome(command.result, message, has_metadata=has_metadata)
    return message


def _encode_get_lazy_state(command: journal.GetLazyState, _has_metadata: bool) -> Message:
    return wire.GetLazyState(key=command.key, result_completion_id=command.completion_id, name=command.name)


def _encode_get_lazy_state_keys(command: journal.GetLazyStateKeys, _has_metadata: bool) -> Message:
    return wire.GetLazyStateKeys(result_completion_id=command.completion_id, name=command.name)


def _encode_get_eager_state(command: journal.GetEagerState, _has_metadata: bool) -> Message:
    message = wire.GetEagerState(key=command.key, name=command.name)
    if type(command.result) is Success:
        message.value.content = command.result.value
    else:
        message.void.SetInParent()
    return message


def _encode_get_eager_state_keys(command: journal.GetEagerStateKeys, _has_metadata: bool) -> Message:
    return wire.GetEagerStateKeys(value=wire.StateKeys(keys=command.keys), name=command.name)


def _encode_set_state(command: journal.SetState, _has_metadata: bool) -> Message:
    message = wire.SetState(key=command.key, name=command.name)
    message.value.content = command.value
    return message


def _encode_clear_state(command: journal.ClearState, _has_metadata: bool) -> Message:
    return wire.ClearState(key=command.key, name=command.name)


def _encode_clear_all_state(command: journal.ClearAllState, _has_metadata: bool) -> Message:
    return wire.ClearAllState(name=command.name)


def _encode_get_promise(command: journal.GetPromise, _has_metadata: bool) -> Message:
    return wire.GetPromise(key=command.key, result_completion_id=command.completion_id, name=command.name)


def _encode_peek_promise(command: journal.PeekPromise, _has_metadata: bool) -> Message:
    return wire.PeekPromise(key=command.key, result_completion_id=command.completion_id, name=command.name)


def _encode_complete_promise(command: journal.CompletePromise, has_metadata: bool) -> Message:
    message = wire.CompletePromise(key=command.key, result_completion_id=command.completion_id, name=command.name)
    if isinstance(command.result, Success):
        message.completion_value.content = command.result.value
    else:
        encode_failure(command.result, message.completion_failure, has_metadata=has_metadata)
    return message


def _encode_sleep(command: journal.Sleep, _has_metadata: bool) -> Message:
    return wire.Sleep(wake_up_time=command.wake_up_at_ms, result_completion_id=command.completion_id, name=command.name)


def _encode_call(command: journal.Call, _has_metadata: bool) -> Message:
    target = command.target
    message = wire.Call(
        service_name=target.service,
        handler_name=target.handler,
        key=target.key,
        parameter=command.parameter,
        idempotency_key=target.idempotency_key,
        invocation_id_notification_idx=command.invocation_id_completion_id,
        result_completion_id=command.completion_id,
        name=command.name,
    )
    encode_headers(command.headers, message.headers)
    return message


def _encode_one_way_call(command: journal.OneWayCall, _has_metadata: bool) -> Message:
    target = command.target
    message = wire.OneWayCall(
        service_name=target.service,
        handler_name=target.handler,
        key=target.key,
        parameter=command.parameter,
        idempotency_key=target.idempotency_key,
        invoke_time=command.invoke_at_ms,
        invocation_id_notification_idx=command.invocation_id_completion_id,
        name=command.name,
    )
    encode_headers(command.headers, message.headers)
    return message


def _encode_send_signal(command: journal.SendSignal, has_metadata: bool) -> Message:
    message = wire.SendSignal(target_invocation_id=command.target_invocation_id, entry_name=command.name)
    if command.signal_index is not None:
        message.idx = command.signal_index
    else:
        assert command.signal_name is not None
        message.name = command.signal_name
    encode_result(command.result, message, has_metadata=has_metadata)
    return message


def _encode_run(command: journal.Run, _has_metadata: bool) -> Message:
    return wire.Run(result_completion_id=command.completion_id, name=command.name)


def _encode_attach_invocation(command: journal.AttachInvocation, _has_metadata: bool) -> Message:
    message = wire.AttachInvocation(result_completion_id=command.completion_id, name=command.name)
    encode_target(command.target, message)
    return message


def _encode_get_invocation_output(command: journal.GetInvocationOutput, _has_metadata: bool) -> Message:
    message = wire.GetInvocationOutput(result_completion_id=command.completion_id, name=command.name)
    encode_target(command.target, message)
    return message


def _encode_complete_awakeable(command: journal.CompleteAwakeable, has_metadata: bool) -> Message:
    message = wire.CompleteAwakeable(awakeable_id=command.awakeable_id, name=command.name)
    encode_outcome(command.result, message, has_metadata=has_metadata)
    return message


# The value's argument is the key's type, which a dict cannot say: hence Any.
ENCODERS: Final[dict[type[Command], tuple[MessageType, Callable[[Any, bool], Message]]]] = {
    journal.Input: (MessageType.INPUT, _encode_input),
    journal.Output: (MessageType.OUTPUT, _encode_output),
    journal.GetLazyState: (MessageType.GET_LAZY_STATE, _encode_get_lazy_state),
    journal.SetState: (MessageType.SET_STATE, _encode_set_state),
    journal.ClearState: (MessageType.CLEAR_STATE, _encode_clear_state),
    journal.ClearAllState: (MessageType.CLEAR_ALL_STATE, _encode_clear_all_state),
    journal.GetLazyStateKeys: (MessageType.GET_LAZY_STATE_KEYS, _encode_get_lazy_state_keys),
    journal.GetEagerState: (MessageType.GET_EAGER_STATE, _encode_get_eager_state),
    journal.GetEagerStateKeys: (MessageType.GET_EAGER_STATE_KEYS, _encode_get_eager_state_keys),
    journal.GetPromise: (MessageType.GET_PROMISE, _encode_get_promise),
    journal.PeekPromise: (MessageType.PEEK_PROMISE, _encode_peek_promise),
    journal.CompletePromise: (MessageType.COMPLETE_PROMISE, _encode_complete_promise),
    journal.Sleep: (MessageType.SLEEP, _encode_sleep),
    journal.Call: (MessageType.CALL, _encode_call),
    journal.OneWayCall: (MessageType.ONE_WAY_CALL, _encode_one_way_call),
    journal.SendSignal: (MessageType.SEND_SIGNAL, _encode_send_signal),
    journal.Run: (MessageType.RUN, _encode_run),
    journal.AttachInvocation: (MessageType.ATTACH_INVOCATION, _encode_attach_invocation),
    journal.GetInvocationOutput: (MessageType.GET_INVOCATION_OUTPUT, _encode_get_invocation_output),
    journal.CompleteAwakeable: (MessageType.COMPLETE_AWAKEABLE, _encode_complete_awakeable),
}
