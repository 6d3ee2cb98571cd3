"""What a service must look like to be registered. Pure: raises the first violation that it finds.

Source: shared/spec/service-protocol.md, sections 1.5 and 1.6; shared/spec/admin.md, section 3.2.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from perdure.model.deployment import Handler, Service
from perdure.model.target import HandlerType, ServiceType
from perdure.registry.errors import InvalidService, ReservedServiceName, ServiceTypeChanged
from perdure.registry.schema import Schema

_HANDLER_TYPES: Final = {
    ServiceType.SERVICE: {HandlerType.PLAIN},
    ServiceType.VIRTUAL_OBJECT: {HandlerType.EXCLUSIVE, HandlerType.SHARED},
    ServiceType.WORKFLOW: {HandlerType.WORKFLOW, HandlerType.SHARED},
}
_WORD: Final = r"[A-Za-z0-9!#$%&'+.^_`|~-]+"
_INPUT_CONTENT_TYPE: Final = re.compile(rf"\*/\*|{_WORD}/(\*|{_WORD})")
_OUTPUT_CONTENT_TYPE: Final = re.compile(r"[\x20-\x7e\t]*")
_KIND_NAMES: Final = {ServiceType.SERVICE: "Service", ServiceType.VIRTUAL_OBJECT: "VirtualObject", ServiceType.WORKFLOW: "Workflow"}


def check_services(services: Iterable[Service], schema: Schema, *, may_break: bool) -> None:
    """Check the services of a manifest against the rules and against their active revisions.

    Raises:
        ReservedServiceName: The server keeps the name for itself.
        ServiceTypeChanged: The active revision is of another type, and `may_break` is false.
        InvalidService: Settings exclude each other.
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
    where = f"handler '{service.name}/{handler.name}'"
    if handler.handler_type not in _HANDLER_TYPES[service.service_type]:
        raise InvalidService(f"{where} is of type {handler.handler_type.name}, which a {_KIND_NAMES[service.service_type]} cannot have")
    is_run = handler.handler_type is HandlerType.WORKFLOW
    if handler.options.workflow_completion_retention_ms is not None and not is_run:
        raise InvalidService(f"{where} sets workflowCompletionRetention, which only the run handler of a workflow can have")
    if handler.options.idempotency_retention_ms is not None and is_run:
        raise InvalidService(f"{where} sets idempotencyRetention, which the run handler of a workflow cannot have")
    if service.options.ingress_private and handler.options.ingress_private is False:
        raise InvalidService(f"{where} is public, but its service is private")
    if handler.input is not None:
        if handler.input.content_type is not None and not _INPUT_CONTENT_TYPE.fullmatch(handler.input.content_type):
            raise InvalidService(f"{where} has a bad input content type '{handler.input.content_type}'")
        _check_json_schema(f"the input of {where}", handler.input.json_schema)
    if handler.output is not None:
        if handler.output.content_type is not None and not _OUTPUT_CONTENT_TYPE.fullmatch(handler.output.content_type):
            raise InvalidService(f"{where} has a bad output content type '{handler.output.content_type}'")
        _check_json_schema(f"the output of {where}", handler.output.json_schema)


def _check_json_schema(where: str, schema: Any) -> None:  # Any: a JSON value
    """Refuse what cannot be a JSON schema, and references out of the document."""
    if schema is None:
        return
    if not isinstance(schema, dict | bool):
        raise InvalidService(f"{where} has a JSON schema that is neither an object nor a boolean")
    for reference in _references(schema):
        if not reference.startswith("#"):
            raise InvalidService(f"{where} has a JSON schema with the external reference '{reference}'")


def _references(schema: Any) -> Iterator[str]:  # Any: a JSON value
    pending: list[Any] = [schema]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            for key, member in value.items():  # pyright: ignore[reportUnknownVariableType]  # JSON
                if key == "$ref" and isinstance(member, str):
                    yield member
                else:
                    pending.append(member)
        elif isinstance(value, list):
            pending.extend(value)  # pyright: ignore[reportUnknownArgumentType]  # JSON
