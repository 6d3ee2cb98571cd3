"""Descriptor sets as SDKs of the seed era send them: damaged, unsorted, with options by name."""

import contextlib

import pytest
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    EnumValueDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
    OneofDescriptorProto,
    ServiceDescriptorProto,
    UninterpretedOption,
)
from hypothesis import given
from hypothesis import strategies as st

from perdure.codec.descriptors.annotations import FieldAnnotation, ServiceAnnotation, annotation_of
from perdure.codec.descriptors.building import field_of, message_of
from perdure.codec.descriptors.errors import BadDescriptors, BadMessage, UnknownSymbol
from perdure.codec.descriptors.json import from_json, to_json
from perdure.codec.descriptors.pool import DEPTH_MAX, Descriptors


def by_name(name: str, value: str) -> UninterpretedOption:
    part = UninterpretedOption.NamePart(name_part=name, is_extension=True)
    return UninterpretedOption(name=[part], identifier_value=value.encode())


def a_field(number: int, name: str, kind: int | None = None, **others: object) -> FieldDescriptorProto:
    field = FieldDescriptorProto(number=number, name=name, **others)  # type: ignore[arg-type]
    if kind is not None:
        field.type = kind  # type: ignore[assignment]
    return field


def a_router_file() -> FileDescriptorProto:
    """What SDK 0.8.1 makes of a router and a keyed router, as far as it matters."""
    key = a_field(1, "key", FieldDescriptorProto.TYPE_STRING)
    key.options.uninterpreted_option.append(by_name("dev.restate.ext.field", "KEY"))
    value = ".google.protobuf.Value"
    plain = ServiceDescriptorProto(name="my.pkg.Plain")
    keyed = ServiceDescriptorProto(name="Counter")
    for service, name in ((plain, "UNKEYED"), (keyed, "KEYED")):
        service.options.uninterpreted_option.append(by_name("dev.restate.ext.service_type", name))
        service.method.append(MethodDescriptorProto(name="add", input_type=".RpcRequest", output_type=".RpcResponse"))
    return FileDescriptorProto(
        name="proto/dynrpc.proto",
        syntax="proto3",
        dependency=["dev/restate/ext.proto", "google/protobuf/struct.proto"],
        message_type=[
            DescriptorProto(
                name="RpcRequest",
                field=[key, a_field(2, "request", FieldDescriptorProto.TYPE_MESSAGE, type_name=value)],
            ),
            DescriptorProto(name="RpcResponse", field=[a_field(1, "response", FieldDescriptorProto.TYPE_MESSAGE, type_name=value)]),
        ],
        service=[plain, keyed],
    )


def descriptors_of(*files: FileDescriptorProto) -> Descriptors:
    return Descriptors(FileDescriptorSet(file=files).SerializeToString())


def a_file(*messages: DescriptorProto, name: str = "a.proto", **others: object) -> FileDescriptorProto:
    return FileDescriptorProto(name=name, package="p", syntax="proto3", message_type=messages, **others)  # type: ignore[arg-type]


def test_services_with_dotted_names_are_found() -> None:
    descriptors = descriptors_of(a_router_file())
    assert descriptors.service("my.pkg.Plain").annotation == ServiceAnnotation.UNKEYED
    assert descriptors.service("Counter").annotation == ServiceAnnotation.KEYED
    assert descriptors.service("Counter").methods["add"].output_type == "RpcResponse"
    assert descriptors.file_containing("my.pkg.Plain.add") == "proto/dynrpc.proto"


def test_fields_annotated_by_name_are_found() -> None:
    (key,) = descriptors_of(a_router_file()).annotated_fields("RpcRequest")
    assert (key.name, key.number, key.annotation, key.is_string) == ("key", 1, FieldAnnotation.KEY, True)


def test_annotations_are_served_as_extensions() -> None:
    file = descriptors_of(a_router_file()).file("proto/dynrpc.proto")
    assert [annotation_of(service.options) for service in file.service] == [0, 1]
    assert not any(service.options.uninterpreted_option for service in file.service)


def test_an_absent_annotation_differs_from_zero() -> None:
    file = a_file(message_of("M"), service=[ServiceDescriptorProto(name="S")])
    assert descriptors_of(file).service("p.S").annotation is None


def test_the_damaged_standard_files_are_replaced() -> None:
    damaged = FileDescriptorProto(
        name="google/protobuf/struct.proto",
        package="google.protobuf",
        syntax="proto3",
        message_type=[DescriptorProto(name="Value", oneof_decl=[OneofDescriptorProto(name="kind")])],
    )
    descriptors = descriptors_of(a_router_file(), damaged)
    request = descriptors.message_class("RpcRequest")
    assert to_json(request, from_json(request, b'{"key":"k","request":[1,"a",null]}')) == b'{"key":"k","request":[1.0,"a",null]}'


