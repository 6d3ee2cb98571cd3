"""Annotations of services and fields: an extension of their options, or its name and value where an SDK could not encode it.

Source: shared/spec/seed-era.md, 2.2 and 3.1.
"""

import enum
from typing import Final, TypeVar

from google.protobuf.descriptor_pb2 import FieldOptions, ServiceOptions

from perdure.deployments.seed import messages_pb2 as wire

SERVICE_TYPE_NAME: Final = "dev.restate.ext.service_type"
FIELD_TYPE_NAME: Final = "dev.restate.ext.field"


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


A = TypeVar("A", ServiceAnnotation, FieldAnnotation)
Options = ServiceOptions | FieldOptions


def service_annotation(options: ServiceOptions) -> ServiceAnnotation | None:
    """Return the type of a service, if it has one that is known."""
    return _annotation(options, SERVICE_TYPE_NAME, ServiceAnnotation)


def field_annotation(options: FieldOptions) -> FieldAnnotation | None:
    """Return what a field is for, if it says so."""
    return _annotation(options, FIELD_TYPE_NAME, FieldAnnotation)


def encode_annotations(options: Options) -> None:
    """Replace annotations by name with the extension, which all readers of descriptors understand."""
    if not options.uninterpreted_option:
        return
    annotation = service_annotation(options) if isinstance(options, ServiceOptions) else field_annotation(options)
    options.ClearField("uninterpreted_option")
    if annotation is not None:
        options.MergeFromString(wire.Annotations(extension=annotation).SerializeToString())


def _annotation(options: Options, name: str, kind: type[A]) -> A | None:
    message = wire.Annotations.FromString(options.SerializeToString())
    for option in message.by_name:
        if "".join(part.name_part for part in option.name) == name and option.identifier_value in kind.__members__:
            return kind[option.identifier_value]
    if not message.HasField("extension"):
        return None
    return next((each for each in kind if each == message.extension), None)
