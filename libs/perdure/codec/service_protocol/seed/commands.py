"""Entries of the seed era between wire and model, one pair of functions for each and the tables that dispatch them.

Decoders take a payload and the index of the entry; encoders return the payload, with the result where that is the entry's own.
Source: shared/spec/seed-era.md, 2.5.
"""

from collections.abc import Callable
from typing import Any, Final

from perdure.base.errors import RemoteProtocolError
from perdure.codec.rpc.failures import failure_of, grpc_code_of
from perdure.codec.service_protocol.entries.dialect import Decode
from perdure.codec.service_protocol.entries.ledger import Ledger, Mark
from perdure.codec.service_protocol.entries.types import EntryType
from perdure.codec.service_protocol.seed import messages_pb2 as wire
from perdure.model import journal
from perdure.model.journal import CallTarget, Command
from perdure.model.result import Failure, InvocationIdResult, Outcome, Result, StateKeys, Success, Void


def encode_result(result: Result) -> bytes:
    """Return the fields of a result, to follow those of an entry or a completion."""
    message = wire.Result()
    match result:
        case Success(value):
            message.value = value
        case Void():
            message.empty.SetInParent()
        case Failure():
            message.failure.code = grpc_code_of(result)
            message.failure.message = result.message
        case InvocationIdResult(invocation_id):
            message.value = invocation_id.encode()
        case StateKeys(keys):
            message.value = wire.StateKeys(keys=keys).SerializeToString()
    return message.SerializeToString()


def _decode_result(payload: bytes) -> Success | Failure | Void | None:
    message = wire.Result.FromString(payload)
    match message.WhichOneof("result"):
        case "value":
            return Success(message.value)
        case "failure":
            return failure_of(message.failure.code, message.failure.message)
        case "empty":
            return Void()
        case _:
            return None


def _refuse_result(payload: bytes, entry: str) -> None:
    """Refuse an answer to something that the server is asked for."""
    if _decode_result(payload) is not None:
        raise RemoteProtocolError(f"entry {entry} with a result, which is the server's to give")


def _decode_output(payload: bytes, _index: int, _ledger: Ledger) -> Command:
    result = _decode_result(payload)
    if result is None or isinstance(result, Void):
        raise RemoteProtocolError("entry OutputStream without a result")
    return journal.Output(result)


def _decode_get_state(payload: bytes, index: int, _ledger: Ledger) -> Command:
    message = wire.StateKey.FromString(payload)
    result = _decode_result(payload)
    if result is None:
        return journal.GetLazyState(message.key, index)
    if isinstance(result, Failure):
        raise RemoteProtocolError("entry GetState with a failure")
    return journal.GetEagerState(message.key, result)


def _decode_get_state_keys(payload: bytes, index: int, _ledger: Ledger) -> Command:
    result = _decode_result(payload)
    if result is None:
        return journal.GetLazyStateKeys(index)
    if not isinstance(result, Success):
        raise RemoteProtocolError("entry GetStateKeys with a result that is no list")
    return journal.GetEagerStateKeys(tuple(wire.StateKeys.FromString(result.value).keys))


def _decode_set_state(payload: bytes, _index: int, _ledger: Ledger) -> Command:
    message = wire.SetState.FromString(payload)
    return journal.SetState(message.key, message.value)


def _decode_clear_state(payload: bytes, _index: int, _ledger: Ledger) -> Command:
    return journal.ClearState(wire.StateKey.FromString(payload).key)


def _decode_clear_all_state(payload: bytes, _index: int, _ledger: Ledger) -> Command:
    wire.Nothing.FromString(payload)  # so that malformed bytes are refused
    return journal.ClearAllState()


def _decode_sleep(payload: bytes, index: int, _ledger: Ledger) -> Command:
    _refuse_result(payload, "Sleep")
    return journal.Sleep(wire.Sleep.FromString(payload).wake_up_at_ms, index)


def _decode_invoke(payload: bytes, index: int, _ledger: Ledger) -> Command:
    _refuse_result(payload, "Invoke")
    message = wire.Invoke.FromString(payload)
    return journal.Call(CallTarget(message.service, message.method, ""), message.parameter, (), Mark.CALLEE_ID | index, index)


def _decode_background_invoke(payload: bytes, index: int, _ledger: Ledger) -> Command:
    message = wire.Invoke.FromString(payload)
    target = CallTarget(message.service, message.method, "")
    return journal.OneWayCall(target, message.parameter, (), message.invoke_at_ms, Mark.CALLEE_ID | index)


def _decode_awakeable(payload: bytes, index: int, ledger: Ledger) -> Command:
    _refuse_result(payload, "Awakeable")
    ledger.awakeables.add(index)
    return journal.Run(Mark.AWAKEABLE | index)


