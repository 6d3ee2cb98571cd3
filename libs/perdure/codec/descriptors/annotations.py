"""The extensions of services and fields by which the seed era said how a service is keyed. Source: shared/spec/seed-era.md, 3.1."""

import enum
from typing import Final

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto, UninterpretedOption
from google.protobuf.message import Message

from perdure.codec.descriptors import building
from perdure.codec.descriptors.keys import VARINT, encode_varint, fields, read_varint

EXTENSION_NUMBER: Final = 51234


class ServiceAnnotation(enum.IntEnum):
    """How a service is keyed."""

    UNKEYED = 0
    KEYED = 1
    SINGLETON = 2


class FieldAnnotation(enum.IntEnum):
    """What a field of a request is for."""

    KEY = 0
    EVENT_PAYLOAD = 1
    EVENT_METADATA = 2


def _extension(name: str, extendee: str, type_name: str) -> FieldDescriptorProto:
    return FieldDescriptorProto(
        name=name,
        number=EXTENSION_NUMBER,
        extendee=extendee,
        label=FieldDescriptorProto.LABEL_OPTIONAL,
        type=FieldDescriptorProto.TYPE_ENUM,
        type_name=type_name,
        proto3_optional=True,
    )


EXT_FILE: Final = FileDescriptorProto(
    name="dev/restate/ext.proto",
    package="dev.restate.ext",
    syntax="proto3",
    dependency=["google/protobuf/descriptor.proto"],
    enum_type=[
        building.enum_of("ServiceType", {member.name: member for member in ServiceAnnotation}),
        building.enum_of("FieldType", {member.name: member for member in FieldAnnotation}),
    ],
    extension=[
        _extension("service_type", ".google.protobuf.ServiceOptions", ".dev.restate.ext.ServiceType"),
        _extension("field", ".google.protobuf.FieldOptions", ".dev.restate.ext.FieldType"),
    ],
)

_NUMBERS: Final[dict[str, dict[str, int]]] = {
    "dev.restate.ext.service_type": {member.name: member.value for member in ServiceAnnotation},
    "dev.restate.ext.field": {member.name: member.value for member in FieldAnnotation},
}


def annotation_bytes(option: UninterpretedOption) -> bytes:
    """Return an option that was sent by name as the bytes of its extension; empty where it is none of ours."""
    name = ".".join(part.name_part.removeprefix(".") for part in option.name)
    number = _NUMBERS.get(name, {}).get(option.identifier_value)
    return b"" if number is None else encode_varint(EXTENSION_NUMBER << 3 | VARINT) + encode_varint(number)


def annotation_of(options: Message) -> int | None:
    """Return the number that options carry under the extension; None where it is absent, which differs from 0."""
    encoded = options.SerializeToString()
    found = None
    for number, wire_type, _, start, _ in fields(encoded):
        if number == EXTENSION_NUMBER and wire_type == VARINT:
            found = read_varint(encoded, start)[0]
    return found
