"""Results of entries, between wire and model: they follow the fields of their message in the same payload.

Source: the public protocol.proto of V3.
"""

from perdure.codec.service_protocol import messages_pb2 as shared
from perdure.codec.service_protocol.entries import messages_pb2 as wire
from perdure.codec.service_protocol.parts import decode_failure, encode_failure
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
            encode_failure(result, message.failure, has_metadata=False)
        case InvocationIdResult(invocation_id):
            message.value = invocation_id.encode()
        case StateKeys(keys):
            message.value = shared.StateKeys(keys=keys).SerializeToString()
    return message.SerializeToString()


def decode_result(payload: bytes) -> Success | Failure | Void | None:
    """Return the result that an entry carries, if it does."""
    message = wire.Result.FromString(payload)
    match message.WhichOneof("result"):
        case "value":
            return Success(message.value)
        case "failure":
            return decode_failure(message.failure)
        case "empty":
            return Void()
        case _:
            return None


def decode_outcome(payload: bytes) -> Outcome | None:
    """Return the result that an entry carries, if it is a value or a failure."""
    result = decode_result(payload)
    return None if isinstance(result, Void) else result