def _decode_complete_awakeable(payload: bytes, _index: int, _ledger: Ledger) -> Command:
    message = wire.CompleteAwakeable.FromString(payload)
    result: Outcome
    match message.WhichOneof("completion"):
        case "value":
            result = Success(message.value)
        case "failure":
            result = failure_of(message.failure.code, message.failure.message)
        case _:
            raise RemoteProtocolError("entry CompleteAwakeable without a result")
    return journal.CompleteAwakeable(message.id, result)


DECODERS: Final[dict[int, Decode]] = {
    EntryType.OUTPUT: _decode_output,
    EntryType.GET_STATE: _decode_get_state,
    EntryType.SET_STATE: _decode_set_state,
    EntryType.CLEAR_STATE: _decode_clear_state,
    EntryType.CLEAR_ALL_STATE: _decode_clear_all_state,
    EntryType.GET_STATE_KEYS: _decode_get_state_keys,
    EntryType.SLEEP: _decode_sleep,
    EntryType.CALL: _decode_invoke,
    EntryType.ONE_WAY_CALL: _decode_background_invoke,
    EntryType.AWAKEABLE: _decode_awakeable,
    EntryType.COMPLETE_AWAKEABLE: _decode_complete_awakeable,
}


def _encode_input(command: journal.Input) -> bytes:
    return encode_result(Success(command.value))


def _encode_output(command: journal.Output) -> bytes:
    return encode_result(command.result)


def _encode_nothing(_command: journal.ClearAllState | journal.GetLazyStateKeys) -> bytes:
    return b""


def _encode_state_key(command: journal.GetLazyState | journal.ClearState) -> bytes:
    return wire.StateKey(key=command.key).SerializeToString()


def _encode_eager_state(command: journal.GetEagerState) -> bytes:
    return wire.StateKey(key=command.key).SerializeToString() + encode_result(command.result)


def _encode_eager_state_keys(command: journal.GetEagerStateKeys) -> bytes:
    return encode_result(StateKeys(command.keys))


def _encode_set_state(command: journal.SetState) -> bytes:
    return wire.SetState(key=command.key, value=command.value).SerializeToString()


def _encode_sleep(command: journal.Sleep) -> bytes:
    return wire.Sleep(wake_up_at_ms=command.wake_up_at_ms).SerializeToString()


def _encode_invoke(command: journal.Call) -> bytes:
    target = command.target
    return wire.Invoke(service=target.service, method=target.handler, parameter=command.parameter).SerializeToString()


def _encode_background_invoke(command: journal.OneWayCall) -> bytes:
    target, at_ms = command.target, command.invoke_at_ms
    message = wire.Invoke(service=target.service, method=target.handler, parameter=command.parameter, invoke_at_ms=at_ms)
    return message.SerializeToString()


def _encode_complete_awakeable(command: journal.CompleteAwakeable) -> bytes:
    message = wire.CompleteAwakeable(id=command.awakeable_id)
    if isinstance(command.result, Success):
        message.value = command.result.value
    else:
        message.failure.code = grpc_code_of(command.result)
        message.failure.message = command.result.message
    return message.SerializeToString()


# The value's argument is the key's type, which a dict cannot say: hence Any.
ENCODERS: Final[dict[type[Command], tuple[EntryType, Callable[[Any], bytes]]]] = {
    journal.Input: (EntryType.INPUT, _encode_input),
    journal.Output: (EntryType.OUTPUT, _encode_output),
    journal.GetLazyState: (EntryType.GET_STATE, _encode_state_key),
    journal.GetEagerState: (EntryType.GET_STATE, _encode_eager_state),
    journal.SetState: (EntryType.SET_STATE, _encode_set_state),
    journal.ClearState: (EntryType.CLEAR_STATE, _encode_state_key),
    journal.ClearAllState: (EntryType.CLEAR_ALL_STATE, _encode_nothing),
    journal.GetLazyStateKeys: (EntryType.GET_STATE_KEYS, _encode_nothing),
    journal.GetEagerStateKeys: (EntryType.GET_STATE_KEYS, _encode_eager_state_keys),
    journal.Sleep: (EntryType.SLEEP, _encode_sleep),
    journal.Call: (EntryType.CALL, _encode_invoke),
    journal.OneWayCall: (EntryType.ONE_WAY_CALL, _encode_background_invoke),
    journal.CompleteAwakeable: (EntryType.COMPLETE_AWAKEABLE, _encode_complete_awakeable),
}
COMPLETED: Final = (journal.Input, journal.GetEagerState, journal.GetEagerStateKeys)
"""Entries that hold their result from the beginning."""
