"""What an endpoint of the seed era says about itself at discovery, read into the model. Pure.

Source: shared/spec/seed-era.md, 2.2, 3.2 and 5.4.
"""

import re
from typing import Final

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import DecodeError, Message

from perdure.codec.descriptors.annotations import EXT_FILE, FieldAnnotation, ServiceAnnotation
from perdure.codec.descriptors.errors import BadDescriptors, UnknownSymbol
from perdure.codec.descriptors.pool import AnnotatedField, Descriptors, MethodDescriptor
from perdure.codec.descriptors.repair import mended
from perdure.codec.service_protocol.versions import SEED_VERSION
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
from perdure.model.deployment import Handler, InstanceType, ProtobufMethod, ProtocolMode, Service
from perdure.model.target import HandlerType, ServiceType

_MODES: Final = {0: ProtocolMode.BIDI_STREAM, 1: ProtocolMode.REQUEST_RESPONSE}
_INSTANCE_TYPES: Final[dict[int, InstanceType]] = {
    ServiceAnnotation.UNKEYED: InstanceType.UNKEYED,
    ServiceAnnotation.KEYED: InstanceType.KEYED,
    ServiceAnnotation.SINGLETON: InstanceType.SINGLETON,
}
_NAME: Final = re.compile(r"[A-Za-z0-9._$~-]+")
"""What can stand in the path of an invocation as it is."""


def parse_seed_manifest(body: bytes, *, http_version: str, sdk_version: str | None, is_lambda: bool = False) -> Discovered:
    """Read and check the discovery response in `body`.

    Raises:
        DiscoveryError: One of its kinds, for the first rule that a service breaks.
    """
    try:
        message = wire.DiscoveryResponse.FromString(body)
    except DecodeError:
        raise BadDiscoveryResponse(f"the discovery response of {len(body)} bytes is not valid protobuf") from None
    if _has_broken_text(message):
        raise BadDiscoveryResponse("the descriptors hold text that is not UTF-8")
    mode = _MODES.get(message.protocol_mode)
    if mode is None:
        raise BadDiscoveryResponse(f"the discovery response has the unknown protocol mode {message.protocol_mode}")
    if mode is ProtocolMode.BIDI_STREAM and is_lambda:
        raise BidirectionalUnsupported("the endpoint wants BIDI_STREAM over Lambda")
    if all(file.name != EXT_FILE.name for file in message.files.file):
        raise ServiceUnusable(f"the descriptors do not hold {EXT_FILE.name}, which service types are written with")
    descriptor_set = FileDescriptorSet(file=map(mended, message.files.file)).SerializeToString()
    try:
        descriptors = Descriptors(descriptor_set)
        services = [_service(name, descriptors) for name in dict.fromkeys(message.services)]
    except (BadDescriptors, UnknownSymbol) as error:
        raise ServiceUnusable(f"the descriptors cannot be used: {error.message}") from None
    return Discovered(
        protocol_mode=mode,
        http_version=http_version,
        protocol_version_min=SEED_VERSION,
        protocol_version_max=SEED_VERSION,
        services=services,
        sdk_version=sdk_version,
        descriptor_set=descriptor_set,
    )


def _has_broken_text(message: Message) -> bool:
    """Whether a text is no UTF-8: protobuf lets that pass in descriptors, and hands out bytes where a str is promised."""
    pending = [message]
    while pending:
        for field, value in pending.pop().ListFields():
            values = value if field.is_repeated else (value,)
            if field.message_type is not None:
                pending += values
            elif field.type == field.TYPE_STRING and any(isinstance(each, bytes) for each in values):
                return True
    return False


def _service(name: str, descriptors: Descriptors) -> Service:
    descriptor = descriptors.services.get(name)
    if descriptor is None:
        raise ServiceUnusable(f"service {name} is listed, but is not in the descriptors")
    instance_type = None if descriptor.annotation is None else _INSTANCE_TYPES.get(descriptor.annotation)
    if instance_type is None:
        raise ServiceDefinitionUnusable(f"service {name} has no option dev.restate.ext.service_type")
    if not descriptor.methods:
        raise ServiceDefinitionUnusable(f"service {name} has no methods")
    for text in (name, *descriptor.methods):
        if not _NAME.fullmatch(text):
            raise ServiceDefinitionUnusable(f"service {name}: the name {text!r} cannot stand in a path")
    is_plain = instance_type is InstanceType.UNKEYED
    return Service(
        name=name,
        service_type=ServiceType.SERVICE if is_plain else ServiceType.VIRTUAL_OBJECT,
        revision=0,
        deployment_id="",
        handlers={
            method.name: Handler(
                name=method.name,
                handler_type=HandlerType.PLAIN if is_plain else HandlerType.EXCLUSIVE,
                method=_method(f"{name}/{method.name}", method, descriptors, is_keyed=instance_type is InstanceType.KEYED),
            )
            for method in descriptor.methods.values()
        },
        instance_type=instance_type,
    )


def _method(place: str, method: MethodDescriptor, descriptors: Descriptors, *, is_keyed: bool) -> ProtobufMethod:
    fields = _annotated(method.input_type, descriptors)
    key = fields.get(FieldAnnotation.KEY)
    payload, metadata = fields.get(FieldAnnotation.EVENT_PAYLOAD), fields.get(FieldAnnotation.EVENT_METADATA)
    if is_keyed and key is None:
        raise KeyUnusable(f"{place}: no field of {method.input_type} is the key")
    if is_keyed and key is not None and not key.is_string:
        raise KeyUnusable(f"{place}: the key {method.input_type}.{key.name} is no string")
    if payload is not None and not (payload.is_string or payload.is_bytes):
        raise EventFieldUnusable(f"{place}: the event payload {method.input_type}.{payload.name} is neither string nor bytes")
    if metadata is not None and not metadata.is_string_map:
        raise EventFieldUnusable(f"{place}: the event metadata {method.input_type}.{metadata.name} is no map<string, string>")
    return ProtobufMethod(
        input_type=method.input_type,
        output_type=method.output_type,
        key_field=key.number if is_keyed and key is not None else None,
        event_payload_field=None if payload is None else payload.number,
        event_metadata_field=None if metadata is None else metadata.number,
    )


def _annotated(type_name: str, descriptors: Descriptors) -> dict[int, AnnotatedField]:
    """Return the annotated fields of a message by their annotation, each of which may be there once."""
    found: dict[int, AnnotatedField] = {}
    for field in descriptors.annotated_fields(type_name):
        if field.annotation in found:
            both = f"{found[field.annotation].name} and {field.name}"
            raise AnnotationRepeated(f"{type_name}: fields {both} have the same annotation, {field.annotation}")
        found[field.annotation] = field
    return found
