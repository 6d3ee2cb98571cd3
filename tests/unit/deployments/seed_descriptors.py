"""Discovery responses of the seed era: protobuf services, annotated in either spelling, as an SDK of then writes them."""

from collections.abc import Sequence
from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FieldOptions, FileDescriptorProto, FileDescriptorSet, ServiceOptions

from perdure.codec.descriptors.annotations import FieldAnnotation, ServiceAnnotation, annotation_bytes
from perdure.deployments.seed import messages_pb2 as wire

STRING = FieldDescriptorProto.TYPE_STRING
Field = tuple[str, int, Any, FieldAnnotation | None]
"""Name, number, type, annotation."""
KEY: Field = ("id", 3, STRING, FieldAnnotation.KEY)


def annotate(options: ServiceOptions | FieldOptions, value: ServiceAnnotation | FieldAnnotation | None, *, by_name: bool) -> None:
    """Annotate a service or a field by the extension, or by its name."""
    if value is None:
        return
    name = f"dev.restate.ext.{'service_type' if isinstance(value, ServiceAnnotation) else 'field'}"
    option = options.uninterpreted_option.add(identifier_value=value.name)
    option.name.add(name_part=name, is_extension=True)
    if not by_name:
        encoded = annotation_bytes(option)
        options.ClearField("uninterpreted_option")
        options.MergeFromString(encoded)


def a_file(
    kind: ServiceAnnotation | None = ServiceAnnotation.KEYED,
    fields: Sequence[Field] = (KEY,),
    methods: Sequence[str] = ("Add",),
    *,
    service: str = "Cart",
    by_name: bool = True,
) -> FileDescriptorProto:
    """Return a file with one service in package `shop`, whose methods take `Request` and return `Reply`."""
    file = FileDescriptorProto(name="shop.proto", package="shop", syntax="proto3", dependency=["dev/restate/ext.proto"])
    request = file.message_type.add(name="Request")
    for name, number, field_type, annotation in fields:
        field = request.field.add(name=name, number=number, type=field_type)
        annotate(field.options, annotation, by_name=by_name)
    file.message_type.add(name="Reply")
    declared = file.service.add(name=service)
    annotate(declared.options, kind, by_name=by_name)
    for method in methods:
        declared.method.add(name=method, input_type=".shop.Request", output_type=".shop.Reply")
    return file


def a_response(*files: FileDescriptorProto, services: Sequence[str] = ("shop.Cart",), mode: int = 0) -> bytes:
    """Return a discovery response, with the extension's file before what it imports, as SDK 0.8.1 sends it."""
    extension = FileDescriptorProto(name="dev/restate/ext.proto", dependency=["google/protobuf/descriptor.proto"])
    whole = FileDescriptorSet(file=[*files, extension, FileDescriptorProto(name="google/protobuf/descriptor.proto")])
    return wire.DiscoveryResponse(files=whole, services=services, protocol_mode=mode).SerializeToString()
