"""gRPC server reflection, v1 and v1alpha: which services there are, and the files that describe them. Source: shared/spec/seed-era.md, 4.6.

Messages come one by one on a stream; each is answered by itself, from the newest metadata.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Protocol

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from perdure.codec.descriptors.building import field_of, message_of, method_of, service_of
from perdure.codec.descriptors.errors import BadMessage, UnknownSymbol
from perdure.codec.descriptors.files import ServedFiles
from perdure.codec.descriptors.json import parsed
from perdure.codec.descriptors.pool import Descriptors
from perdure.codec.rpc.status import CallFailed, Status

METHOD: Final = "ServerReflectionInfo"
_PACKAGES: Final = ("grpc.reflection.v1", "grpc.reflection.v1alpha")
REFLECTION_SERVICES: Final = tuple(f"{package}.ServerReflection" for package in _PACKAGES)


def _file(package: str) -> FileDescriptorProto:
    def named(name: str) -> str:
        return f".{package}.{name}"

    extension = message_of("ExtensionRequest", [field_of(1, "containing_type", "string"), field_of(2, "extension_number", "int32")])
    request = message_of(
        "ServerReflectionRequest",
        [
            field_of(1, "host", "string"),
            field_of(3, "file_by_filename", "string"),
            field_of(4, "file_containing_symbol", "string"),
            field_of(5, "file_containing_extension", named("ExtensionRequest")),
            field_of(6, "all_extension_numbers_of_type", "string"),
            field_of(7, "list_services", "string"),
        ],
        oneofs={"message_request": [3, 4, 5, 6, 7]},
    )
    response = message_of(
        "ServerReflectionResponse",
        [
            field_of(1, "valid_host", "string"),
            field_of(2, "original_request", named("ServerReflectionRequest")),
            field_of(4, "file_descriptor_response", named("FileDescriptorResponse")),
            field_of(5, "all_extension_numbers_response", named("ExtensionNumberResponse")),
            field_of(6, "list_services_response", named("ListServiceResponse")),
            field_of(7, "error_response", named("ErrorResponse")),
        ],
        oneofs={"message_response": [4, 5, 6, 7]},
    )
    parts = [
        message_of("FileDescriptorResponse", [field_of(1, "file_descriptor_proto", "bytes", is_repeated=True)]),
        message_of(
            "ExtensionNumberResponse", [field_of(1, "base_type_name", "string"), field_of(2, "extension_number", "int32", is_repeated=True)]
        ),
        message_of("ListServiceResponse", [field_of(1, "service", named("ServiceResponse"), is_repeated=True)]),
        message_of("ServiceResponse", [field_of(1, "name", "string")]),
        message_of("ErrorResponse", [field_of(1, "error_code", "int32"), field_of(2, "error_message", "string")]),
    ]
    method = method_of(
        METHOD, named("ServerReflectionRequest"), named("ServerReflectionResponse"), streams_request=True, streams_response=True
    )
    return FileDescriptorProto(
        name=f"{package.replace('.', '/')}/reflection.proto",
        package=package,
        syntax="proto3",
        message_type=[request, extension, response, *parts],
        service=[service_of("ServerReflection", [method])],
    )


REFLECTION_FILES: Final = [_file(package) for package in _PACKAGES]


class Described(Protocol):
    """A service as reflection sees it."""

    @property
    def files(self) -> ServedFiles: ...


class Listing(Protocol):
    """What there is at one version of the metadata."""

    def listed(self) -> Iterator[str]:
        """Yield the names of public services."""
        ...

    def public(self) -> Iterable[Described]:
        """Yield public services, those registered last first."""
        ...


class Reflection:
    """Answers requests of both versions; `listing` gives what is there now."""

    def __init__(self, listing: Callable[[], Listing]) -> None:
        self._listing = listing
        descriptors = Descriptors(FileDescriptorSet(file=REFLECTION_FILES).SerializeToString())
        self._classes: dict[str, tuple[Any, Any]] = {  # classes built at run time
            name: (
                descriptors.message_class(f"{package}.ServerReflectionRequest"),
                descriptors.message_class(f"{package}.ServerReflectionResponse"),
            )
            for package, name in zip(_PACKAGES, REFLECTION_SERVICES, strict=True)
        }

    def answer(self, service: str, message: bytes) -> bytes:
        """Return the response to one request of the version that a service name tells.

        Raises:
            CallFailed: INVALID_ARGUMENT, the request asks for nothing that is known.
        """
        request_class, response_class = self._classes[service]
        try:
            request: Any = parsed(request_class, message)
        except BadMessage as error:
            raise CallFailed(Status.INVALID_ARGUMENT, error.message) from None
        response = response_class(valid_host=request.host, original_request=request)
        match request.WhichOneof("message_request"):
            case "list_services":
                for name in self._listing().listed():
                    response.list_services_response.service.add(name=name)
            case "file_containing_symbol":
                _answer_files(response, self._search(lambda files: files.containing(request.file_containing_symbol)))
            case "file_by_filename":
                _answer_files(response, self._search(lambda files: files.named(request.file_by_filename)))
            case "file_containing_extension":
                response.file_descriptor_response.SetInParent()
            case "all_extension_numbers_of_type":
                response.all_extension_numbers_response.base_type_name = request.all_extension_numbers_of_type
            case _:
                raise CallFailed(Status.INVALID_ARGUMENT, "the request has no message_request")
        return response.SerializeToString()

    def _search(self, look: Callable[[ServedFiles], list[bytes]]) -> list[bytes]:
        for files in _distinct(service.files for service in self._listing().public()):
            try:
                return look(files)
            except UnknownSymbol:
                continue
        return []


def _distinct(all_files: Iterable[ServedFiles]) -> Iterator[ServedFiles]:
    seen: set[int] = set()
    for files in all_files:
        if id(files.descriptors) not in seen:
            seen.add(id(files.descriptors))
            yield files


def _answer_files(response: Any, files: list[bytes]) -> None:
    if files:
        response.file_descriptor_response.file_descriptor_proto.extend(files)
    else:
        response.error_response.error_code = Status.NOT_FOUND
        response.error_response.error_message = "not found"
