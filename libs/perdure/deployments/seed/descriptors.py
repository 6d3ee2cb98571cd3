"""Descriptor sets of endpoints, mended: SDKs of the seed era leave out what they take for a default, and send no extensions.

What cannot be told any more (which fields were members of a first oneof) stays lost; it has no effect on the wire.
Source: shared/spec/seed-era.md, 2.2 and 3.1.
"""

from collections.abc import Iterator
from importlib import import_module
from typing import Final

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)

from perdure.deployments.seed.annotations import FieldAnnotation, ServiceAnnotation, encode_annotations

EXTENSION_FILE: Final = "dev/restate/ext.proto"
_EXTENSION_NUMBER: Final = 51234
_WELL_KNOWN: Final = frozenset(
    f"google/protobuf/{name}.proto"
    for name in ("any", "api", "descriptor", "duration", "empty", "field_mask", "source_context", "struct", "timestamp", "type", "wrappers")
)


def mended(files: FileDescriptorSet) -> FileDescriptorSet:
    """Return the same files complete and in an order in which each comes after those that it imports.

    Files that everybody knows are replaced by good copies, those of them that are imported but absent are added.
    """
    by_name = {file.name: file for file in files.file}
    wanted = {name for file in files.file for name in file.dependency}
    by_name |= {name: _well_known(name) for name in (wanted | by_name.keys()) & _WELL_KNOWN}
    if EXTENSION_FILE in by_name:
        by_name[EXTENSION_FILE] = _extension_file()
        by_name.setdefault("google/protobuf/descriptor.proto", _well_known("google/protobuf/descriptor.proto"))
    for name, file in by_name.items():
        if name not in _WELL_KNOWN and name != EXTENSION_FILE:
            _mend_file(file)
    return FileDescriptorSet(file=_sorted(by_name))


def all_messages(file: FileDescriptorProto) -> Iterator[tuple[str, DescriptorProto]]:
    """Yield the messages of a file with their full names, nested ones included."""
    pending = [(_joined(file.package, message.name), message) for message in file.message_type]
    while pending:
        name, message = pending.pop()
        yield name, message
        pending += [(f"{name}.{nested.name}", nested) for nested in message.nested_type]


def _joined(package: str, name: str) -> str:
    return f"{package}.{name}" if package else name


def _mend_file(file: FileDescriptorProto) -> None:
    for _, message in all_messages(file):
        _mend_message(message)
        for enum_type in message.enum_type:
            _mend_enum(enum_type)
    for enum_type in file.enum_type:
        _mend_enum(enum_type)
    for extension in file.extension:
        _mend_field(extension)
    for service in file.service:
        encode_annotations(service.options)


def _mend_message(message: DescriptorProto) -> None:
    for field in message.field:
        _mend_field(field)
    for extension in message.extension:
        _mend_field(extension)
    members = dict.fromkeys(range(len(message.oneof_decl)), 0)
    for field in message.field:
        if field.HasField("oneof_index"):
            members[field.oneof_index] += 1
    lost = next((field for field in message.field if field.proto3_optional and not field.HasField("oneof_index")), None)
    if members.get(0) == 0 and lost is not None:
        lost.oneof_index = 0
    elif members.get(0) == 0:
        del message.oneof_decl[0]
        for field in message.field:
            if field.HasField("oneof_index"):
                field.oneof_index -= 1


def _mend_field(field: FieldDescriptorProto) -> None:
    if not field.HasField("label"):
        field.label = FieldDescriptorProto.LABEL_OPTIONAL
    if not field.HasField("type") and not field.type_name:
        field.type = FieldDescriptorProto.TYPE_DOUBLE
    if field.HasField("options"):
        encode_annotations(field.options)


def _mend_enum(enum_type: EnumDescriptorProto) -> None:
    for value in enum_type.value:
        if not value.HasField("number"):
            value.number = 0


def _well_known(name: str) -> FileDescriptorProto:
    module = import_module(name.removesuffix(".proto").replace("/", ".") + "_pb2")
    file = FileDescriptorProto()
    module.DESCRIPTOR.CopyToProto(file)
    return file


def _extension_file() -> FileDescriptorProto:
    file = FileDescriptorProto(
        name=EXTENSION_FILE, package="dev.restate.ext", syntax="proto3", dependency=["google/protobuf/descriptor.proto"]
    )
    for name, kind in (("ServiceType", ServiceAnnotation), ("FieldType", FieldAnnotation)):
        enum_type = file.enum_type.add(name=name)
        for each in kind:
            enum_type.value.add(name=each.name, number=each.value)
    for name, extended, type_name in (("service_type", "ServiceOptions", "ServiceType"), ("field", "FieldOptions", "FieldType")):
        file.extension.add(
            name=name,
            number=_EXTENSION_NUMBER,
            label=FieldDescriptorProto.LABEL_OPTIONAL,
            type=FieldDescriptorProto.TYPE_ENUM,
            type_name=f".dev.restate.ext.{type_name}",
            extendee=f".google.protobuf.{extended}",
            proto3_optional=True,
        )
    return file


def _sorted(by_name: dict[str, FileDescriptorProto]) -> list[FileDescriptorProto]:
    """Return the files, each after what it imports; files that import each other stay in some order."""
    done: dict[str, FileDescriptorProto] = {}
    pending = list(reversed(by_name))
    opened: set[str] = set()
    while pending:
        name = pending[-1]
        if name in done or name in opened:
            done.setdefault(pending.pop(), by_name[name])
            continue
        opened.add(name)
        pending += [each for each in by_name[name].dependency if each in by_name and each not in opened]
    return list(done.values())
