"""Parts of descriptor files, made in code."""

from collections.abc import Mapping, Sequence

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    EnumValueDescriptorProto,
    FieldDescriptorProto,
    MethodDescriptorProto,
    OneofDescriptorProto,
    ServiceDescriptorProto,
)

SCALARS: Mapping[str, "FieldDescriptorProto.Type.ValueType"] = {
    "string": FieldDescriptorProto.TYPE_STRING,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
    "bool": FieldDescriptorProto.TYPE_BOOL,
    "int32": FieldDescriptorProto.TYPE_INT32,
    "int64": FieldDescriptorProto.TYPE_INT64,
    "uint32": FieldDescriptorProto.TYPE_UINT32,
    "double": FieldDescriptorProto.TYPE_DOUBLE,
}


def field_of(number: int, name: str, kind: str, *, is_repeated: bool = False, json_name: str | None = None) -> FieldDescriptorProto:
    """Return a field.

    Args:
        kind: A scalar's name, or the full name of a message with a leading dot (of an enum: `enum` before it).
        json_name: By default the usual one; it is always set, since some clients do not work it out.
    """
    label = FieldDescriptorProto.LABEL_REPEATED if is_repeated else FieldDescriptorProto.LABEL_OPTIONAL
    field = FieldDescriptorProto(name=name, number=number, label=label, json_name=json_name or json_name_of(name))
    if kind in SCALARS:
        field.type = SCALARS[kind]
    elif kind.startswith("enum"):
        field.type, field.type_name = FieldDescriptorProto.TYPE_ENUM, kind.removeprefix("enum")
    else:
        field.type, field.type_name = FieldDescriptorProto.TYPE_MESSAGE, kind
    return field


def json_name_of(name: str) -> str:
    """Return a field's name in lower camel case, as protobuf makes it."""
    first, *rest = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


def message_of(
    name: str,
    fields: Sequence[FieldDescriptorProto] = (),
    *,
    nested: Sequence[DescriptorProto] = (),
    oneofs: Mapping[str, Sequence[int]] | None = None,
    enums: Sequence[EnumDescriptorProto] = (),
) -> DescriptorProto:
    """Return a message. `oneofs`: name -> numbers of its fields."""
    message = DescriptorProto(name=name, field=fields, nested_type=nested, enum_type=enums)
    by_number = {field.number: field for field in message.field}
    for index, (oneof, numbers) in enumerate((oneofs or {}).items()):
        message.oneof_decl.append(OneofDescriptorProto(name=oneof))
        for number in numbers:
            by_number[number].oneof_index = index
    return message


def make_optional(message: DescriptorProto) -> None:
    """Give the singular scalar fields of a message presence, each in a oneof of its own, as `optional` of proto3 does."""
    taken = {name for field in message.field for name in (field.name, field.json_name)}
    for field in message.field:
        if field.label == FieldDescriptorProto.LABEL_OPTIONAL and field.type != FieldDescriptorProto.TYPE_MESSAGE:
            field.oneof_index = len(message.oneof_decl)
            field.proto3_optional = True
            name = f"_{field.name}"
            while name in taken:
                name = f"X{name}"
            message.oneof_decl.append(OneofDescriptorProto(name=name))


def enum_of(name: str, values: Mapping[str, int]) -> EnumDescriptorProto:
    """Return an enum."""
    return EnumDescriptorProto(name=name, value=[EnumValueDescriptorProto(name=key, number=number) for key, number in values.items()])


def service_of(name: str, methods: Sequence[MethodDescriptorProto]) -> ServiceDescriptorProto:
    """Return a service."""
    return ServiceDescriptorProto(name=name, method=methods)


def method_of(
    name: str, request: str, response: str, *, streams_request: bool = False, streams_response: bool = False
) -> MethodDescriptorProto:
    """Return a method; types are full names with a leading dot."""
    return MethodDescriptorProto(
        name=name, input_type=request, output_type=response, client_streaming=streams_request, server_streaming=streams_response
    )
