"""The descriptors of one deployment, or of services built here: services, message classes, files.

Services are kept in an index of our own: routers of the seed era are services with dotted names in an empty package, which protobuf's pool
refuses. The pool holds the messages. Source: shared/spec/seed-era.md, 2.2.
"""

import functools
from collections.abc import Iterator
from typing import Final

import msgspec
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
    MethodOptions,
    ServiceDescriptorProto,
)
from google.protobuf.message import DecodeError, Message

from perdure.codec.descriptors.annotations import annotation_of
from perdure.codec.descriptors.errors import BadDescriptors, UnknownSymbol
from perdure.codec.descriptors.repair import mended, well_known_file

DEPTH_MAX: Final = 64
"""Nesting of message declarations and of files that import each other."""


class MethodDescriptor(msgspec.Struct, frozen=True):
    """One method; types are full names without a leading dot."""

    name: str
    input_type: str
    output_type: str
    is_streaming: bool
    has_no_side_effects: bool


class ServiceDescriptor(msgspec.Struct, frozen=True):
    """One service."""

    full_name: str
    file_name: str
    annotation: int | None
    """A `ServiceAnnotation`, or what else was sent; None where absent."""
    methods: dict[str, MethodDescriptor]


class AnnotatedField(msgspec.Struct, frozen=True):
    """A field of a message that says what it is for."""

    name: str
    number: int
    annotation: int
    """A `FieldAnnotation`, or what else was sent."""
    is_string: bool
    is_bytes: bool
    is_string_map: bool


