"""What a discovered service must look like to be registered, beyond what makes a manifest good. Pure.

Source: shared/spec/service-protocol.md, section 1.6; shared/spec/admin.md, section 3.2.
"""

from collections.abc import Iterable
from typing import Any, Final, NoReturn

from perdure.model.deployment import Handler, Service
from perdure.model.target import ServiceType
from perdure.registry.errors import InvalidService, ReservedServiceName, ServiceTypeChanged
from perdure.registry.schema import Schema

_KIND_NAMES: Final = {ServiceType.SERVICE: "Service", ServiceType.VIRTUAL_OBJECT: "VirtualObject", ServiceType.WORKFLOW: "Workflow"}


def check_services(services: Iterable[Service], schema: Schema, *, may_break: bool) -> None:
    """Check the services of a manifest against the rules and against their active revisions.

    Raises:
        ReservedServiceName: The server keeps the name for itself.
        ServiceTypeChanged: The active revision is of another type, and `may_break` is false.
        InvalidService: A JSON schema breaks the rules of its draft, or refers to what is not in it.
    """
    for service in services:
        lowered = service.name.lower()
        if lowered.startswith("restate") or lowered == "openapi":
            raise ReservedServiceName(f"cannot insert/modify service '{service.name}' as it contains a reserved name")
        active = schema.services.get(service.name)
        if active is not None and active.service_type is not service.service_type and not may_break:
            raise ServiceTypeChanged(
                f"detected a new service revision for '{service.name}' changing the service type from "
                f"'{_KIND_NAMES[active.service_type]}' to '{_KIND_NAMES[service.service_type]}': register it with `breaking` to allow that"
            )
        for handler in service.handlers.values():
            _check_handler(service, handler)


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
