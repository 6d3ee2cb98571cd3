"""What a discovered service must look like to be registered, beyond what makes a manifest good. Pure.

Source: shared/spec/service-protocol.md, section 1.6; shared/spec/admin.md, section 3.2; shared/spec/seed-era.md, 5.5 and 5.6.
"""

from collections.abc import Iterable
from typing import Any, Final, NoReturn

from perdure.model.deployment import Handler, Service
from perdure.model.target import ServiceType
from perdure.registry.errors import InvalidService, KeyChanged, MethodsRemoved, ReservedPackage, ReservedServiceName, ServiceTypeChanged
from perdure.registry.schema import Schema

_KIND_NAMES: Final = {ServiceType.SERVICE: "Service", ServiceType.VIRTUAL_OBJECT: "VirtualObject", ServiceType.WORKFLOW: "Workflow"}
_WHAT_TO_DO: Final = "keep them, rename the service, or register it with `force`"
_RESERVED_PACKAGES: Final = ("dev.restate.", "grpc.")


def check_services(services: Iterable[Service], schema: Schema, *, may_break: bool) -> None:
    """Check the services of a manifest against the rules and against their active revisions.

    Raises:
        ReservedServiceName: The server keeps the name for itself.
        ReservedPackage: It keeps the package.
        ServiceTypeChanged: The active revision is of another type or era, and `may_break` is false.
        MethodsRemoved: A protobuf service lacks methods of its active revision, and `may_break` is false.
        KeyChanged: A protobuf service takes a key from another field than its active revision, and `may_break` is false.
        InvalidService: A JSON schema breaks the rules of its draft, or refers to what is not in it.
    """
    for service in services:
        _check_name(service)
        active = schema.services.get(service.name)
        if active is not None and not may_break:
            _check_type(active, service)
            _check_methods(active, service)
        for handler in service.handlers.values():
            _check_handler(service, handler)


def _check_name(service: Service) -> None:
    if service.name.startswith(_RESERVED_PACKAGES):
        raise ReservedPackage(f"cannot insert/modify service '{service.name}': its package is reserved")
    lowered = service.name.lower()
    is_reserved = lowered.startswith("restate") if service.instance_type is None else lowered == "restate"
    if is_reserved or lowered == "openapi":
        raise ReservedServiceName(f"cannot insert/modify service '{service.name}' as it contains a reserved name")


def _check_type(active: Service, service: Service) -> None:
    if (active.service_type, active.instance_type) != (service.service_type, service.instance_type):
        raise ServiceTypeChanged(
            f"detected a new service revision for '{service.name}' changing the service type from "
            f"'{_kind(active)}' to '{_kind(service)}': register it with `breaking` or `force` to allow that"
        )


def _kind(service: Service) -> str:
    return _KIND_NAMES[service.service_type] if service.instance_type is None else f"protobuf service, {service.instance_type.value}"


def _check_methods(active: Service, service: Service) -> None:
    """Refuse a revision of a protobuf service that callers of the active one would not get on with."""
    if service.instance_type is None:
        return
    removed = sorted(active.handlers.keys() - service.handlers.keys())
    if removed:
        names = ", ".join(removed)
        raise MethodsRemoved(f"the new revision of service '{service.name}' has no longer the methods {names}: {_WHAT_TO_DO}")
    for name, handler in active.handlers.items():
        before, now = _key_field(handler), _key_field(service.handlers[name])
        if before != now:
            raise KeyChanged(
                f"the new revision of '{service.name}/{name}' takes the key from field {now}, the active one from field {before}: "
                f"{_WHAT_TO_DO}"
            )


def _key_field(handler: Handler) -> int | None:
    return None if handler.method is None else handler.method.key_field


def _check_handler(service: Service, handler: Handler) -> None:
    where = f"{service.name}/{handler.name}"
    if handler.input is not None:
        _check_json_schema(f"the input of {where}", handler.input.json_schema)
    if handler.output is not None:
        _check_json_schema(f"the output of {where}", handler.output.json_schema)


def _check_json_schema(where: str, schema: Any) -> None:  # Any: a JSON value
    """Refuse what is no JSON schema of its draft, and references that lead nowhere or out of the document."""
    if schema is None:
        return
    if not isinstance(schema, dict | bool):
        raise InvalidService(f"{where} has a JSON schema that is neither an object nor a boolean")
    import jsonschema_rs  # 25 ms and 10 MB, and only registrations need it

    try:
        jsonschema_rs.validator_for(schema, retriever=_retrieve_nothing)  # pyright: ignore[reportUnknownArgumentType]  # JSON
    except jsonschema_rs.ValidationError as error:
        raise InvalidService(f"{where} has no valid JSON schema: {error.message}") from None
    except ValueError as error:
        raise InvalidService(f"{where} has a JSON schema that cannot be read: {error}") from None


def _retrieve_nothing(uri: str) -> NoReturn:
    raise ValueError(f"{uri} is another document; put what it says into the schema itself")