class Descriptors:
    """A set of descriptor files, mended and linked.

    Args:
        descriptor_set: A serialized `google.protobuf.FileDescriptorSet`; its files may be in any order.

    Raises:
        BadDescriptors: It is malformed, a file is missing, or a name is not resolved.
    """

    def __init__(self, descriptor_set: bytes) -> None:
        try:
            sent = FileDescriptorSet.FromString(descriptor_set)
        except DecodeError as error:
            raise BadDescriptors(f"not a FileDescriptorSet: {error}") from None
        self._files = {file.name: mended(file) for file in sent.file}
        self._add_well_known()
        self.services: dict[str, ServiceDescriptor] = {}
        """By full name."""
        self._messages: dict[str, DescriptorProto] = {}
        self._file_by_symbol: dict[str, str] = {}
        for file in self._files.values():
            self._index(file)
        self.pool = descriptor_pool.DescriptorPool()
        self._link()
        self.message_class = functools.cache(self._message_class)
        """Return the class of a message by its full name. Raises: UnknownSymbol."""

    def service(self, full_name: str) -> ServiceDescriptor:
        """Return a service.

        Raises:
            UnknownSymbol: There is none of this name.
        """
        service = self.services.get(full_name)
        if service is None:
            raise UnknownSymbol(f"the descriptors have no service {full_name}")
        return service

    def annotated_fields(self, message_name: str) -> list[AnnotatedField]:
        """Return the annotated fields of a message, in the order of their declaration.

        Raises:
            UnknownSymbol: There is no message of this name.
        """
        message = self._messages.get(message_name)
        if message is None:
            raise UnknownSymbol(f"the descriptors have no message {message_name}")
        return list(self._annotated(message))

    def file_containing(self, symbol: str) -> str:
        """Return the name of the file that defines a service, method, message, field, enum or extension.

        Raises:
            UnknownSymbol: None does.
        """
        name = self._file_by_symbol.get(symbol)
        if name is None:
            raise UnknownSymbol(f"the descriptors do not define {symbol}")
        return name

    def file(self, name: str) -> FileDescriptorProto:
        """Return a file by its name; not to be changed.

        Raises:
            UnknownSymbol: There is none.
        """
        file = self._files.get(name)
        if file is None:
            raise UnknownSymbol(f"the descriptors have no file {name}")
        return file

    def with_dependencies(self, name: str) -> list[FileDescriptorProto]:
        """Return a file, first, and all that it needs, directly or not.

        Raises:
            UnknownSymbol: There is no such file.
        """
        found = {name: self.file(name)}
        waiting = [name]
        while waiting:
            for dependency in self._files[waiting.pop()].dependency:
                if dependency not in found:
                    found[dependency] = self._files[dependency]
                    waiting.append(dependency)
        return list(found.values())

    def _message_class(self, full_name: str) -> type[Message]:
        try:
            return message_factory.GetMessageClass(self.pool.FindMessageTypeByName(full_name))
        except KeyError:
            raise UnknownSymbol(f"the descriptors have no message {full_name}") from None

    def _add_well_known(self) -> None:
        """Add the standard files that are imported but were not sent."""
        waiting = list(self._files.values())
        while waiting:
            for name in waiting.pop().dependency:
                if name not in self._files:
                    file = well_known_file(name)
                    if file is None:
                        raise BadDescriptors(f"the file {name} is imported but missing from the descriptor set")
                    self._files[name] = file
                    waiting.append(file)

    def _index(self, file: FileDescriptorProto) -> None:
        prefix = f"{file.package}." if file.package else ""
        symbols = self._file_by_symbol
        for message in file.message_type:
            self._index_message(prefix + message.name, message, file.name, DEPTH_MAX)
        for enum in file.enum_type:
            symbols[prefix + enum.name] = file.name
        for extension in file.extension:
            symbols[prefix + extension.name] = file.name
        for service in file.service:
            full_name = prefix + service.name
            symbols[full_name] = file.name
            self.services[full_name] = _service(full_name, file.name, service)
            for method in service.method:
                symbols[f"{full_name}.{method.name}"] = file.name

    def _index_message(self, full_name: str, message: DescriptorProto, file_name: str, depth: int) -> None:
        if depth == 0:
            raise BadDescriptors(f"the message {full_name} is nested too deeply, limit {DEPTH_MAX}")
        symbols = self._file_by_symbol
        self._messages[full_name] = message
        symbols[full_name] = file_name
        for part in (*message.field, *message.extension, *message.enum_type):
            symbols[f"{full_name}.{part.name}"] = file_name
        for nested in message.nested_type:
            self._index_message(f"{full_name}.{nested.name}", nested, file_name, depth - 1)

    def _link(self) -> None:
        """Add all files, without their services, to the pool, each after what it imports."""
        for file in self._sorted():
            without_services = FileDescriptorProto()
            without_services.CopyFrom(file)
            without_services.ClearField("service")
            without_services.ClearField("source_code_info")
            try:
                self.pool.AddSerializedFile(without_services.SerializeToString())
            except (TypeError, ValueError) as error:
                raise BadDescriptors(f"the file {file.name} cannot be used: {error}") from None

    def _sorted(self) -> list[FileDescriptorProto]:
        order: list[FileDescriptorProto] = []
        waiting = dict(self._files)
        while waiting:
            ready = [file for file in waiting.values() if not any(name in waiting for name in file.dependency)]
            if not ready:
                raise BadDescriptors(f"files import each other in a circle: {', '.join(sorted(waiting))}")
            order += ready
            for file in ready:
                del waiting[file.name]
        return order

    def _annotated(self, message: DescriptorProto) -> Iterator[AnnotatedField]:
        for field in message.field:
            annotation = annotation_of(field.options)
            if annotation is not None:
                yield AnnotatedField(
                    name=field.name,
                    number=field.number,
                    annotation=annotation,
                    is_string=_is(field, FieldDescriptorProto.TYPE_STRING),
                    is_bytes=_is(field, FieldDescriptorProto.TYPE_BYTES),
                    is_string_map=_is_string_map(field, message),
                )


def _service(full_name: str, file_name: str, service: ServiceDescriptorProto) -> ServiceDescriptor:
    return ServiceDescriptor(
        full_name, file_name, annotation_of(service.options), {method.name: _method(method) for method in service.method}
    )


def _method(method: MethodDescriptorProto) -> MethodDescriptor:
    return MethodDescriptor(
        method.name,
        method.input_type.removeprefix("."),
        method.output_type.removeprefix("."),
        method.client_streaming or method.server_streaming,
        method.options.idempotency_level == MethodOptions.NO_SIDE_EFFECTS,
    )


def _is(field: FieldDescriptorProto, kind: "FieldDescriptorProto.Type.ValueType") -> bool:
    return field.type == kind and field.label != FieldDescriptorProto.LABEL_REPEATED


def _is_string_map(field: FieldDescriptorProto, message: DescriptorProto) -> bool:
    if field.label != FieldDescriptorProto.LABEL_REPEATED:
        return False
    entry = next((nested for nested in message.nested_type if field.type_name.endswith(f".{nested.name}")), None)
    return entry is not None and entry.options.map_entry and all(_is(part, FieldDescriptorProto.TYPE_STRING) for part in entry.field)
