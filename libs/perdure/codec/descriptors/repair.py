"""Descriptor files as the seed era's SDKs send them, made whole. Source: shared/spec/seed-era.md, 2.2.

The TypeScript SDK drops what it takes for a default, in every file: labels, the type double, enum numbers 0, membership in the first
oneof. It sends options by name, not as extensions. Files that are the same everywhere are replaced; the others are mended.
"""

from collections.abc import Iterable
from typing import Final

from google.protobuf import (
    any_pb2,
    api_pb2,
    descriptor_pb2,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    source_context_pb2,
    struct_pb2,
    timestamp_pb2,
    type_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto

from perdure.codec.descriptors.annotations import EXT_FILE, annotation_bytes
from perdure.codec.descriptors.building import json_name_of

_REPLACEMENTS: Final[dict[str, bytes]] = {
    module.DESCRIPTOR.name: module.DESCRIPTOR.serialized_pb
    for module in (
        any_pb2,
        api_pb2,
        descriptor_pb2,
        duration_pb2,
        empty_pb2,
        field_mask_pb2,
        source_context_pb2,
        struct_pb2,
        timestamp_pb2,
        type_pb2,
        wrappers_pb2,
    )
} | {EXT_FILE.name: EXT_FILE.SerializeToString()}

_Options = (
    descriptor_pb2.FileOptions
    | descriptor_pb2.MessageOptions
    | descriptor_pb2.FieldOptions
    | descriptor_pb2.EnumOptions
    | descriptor_pb2.EnumValueOptions
    | descriptor_pb2.ServiceOptions
    | descriptor_pb2.MethodOptions
)


def well_known_file(name: str) -> FileDescriptorProto | None:
    """Return a file that is the same in every deployment."""
    found = _REPLACEMENTS.get(name)
    return None if found is None else FileDescriptorProto.FromString(found)


def mended(file: FileDescriptorProto) -> FileDescriptorProto:
    """Return the file with what its sender dropped; one that came whole stays as it is."""
    if (replacement := well_known_file(file.name)) is not None:
        return replacement
    whole = FileDescriptorProto()
    whole.CopyFrom(file)
    for enum in whole.enum_type:
        _mend_enum(enum)
    for message in whole.message_type:
        _mend_message(message)
    _mend_fields(whole.extension)
    for service in whole.service:
        _resolve_options(service.options)
        for method in service.method:
            _resolve_options(method.options)
    _resolve_options(whole.options)
    return whole


def _mend_message(message: DescriptorProto) -> None:
    _mend_fields(message.field)
    _mend_fields(message.extension)
    _mend_oneofs(message)
    _resolve_options(message.options)
    for enum in message.enum_type:
        _mend_enum(enum)
    for nested in message.nested_type:
        _mend_message(nested)


def _mend_fields(fields: Iterable[FieldDescriptorProto]) -> None:
    for field in fields:
        if not field.HasField("label"):
            field.label = FieldDescriptorProto.LABEL_OPTIONAL
        if not field.HasField("type") and not field.type_name:
            field.type = FieldDescriptorProto.TYPE_DOUBLE
        if not field.json_name and not field.extendee:
            field.json_name = json_name_of(field.name)
        _resolve_options(field.options)


def _mend_oneofs(message: DescriptorProto) -> None:
    """Give the first oneof its member back where one is known, else drop it: what it held is then a plain field, the bytes are the same."""
    if not message.oneof_decl or any(field.HasField("oneof_index") and field.oneof_index == 0 for field in message.field):
        return
    lone = [field for field in message.field if field.proto3_optional and not field.HasField("oneof_index")]
    if lone:
        lone[0].oneof_index = 0
        return
    del message.oneof_decl[0]
    for field in message.field:
        if field.HasField("oneof_index"):
            field.oneof_index -= 1


def _mend_enum(enum: EnumDescriptorProto) -> None:
    for value in enum.value:
        if not value.HasField("number"):
            value.number = 0
        _resolve_options(value.options)
    _resolve_options(enum.options)


def _resolve_options(options: _Options) -> None:
    """Write annotations that came by name as extensions, and drop other options by name: no client could read them."""
    if options.uninterpreted_option:
        annotations = b"".join(map(annotation_bytes, options.uninterpreted_option))
        options.ClearField("uninterpreted_option")
        options.MergeFromString(annotations)
