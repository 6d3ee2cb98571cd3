"""Services that are always there: starting invocations, completing awakeables, health. Source: shared/spec/seed-era.md, 4.5."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.message import Message

from perdure.codec.descriptors.building import enum_of, field_of, message_of, method_of, service_of
from perdure.codec.descriptors.errors import BadMessage
from perdure.codec.descriptors.files import ServedFiles
from perdure.codec.descriptors.json import from_value, parsed, to_value
from perdure.codec.descriptors.pool import Descriptors
from perdure.codec.rpc.failures import failure_of
from perdure.codec.rpc.reflection import REFLECTION_FILES, REFLECTION_SERVICES
from perdure.codec.rpc.status import CallFailed, Status
from perdure.codec.rpc.unary import Headers
from perdure.model.result import Failure, Success
from services.ingress.answers import awakeable_target
from services.ingress.rpc import errors
from services.ingress.rpc.calls import Calls, Request
from services.ingress.rpc.catalogue import RegisteredMethod, RpcService

EMPTY: Final = ".google.protobuf.Empty"
INGRESS: Final = "dev.restate.Ingress"
AWAKEABLES: Final = "dev.restate.Awakeables"
HEALTH: Final = "grpc.health.v1.Health"

_SERVICES_FILE: Final = FileDescriptorProto(
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
_HEALTH_MESSAGES: Final = (".grpc.health.v1.HealthCheckRequest", ".grpc.health.v1.HealthCheckResponse")
_HEALTH_FILE: Final = FileDescriptorProto(
    name="grpc/health/v1/health.proto",
    package="grpc.health.v1",
    syntax="proto3",
    message_type=[
        message_of("HealthCheckRequest", [field_of(1, "service", "string")]),
        message_of(
            "HealthCheckResponse",
            [field_of(1, "status", "enum.grpc.health.v1.HealthCheckResponse.ServingStatus")],
            enums=[enum_of("ServingStatus", {"UNKNOWN": 0, "SERVING": 1, "NOT_SERVING": 2, "SERVICE_UNKNOWN": 3})],
        ),
    ],
    service=[service_of("Health", [method_of("Check", *_HEALTH_MESSAGES), method_of("Watch", *_HEALTH_MESSAGES, streams_response=True)])],
)
_encode: Final = msgspec.json.Encoder().encode
_SERVING: Final = 1
_NOT_SERVING: Final = 2

Find = Callable[[str], Awaitable[RpcService | None]]
Answer = Callable[[Any, Request], Awaitable[Mapping[str, Any]]]  # messages are of classes built at run time


class BuiltInMethod:
    """A method that is answered here."""

    is_public = True
    has_no_side_effects = False

    def __init__(self, descriptors: Descriptors, input_type: str, output_type: str, answer: Answer) -> None:
        self.request_class: type[Message] = descriptors.message_class(input_type)
        self.response_class: type[Message] = descriptors.message_class(output_type)
        self._answer = answer

    async def call(self, message: bytes, request: Request) -> tuple[bytes, Headers]:
        """Return the response message."""
        try:
            asked = parsed(self.request_class, message)
        except BadMessage as error:
            raise CallFailed(Status.INVALID_ARGUMENT, error.message) from None
        return self.response_class(**await self._answer(asked, request)).SerializeToString(), ()


class BuiltInService:
    """A service with methods that are answered here."""

    is_public = True

    def __init__(self, name: str, files: ServedFiles, answers: Mapping[str, Answer]) -> None:
        self.name = name
        self.files = files
        declared = files.descriptors.service(name).methods
        self._methods = {
            method: BuiltInMethod(files.descriptors, declared[method].input_type, declared[method].output_type, answer)
            for method, answer in answers.items()
        }

    def method(self, name: str) -> BuiltInMethod | None:
        """Return a method."""
        return self._methods.get(name)


def built_in_services(calls: Calls, find: Find) -> dict[str, BuiltInService]:
    """Return the built-in services by name. `find` finds services by name, private ones too."""
    descriptors = Descriptors(FileDescriptorSet(file=[_SERVICES_FILE, _HEALTH_FILE, *REFLECTION_FILES]).SerializeToString())
    files = ServedFiles(descriptors)
    own = OwnMethods(calls, find)
    answers: dict[str, dict[str, Answer]] = {
        INGRESS: {"Invoke": own.invoke},
        AWAKEABLES: {"Resolve": own.resolve, "Reject": own.reject},
        HEALTH: {"Check": own.check, "Watch": own.watch},
        **{name: {} for name in REFLECTION_SERVICES},
    }
    return {name: BuiltInService(name, files, methods) for name, methods in answers.items()}


class OwnMethods:
    """What the built-in methods do."""

    def __init__(self, calls: Calls, find: Find) -> None:
        self._calls = calls
        self._find = find

    async def invoke(self, asked: Any, request: Request) -> dict[str, str]:
        """Start an invocation, of a private service too; return its id."""
        service = await self._find(asked.service)
        method = None if service is None else service.method(asked.method)
        if service is None:
            raise errors.service_not_found(asked.service)
        if not isinstance(method, RegisteredMethod):
            raise errors.method_not_found(asked.service, asked.method)
        message = asked.pb
        if asked.WhichOneof("request") == "json":
            try:
                message = from_value(method.request_class, to_value(asked.json)).SerializeToString()
            except BadMessage as error:
                raise CallFailed(Status.FAILED_PRECONDITION, error.message) from None
        try:
            return {"id": await self._calls.start(method.handler, message, request)}
        except CallFailed as failed:
            if failed.call_status is Status.INTERNAL:
                raise CallFailed(Status.INVALID_ARGUMENT, failed.message) from None
            raise

    async def resolve(self, asked: Any, request: Request) -> dict[str, Any]:
        """Complete an awakeable with bytes, or with the text of a JSON value."""
        match asked.WhichOneof("result"):
            case "bytes_result":
                result = asked.bytes_result
            case "json_result":
                result = _encode(to_value(asked.json_result))
            case _:
                raise CallFailed(Status.INVALID_ARGUMENT, "the result is missing: set bytes_result or json_result")
        await self._signal(asked.id, Success(result), request)
        return {}

    async def reject(self, asked: Any, request: Request) -> dict[str, Any]:
        """Fail an awakeable."""
        await self._signal(asked.id, failure_of(Status.UNKNOWN, asked.reason), request)
        return {}

    async def check(self, asked: Any, _request: Request) -> dict[str, int]:
        """Say whether a service can be called; this process can, for it answers."""
        if not asked.service:
            return {"status": _SERVING}
        service = await self._find(asked.service)
        if service is None:
            raise errors.service_not_found(asked.service)
        return {"status": _SERVING if service.is_public else _NOT_SERVING}

    async def watch(self, _asked: Any, _request: Request) -> dict[str, int]:
        """Watching is not offered."""
        raise CallFailed(Status.UNIMPLEMENTED, "Watch is not offered. Repeat Check.")

    async def _signal(self, awakeable_id: str, result: Success | Failure, request: Request) -> None:
        invocation_id, signal = awakeable_target(awakeable_id)
        await self._calls.asking.signal(invocation_id, signal, result, request.receive)
