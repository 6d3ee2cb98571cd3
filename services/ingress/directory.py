"""What the ingress must know of each handler, worked out once per change of the metadata and looked up by raw path bytes.

Source: shared/spec/ingress.md, sections 2 and 8.
"""

from typing import Final

import msgspec

from perdure.model.deployment import Handler, InputRules, OutputRules, Service
from perdure.model.target import HandlerType, ServiceType
from perdure.registry.options import Retention, ServerDefaults, effective_options
from perdure.registry.schema import Schema

PROTOBUF: Final = b"application/proto"


class AnyInput(msgspec.Struct, frozen=True):
    """A body of any content type; none is fine too."""


class EmptyInput(msgspec.Struct, frozen=True):
    """No body and no content type."""


class TypedInput(msgspec.Struct, frozen=True):
    """A body of a content type, which may have wildcards."""

    content_type: str
    is_json: bool
    """JSON must not be empty."""


class NoInput(msgspec.Struct, frozen=True):
    """Rules that nothing can satisfy."""


InputRule = AnyInput | EmptyInput | TypedInput | NoInput


class HandlerEntry(msgspec.Struct, frozen=True):
    """A handler of the latest revision of its service."""

    service: str
    handler: str
    handler_type: HandlerType
    is_workflow: bool
    is_keyed: bool
    is_public: bool
    input_rules: tuple[InputRule, ...]
    content_type: bytes | None
    """Content type of a result with bytes."""
    content_type_if_empty: bytes | None
    plain_retention: Retention
    idempotent_retention: Retention


class ServiceEntry(msgspec.Struct, frozen=True):
    """A service with its handlers by the bytes of their name."""

    name: str
    is_keyed: bool
    handlers: dict[bytes, HandlerEntry]
    run: HandlerEntry | None = None
    """The handler that is the workflow."""


class Directory(msgspec.Struct, frozen=True):
    """All services by the bytes of their name, at one version of the metadata."""

    services: dict[bytes, ServiceEntry] = {}
    protobuf: dict[bytes, ServiceEntry] = {}
    """Those of the seed era, which are called by other rules."""

    def find(self, service: str, handler: str) -> HandlerEntry | None:
        """Return a handler by its names."""
        name = service.encode()
        entry = self.services.get(name) or self.protobuf.get(name)
        return None if entry is None else entry.handlers.get(handler.encode())


def directory_of(schema: Schema, defaults: ServerDefaults) -> Directory:
    """Return the directory of a schema."""
    directory = Directory({}, {})
    for name, service in schema.services.items():
        entries = directory.services if service.instance_type is None else directory.protobuf
        entries[name.encode()] = _service_entry(service, defaults)
    return directory


def _service_entry(service: Service, defaults: ServerDefaults) -> ServiceEntry:
    entries = [_handler_entry(service, handler, defaults) for handler in service.handlers.values()]
    run = next((entry for entry in entries if entry.handler_type is HandlerType.WORKFLOW), None)
    return ServiceEntry(service.name, service.service_type.is_keyed, {entry.handler.encode(): entry for entry in entries}, run)


def _handler_entry(service: Service, handler: Handler, defaults: ServerDefaults) -> HandlerEntry:
    options = effective_options(service, handler, defaults=defaults)
    content_type, content_type_if_empty = output_types(handler.output) if handler.method is None else (PROTOBUF, PROTOBUF)
    return HandlerEntry(
        service=service.name,
        handler=handler.name,
        handler_type=handler.handler_type,
        is_workflow=service.service_type is ServiceType.WORKFLOW,
        is_keyed=service.service_type.is_keyed,
        is_public=options.is_public,
        input_rules=input_rules(handler.input),
        content_type=content_type,
        content_type_if_empty=content_type_if_empty,
        plain_retention=options.plain_retention,
        idempotent_retention=options.idempotent_retention,
    )


def input_rules(rules: InputRules | None) -> tuple[InputRule, ...]:
    """Return the alternatives that `input` of the manifest stands for, in the order in which they are tried."""
    if rules is None:
        return (EmptyInput(), AnyInput())
    alternatives: list[InputRule] = [] if rules.required else [EmptyInput()]
    if rules.content_type is not None:
        alternatives.append(TypedInput(rules.content_type, rules.json_schema is not None))
    return tuple(alternatives) or (NoInput(),)


def output_types(rules: OutputRules | None) -> tuple[bytes | None, bytes | None]:
    """Return the content types of a result with and without bytes."""
    if rules is None:
        return b"application/json", None
    if rules.content_type is None:
        return None, None
    content_type = rules.content_type.encode()
    return content_type, content_type if rules.set_content_type_if_empty else None
