"""The services that the server itself offers in protobuf: starting invocations and completing awakeables.

They are reached through the ingress, and by handlers of the seed era. Pure. Source: shared/spec/seed-era.md, 4.5 and 9.9.
"""

import functools
from collections.abc import Callable
from typing import Any, Final

import msgspec
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.message import Message

from perdure.codec.descriptors.building import field_of, message_of, method_of, service_of
from perdure.codec.descriptors.errors import BadMessage
from perdure.codec.descriptors.json import from_value, parsed, to_value
from perdure.codec.descriptors.pool import Descriptors
from perdure.codec.rpc.failures import failure_of
from perdure.codec.rpc.status import CallFailed, Status
from perdure.model.result import Outcome, Success

INGRESS: Final = "dev.restate.Ingress"
AWAKEABLES: Final = "dev.restate.Awakeables"
EMPTY: Final = ".google.protobuf.Empty"

FILE: Final = FileDescriptorProto(
    name="dev/restate/services.proto",
    package="dev.restate",
    syntax="proto3",
    dependency=["google/protobuf/struct.proto", "google/protobuf/empty.proto"],
    message_type=[
        message_of(
            "InvokeRequest",
            [
                field_of(1, "service", "string"),
                field_of(2, "method", "string"),
                field_of(3, "pb", "bytes"),
                field_of(4, "json", ".google.protobuf.Struct", json_name="argument"),
            ],
            oneofs={"request": [3, 4]},
        ),
        message_of("InvokeResponse", [field_of(1, "id", "string")]),
        message_of(
            "ResolveAwakeableRequest",
            [field_of(1, "id", "string"), field_of(2, "bytes_result", "bytes"), field_of(3, "json_result", ".google.protobuf.Value")],
            oneofs={"result": [2, 3]},
        ),
        message_of("RejectAwakeableRequest", [field_of(1, "id", "string"), field_of(2, "reason", "string")]),
    ],
    service=[
        service_of("Ingress", [method_of("Invoke", ".dev.restate.InvokeRequest", ".dev.restate.InvokeResponse")]),
        service_of(
            "Awakeables",
            [
                method_of("Resolve", ".dev.restate.ResolveAwakeableRequest", EMPTY),
                method_of("Reject", ".dev.restate.RejectAwakeableRequest", EMPTY),
            ],
        ),
    ],
)
_encode: Final = msgspec.json.Encoder().encode
_descriptors: Final = functools.cache(lambda: Descriptors(FileDescriptorSet(file=[FILE]).SerializeToString()))


# Messages are of classes built at run time: hence Any.


def parse_request(service: str, method: str, payload: bytes) -> Any:
    """Return the decoded request of a method of these services.

    Raises:
        CallFailed: NOT_FOUND, there is no such method; INVALID_ARGUMENT, the bytes are no such request.
    """
    known = _descriptors().services.get(service)
    declared = None if known is None else known.methods.get(method)
    if declared is None:
        raise CallFailed(Status.NOT_FOUND, f"method '{service}/{method}' not found")
    return parse_as(_descriptors().message_class(declared.input_type), payload)


def parse_as(message_class: type[Message], payload: bytes) -> Any:
    """Return a decoded request.

    Raises:
        CallFailed: INVALID_ARGUMENT, the bytes are no such message.
    """
    try:
        return parsed(message_class, payload)
    except BadMessage as error:
        raise CallFailed(Status.INVALID_ARGUMENT, error.message) from None


def invoke_response(invocation_id: str) -> bytes:
    """Return the response of `Invoke`."""
    return _descriptors().message_class("dev.restate.InvokeResponse")(id=invocation_id).SerializeToString()


def argument_of(asked: Any, request_class: Callable[[], type[Message]]) -> bytes:
    """Return the encoded request for the method that `Invoke` names; an argument that is left out is an empty one.

    Raises:
        CallFailed: FAILED_PRECONDITION, the JSON does not fit the method's request.
    """
    if asked.WhichOneof("request") != "json":
        return asked.pb
    try:
        return from_value(request_class(), to_value(asked.json)).SerializeToString()
    except BadMessage as error:
        raise CallFailed(Status.FAILED_PRECONDITION, error.message) from None


def awakeable_result(asked: Any) -> Outcome:
    """Return what `Resolve` or `Reject` completes an awakeable with: bytes, the text of a JSON value, or a failure.

    Raises:
        CallFailed: INVALID_ARGUMENT, there is no result.
    """
    if asked.DESCRIPTOR.name == "RejectAwakeableRequest":
        return failure_of(Status.UNKNOWN, asked.reason)
    match asked.WhichOneof("result"):
        case "bytes_result":
            return Success(asked.bytes_result)
        case "json_result":
            return Success(_encode(to_value(asked.json_result)))
        case _:
            raise CallFailed(Status.INVALID_ARGUMENT, "the result is missing: set bytes_result or json_result")
