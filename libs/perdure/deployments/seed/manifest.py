"""What an endpoint of the seed era says about itself at discovery, read into the model. Pure.

Source: shared/spec/seed-era.md, 2.2, 3.2 and 5.4.
"""

import re
from typing import Final

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, MethodDescriptorProto, ServiceDescriptorProto
from google.protobuf.message import DecodeError

from perdure.deployments.errors import (
    AnnotationRepeated,
    BadDiscoveryResponse,
    BidirectionalUnsupported,
    EventFieldUnusable,
    KeyUnusable,
    ServiceDefinitionUnusable,
    ServiceUnusable,
)
from perdure.deployments.manifest import Discovered
from perdure.deployments.seed import messages_pb2 as wire
from perdure.deployments.seed.annotations import FieldAnnotation, ServiceAnnotation, field_annotation, service_annotation
from perdure.deployments.seed.descriptors import EXTENSION_FILE, all_messages, mended
from perdure.model.deployment import Handler, InstanceType, ProtobufMethod, ProtocolMode, Service
from perdure.model.target import HandlerType, ServiceType

MEDIA_TYPE: Final = "application/proto"
PROTOCOL_VERSION: Final = 0
"""What the model calls the service protocol of the seed era, which has no number of its own in discovery."""

_MODES: Final = {0: ProtocolMode.BIDI_STREAM, 1: ProtocolMode.REQUEST_RESPONSE}
_INSTANCE_TYPES: Final = {
    ServiceAnnotation.UNKEYED: InstanceType.UNKEYED,
    ServiceAnnotation.KEYED: InstanceType.KEYED,
    ServiceAnnotation.SINGLETON: InstanceType.SINGLETON,
}
_NAME: Final = re.compile(r"[A-Za-z0-9._$~-]+")
"""What can stand in the path of an invocation as it is."""

Field = FieldDescriptorProto
Messages = dict[str, DescriptorProto]


def parse_seed_manifest(body: bytes, *, http_version: str, sdk_version: str | None, is_lambda: bool = False) -> Discovered:
    """Read and check the discovery response in `body`.

    Raises:
        DiscoveryError: One of its kinds, for the first rule that a service breaks.
    """
    try:
        message = wire.DiscoveryResponse.FromString(body)
    except DecodeError:
        raise BadDiscoveryResponse(f"the discovery response of {len(body)} bytes is not valid protobuf") from None
    mode = _MODES.get(message.protocol_mode)
    if mode is None:
        raise BadDiscoveryResponse(f"the discovery response has the unknown protocol mode {message.protocol_mode}")
    if mode is ProtocolMode.BIDI_STREAM and is_lambda:
        raise BidirectionalUnsupported("the endpoint wants BIDI_STREAM over Lambda")
    if all(file.name != EXTENSION_FILE for file in message.files.file):
        raise ServiceUnusable(f"the descriptors do not hold {EXTENSION_FILE}, which service types are written with")
    files = mended(message.files)
    messages = {name: found for file in files.file for name, found in all_messages(file)}
    services = {f"{file.package}.{each.name}" if file.package else each.name: each for file in files.file for each in file.service}
    return Discovered(
        protocol_mode=mode,
        http_version=http_version,
        protocol_version_min=PROTOCOL_VERSION,
        protocol_version_max=PROTOCOL_VERSION,
        services=[_service(name, services.get(name), messages) for name in dict.fromkeys(message.services)],
        sdk_version=sdk_version,
        descriptor_set=files.SerializeToString(deterministic=True),
    )


def _service(name: str, descriptor: ServiceDescriptorProto | None, messages: Messages) -> Service:
    if descriptor is None:
        raise ServiceUnusable(f"service {name} is listed, but is not in the descriptors")
    annotation = service_annotation(descriptor.options)
    if annotation is None:
        raise ServiceDefinitionUnusable(f"service {name} has no option dev.restate.ext.service_type")
    if not descriptor.method:
        raise ServiceDefinitionUnusable(f"service {name} has no methods")
    for text in (name, *(method.name for method in descriptor.method)):
        if not _NAME.fullmatch(text):
            raise ServiceDefinitionUnusable(f"service {name}: the name {text!r} cannot stand in a path")
    is_plain = annotation is ServiceAnnotation.UNKEYED
    return Service(
        name=name,
        service_type=ServiceType.SERVICE if is_plain else ServiceType.VIRTUAL_OBJECT,
        revision=0,
        deployment_id="",
        handlers={
            method.name: Handler(
                name=method.name,
                handler_type=HandlerType.PLAIN if is_plain else HandlerType.EXCLUSIVE,
                method=_method(f"{name}/{method.name}", method, messages, is_keyed=annotation is ServiceAnnotation.KEYED),
            )
            for method in descriptor.method
        },
        instance_type=_INSTANCE_TYPES[annotation],
    )


def _method(place: str, method: MethodDescriptorProto, messages: Messages, *, is_keyed: bool) -> ProtobufMethod:
    input_type, output_type = method.input_type.removeprefix("."), method.output_type.removeprefix(".")
    for type_name in (input_type, output_type):
        if type_name not in messages:
            raise ServiceUnusable(f"{place}: message {type_name} is not in the descriptors")
    fields = _annotated(input_type, messages[input_type])
    key = fields.get(FieldAnnotation.KEY)
    payload, metadata = fields.get(FieldAnnotation.EVENT_PAYLOAD), fields.get(FieldAnnotation.EVENT_METADATA)
    if is_keyed and key is None:
        raise KeyUnusable(f"{place}: no field of {input_type} is the key")
    if is_keyed and key is not None and (key.type != Field.TYPE_STRING or key.label == Field.LABEL_REPEATED):
        raise KeyUnusable(f"{place}: the key {input_type}.{key.name} is no string")
    if payload is not None and payload.type not in (Field.TYPE_STRING, Field.TYPE_BYTES):
        raise EventFieldUnusable(f"{place}: the event payload {input_type}.{payload.name} is neither string nor bytes")
    if metadata is not None and not _is_map_of_strings(metadata, messages):
        raise EventFieldUnusable(f"{place}: the event metadata {input_type}.{metadata.name} is no map<string, string>")
    return ProtobufMethod(
        input_type=input_type,
        output_type=output_type,
        key_field=key.number if is_keyed and key is not None else None,
        event_payload_field=None if payload is None else payload.number,
        event_metadata_field=None if metadata is None else metadata.number,
    )


def _annotated(type_name: str, message: DescriptorProto) -> dict[FieldAnnotation, Field]:
    """Return the annotated fields of a message, each annotation once."""
    found: dict[FieldAnnotation, Field] = {}
    for field in message.field:
        annotation = field_annotation(field.options)
        if annotation is None:
            continue
        if annotation in found:
            raise AnnotationRepeated(
                f"{type_name}: fields {found[annotation].name} and {field.name} are both annotated as {annotation.name}"
            )
        found[annotation] = field
    return found


def _is_map_of_strings(field: Field, messages: Messages) -> bool:
    entry = messages.get(field.type_name.removeprefix("."))
    return entry is not None and entry.options.map_entry and all(each.type == Field.TYPE_STRING for each in entry.field)