def test_what_the_encoder_drops_is_put_back() -> None:
    lone = a_field(3, "maybe", FieldDescriptorProto.TYPE_INT32, proto3_optional=True)
    damaged = DescriptorProto(
        name="M",
        field=[a_field(1, "amount"), a_field(2, "color", type_name=".p.Color"), lone],
        oneof_decl=[OneofDescriptorProto(name="_maybe")],
    )
    color = EnumDescriptorProto(name="Color", value=[EnumValueDescriptorProto(name="RED"), EnumValueDescriptorProto(name="BLUE", number=1)])
    message = descriptors_of(a_file(damaged, enum_type=[color])).message_class("p.M")
    assert to_json(message, from_json(message, b'{"amount":1.5,"maybe":0}')) == b'{"amount":1.5,"maybe":0,"color":"RED"}'


def test_an_empty_oneof_is_dropped_and_the_others_keep_their_members() -> None:
    member = a_field(3, "c", FieldDescriptorProto.TYPE_STRING, oneof_index=1)
    damaged = DescriptorProto(
        name="M",
        field=[a_field(1, "a", FieldDescriptorProto.TYPE_STRING), member],
        oneof_decl=[OneofDescriptorProto(name="first"), OneofDescriptorProto(name="second")],
    )
    message = descriptors_of(a_file(damaged)).message_class("p.M")(c="x")
    assert message.WhichOneof("second") == "c"


def test_files_may_come_in_any_order_and_are_given_with_all_that_they_need() -> None:
    top = a_file(name="top.proto", dependency=["middle.proto"])
    middle = a_file(message_of("Middle", [field_of(1, "at", ".google.protobuf.Timestamp")]), name="middle.proto")
    middle.dependency.append("google/protobuf/timestamp.proto")
    names = [file.name for file in descriptors_of(top, middle).with_dependencies("top.proto")]
    assert names == ["top.proto", "middle.proto", "google/protobuf/timestamp.proto"]


def deeply_nested() -> DescriptorProto:
    message = message_of("M")
    for _ in range(DEPTH_MAX + 1):
        message = message_of("M", nested=[message])
    return message


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ([a_file(dependency=["gone.proto"])], "gone.proto"),
        ([a_file(message_of("M", [field_of(1, "x", ".p.Gone")]))], "a.proto"),
        ([a_file(name="a", dependency=["b"]), a_file(name="b", dependency=["a"])], "circle"),
        ([a_file(deeply_nested())], "nested too deeply"),
    ],
)
def test_a_set_that_cannot_be_linked_is_refused_with_its_reason(files: list[FileDescriptorProto], reason: str) -> None:
    with pytest.raises(BadDescriptors, match=reason):
        descriptors_of(*files)


@given(st.binary(max_size=60))
def test_bytes_that_are_no_set_are_refused(data: bytes) -> None:
    with contextlib.suppress(BadDescriptors):
        assert Descriptors(data).services is not None


def test_unknown_names_are_refused() -> None:
    descriptors = descriptors_of(a_router_file())
    for look_up in (
        descriptors.service,
        descriptors.message_class,
        descriptors.file,
        descriptors.file_containing,
        descriptors.annotated_fields,
    ):
        with pytest.raises(UnknownSymbol, match="gone"):
            look_up("gone")


@pytest.mark.parametrize(
    "text", [b"", b"null", b"[]", b"{", b'{"nothing":1}', b'{"key":1}', b'{"request":' + b"[" * 500 + b"]" * 500 + b"}", b'{"key":"\xff"}']
)
def test_json_that_does_not_fit_is_refused(text: bytes) -> None:
    with pytest.raises(BadMessage):
        from_json(descriptors_of(a_router_file()).message_class("RpcRequest"), text)


def test_json_has_the_settings_of_the_era() -> None:
    kinds = descriptors_of(a_file(message_of("M", [field_of(1, "big_number", "int64"), field_of(2, "raw", "bytes")]))).message_class("p.M")
    assert to_json(kinds, b"") == b'{"bigNumber":"0","raw":""}'
    payload = from_json(kinds, b'{"big_number":"5","raw":"AQI="}')
    assert to_json(kinds, payload) == b'{"bigNumber":"5","raw":"AQI="}'
    assert from_json(kinds, b'{"bigNumber":5,"raw":"AQI="}') == payload
    with pytest.raises(BadMessage):
        to_json(kinds, b"\xff")
