"""The discovery response of the seed era, read into the model."""

import pytest
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet

from perdure.codec.descriptors.annotations import FieldAnnotation, ServiceAnnotation, annotation_of
from perdure.deployments.errors import BadDiscoveryResponse, BidirectionalUnsupported, DiscoveryError, ServiceUnusable
from perdure.deployments.manifest import Discovered
from perdure.deployments.seed.manifest import parse_seed_manifest
from perdure.model.deployment import InstanceType, ProtobufMethod, ProtocolMode
from perdure.model.target import HandlerType, ServiceType
from tests.unit.deployments.seed_descriptors import KEY, STRING, Field, a_file, a_response

BYTES = FieldDescriptorProto.TYPE_BYTES
INT32 = FieldDescriptorProto.TYPE_INT32


def parse(body: bytes, *, is_lambda: bool = False) -> Discovered:
    return parse_seed_manifest(body, http_version="HTTP/2.0", sdk_version=None, is_lambda=is_lambda)


@pytest.mark.parametrize("by_name", [True, False])
@pytest.mark.parametrize(
    ("kind", "service_type", "instance_type", "handler_type", "key_field"),
    [
        (ServiceAnnotation.UNKEYED, ServiceType.SERVICE, InstanceType.UNKEYED, HandlerType.PLAIN, None),
        (ServiceAnnotation.KEYED, ServiceType.VIRTUAL_OBJECT, InstanceType.KEYED, HandlerType.EXCLUSIVE, 3),
        (ServiceAnnotation.SINGLETON, ServiceType.VIRTUAL_OBJECT, InstanceType.SINGLETON, HandlerType.EXCLUSIVE, None),
    ],
)
def test_the_annotation_says_how_a_service_is_keyed(
    by_name: bool,
    kind: ServiceAnnotation,
    service_type: ServiceType,
    instance_type: InstanceType,
    handler_type: HandlerType,
    key_field: int | None,
) -> None:
    found = parse(a_response(a_file(kind, by_name=by_name)))
    (service,) = found.services
    assert (service.name, service.service_type, service.instance_type) == ("shop.Cart", service_type, instance_type)
    assert service.handlers["Add"].handler_type is handler_type
    assert service.handlers["Add"].method == ProtobufMethod("shop.Request", "shop.Reply", key_field)
    assert (found.protocol_version_min, found.protocol_version_max, found.protocol_mode) == (0, 0, ProtocolMode.BIDI_STREAM)


def test_only_what_is_listed_is_served() -> None:
    assert parse(a_response(a_file(), services=())).services == []


def test_a_service_whose_name_has_dots_is_found_without_a_package() -> None:
    file = a_file(service="my.pkg.Cart")
    file.ClearField("package")
    file.service[0].method[0].input_type = ".Request"
    file.service[0].method[0].output_type = ".Reply"
    assert parse(a_response(file, services=["my.pkg.Cart"])).services[0].name == "my.pkg.Cart"


def test_event_fields_are_known_by_number() -> None:
    file = a_file(fields=[KEY, ("body", 4, BYTES, FieldAnnotation.EVENT_PAYLOAD)])
    attributes = file.message_type[0].field.add(name="a", number=9, label=3, type=11, type_name=".shop.Request.AEntry")
    attributes.options.uninterpreted_option.add(identifier_value="EVENT_METADATA").name.add(
        name_part="dev.restate.ext.field", is_extension=True
    )
    entry = file.message_type[0].nested_type.add(name="AEntry")
    entry.options.map_entry = True
    for number, name in enumerate(("key", "value"), 1):
        entry.field.add(name=name, number=number, type=STRING)
    method = parse(a_response(file)).services[0].handlers["Add"].method
    assert method is not None
    assert (method.event_payload_field, method.event_metadata_field) == (4, 9)


@pytest.mark.parametrize(
    ("file", "code"),
    [
        (a_file(None), "META0001"),
        (a_file(methods=()), "META0001"),
        (a_file(methods=("a/b",)), "META0001"),
        (a_file(fields=()), "META0002"),
        (a_file(fields=[("id", 1, INT32, FieldAnnotation.KEY)]), "META0002"),
        (a_file(fields=[("id", 1, BYTES, FieldAnnotation.KEY)]), "META0002"),
        (a_file(fields=[KEY, ("other", 4, STRING, FieldAnnotation.KEY)]), "META0007"),
        (a_file(fields=[KEY, ("body", 4, INT32, FieldAnnotation.EVENT_PAYLOAD)]), "META0008"),
        (a_file(fields=[KEY, ("attributes", 4, STRING, FieldAnnotation.EVENT_METADATA)]), "META0008"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_definition_that_cannot_be_served_is_refused_with_its_code(file: FileDescriptorProto, code: str) -> None:
    with pytest.raises(ServiceUnusable) as refused:
        parse(a_response(file))
    assert (refused.value.code, refused.value.status) == (code, 400)
    assert "shop." in refused.value.message
    assert refused.value.hint


def a_broken_file() -> FileDescriptorProto:
    """A file with a method whose request is nowhere."""
    file = a_file()
    file.service[0].method[0].input_type = ".shop.Nothing"
    return file


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"\xff\xff", BadDiscoveryResponse),
        (a_response(a_file()).replace(b"shop.proto", b"shop.\xffroto"), BadDiscoveryResponse),
        (a_response(a_file(), mode=7), BadDiscoveryResponse),
        (a_response(a_file(), services=["shop.Other"]), ServiceUnusable),
        (a_response(a_broken_file()), ServiceUnusable),
        (b"\x12\x09shop.Cart", ServiceUnusable),
    ],
)
def test_a_response_that_cannot_be_read_is_refused(body: bytes, error: type[DiscoveryError]) -> None:
    with pytest.raises(error):
        parse(body)


def test_a_function_must_not_want_streams() -> None:
    assert parse(a_response(a_file(), mode=1), is_lambda=True).protocol_mode is ProtocolMode.REQUEST_RESPONSE
    with pytest.raises(BidirectionalUnsupported):
        parse(a_response(a_file()), is_lambda=True)


def test_what_is_kept_of_descriptors_is_mended() -> None:
    kept = FileDescriptorSet.FromString(parse(a_response(a_file())).descriptor_set)
    (file,) = [each for each in kept.file if each.name == "shop.proto"]
    assert not file.service[0].options.uninterpreted_option
    assert annotation_of(file.service[0].options) == ServiceAnnotation.KEYED
    assert annotation_of(file.message_type[0].field[0].options) == FieldAnnotation.KEY


def test_a_key_may_have_another_number_in_every_method() -> None:
    file = a_file()
    file.message_type.add(name="Other").field.add(name="key", number=8, type=STRING).options.MergeFrom(
        file.message_type[0].field[0].options
    )
    file.service[0].method.add(name="Order", input_type=".shop.Other", output_type=".shop.Reply")
    handlers = parse(a_response(file)).services[0].handlers
    assert {name: handler.method and handler.method.key_field for name, handler in handlers.items()} == {"Add": 3, "Order": 8}


def test_an_unannotated_field_is_none_of_them() -> None:
    plain: Field = ("amount", 1, INT32, None)
    assert parse(a_response(a_file(fields=[plain, KEY]))).services[0].handlers["Add"].method == ProtobufMethod(
        "shop.Request", "shop.Reply", 3
    )
