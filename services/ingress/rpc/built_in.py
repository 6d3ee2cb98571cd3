"""Services that are always there: starting invocations, completing awakeables, health. Source: shared/spec/seed-era.md, 4.5."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.message import Message

from perdure.codec.descriptors.building import enum_of, field_of, message_of, method_of, service_of
from perdure.codec.descriptors.files import ServedFiles
from perdure.codec.descriptors.pool import Descriptors
from perdure.codec.rpc import restate_services
from perdure.codec.rpc.reflection import REFLECTION_FILES, REFLECTION_SERVICES
from perdure.codec.rpc.restate_services import AWAKEABLES, INGRESS, argument_of, awakeable_result, parse_as
from perdure.codec.rpc.status import CallFailed, Status
from perdure.codec.rpc.unary import Headers
from services.ingress.answers import awakeable_target
from services.ingress.rpc import errors
from services.ingress.rpc.calls import Calls, Request
from services.ingress.rpc.catalogue import RegisteredMethod, RpcService

HEALTH: Final = "grpc.health.v1.Health"

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
        asked = parse_as(self.request_class, message)
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
    descriptors = Descriptors(FileDescriptorSet(file=[restate_services.FILE, _HEALTH_FILE, *REFLECTION_FILES]).SerializeToString())
    files = ServedFiles(descriptors)
    own = OwnMethods(calls, find)
    answers: dict[str, dict[str, Answer]] = {
        INGRESS: {"Invoke": own.invoke},
        AWAKEABLES: {"Resolve": own.complete, "Reject": own.complete},
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
        message = argument_of(asked, lambda: method.request_class)
        try:
            return {"id": await self._calls.start(method.handler, message, request)}
        except CallFailed as failed:
            if failed.call_status is Status.INTERNAL:
                raise CallFailed(Status.INVALID_ARGUMENT, failed.message) from None
            raise

    async def complete(self, asked: Any, request: Request) -> dict[str, Any]:
        """Resolve or reject an awakeable."""
        result = awakeable_result(asked)
        invocation_id, signal = awakeable_target(asked.id)
        await self._calls.asking.signal(invocation_id, signal, result, request.receive)
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
