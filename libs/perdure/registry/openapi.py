"""The OpenAPI document of a service: how its handlers are called over HTTP. Pure.

Paths, operation ids, parameters and the names of components are those that generated clients know; all words are our own.
Source: shared/spec/admin.md, section 4.3; shared/spec/ingress.md, sections 2, 8, 11, 12 and 17.
"""

from typing import Any, Final

from perdure.model.deployment import Handler, InputRules, OutputRules, Service
from perdure.model.target import HandlerType, ServiceType

Json = dict[str, Any]  # Any: JSON values

_KEY: Final = {"$ref": "#/components/parameters/key"}
_DELAY: Final = {"$ref": "#/components/parameters/delay"}
_IDEMPOTENCY_HEADER: Final = {"$ref": "#/components/parameters/idempotencyKeyHeader"}
_IDEMPOTENCY_PATH: Final = {"$ref": "#/components/parameters/idempotencyKeyPath"}
_ERROR: Final = {"$ref": "#/components/responses/GenericError"}
_NOT_FOUND: Final = {"$ref": "#/components/responses/InvocationNotFoundError"}
_NOT_READY: Final = {"$ref": "#/components/responses/InvocationNotReadyError"}
_SENT: Final = {"$ref": "#/components/responses/Send"}

_TAGS: Final[list[Json]] = [
    {"name": "Request Response", "description": "Call a handler and wait for its result"},
    {"name": "Send", "description": "Start a handler without waiting for its result"},
    {"name": "Attach", "description": "Wait for the result of what was started before"},
    {"name": "Get Output", "description": "Read a result if it is there"},
]


def _text_parameter(name: str, place: str, description: str, **more: Any) -> Json:  # Any: JSON values
    return {"name": name, "in": place, "required": place == "path", "description": description, "schema": {"type": "string"}, **more}


_PARAMETERS: Final[Json] = {
    "key": _text_parameter("key", "path", "Key of the object or workflow, percent-encoded"),
    "delay": _text_parameter("delay", "query", "How long to wait before the handler starts: ISO 8601 or as `1h 30m`", example="10s"),
    "idempotencyKeyHeader": _text_parameter(
        "idempotency-key", "header", "Requests with the same value run once; repeats get the result of the first"
    ),
    "idempotencyKeyPath": _text_parameter("idempotencyKey", "path", "The idempotency key of the first request"),
}

_RESTATE_ERROR: Final[Json] = {
    "title": "RestateError",
    "description": "Why there is no result",
    "type": "object",
    "additionalProperties": False,
    "required": ["message", "source"],
    "properties": {
        "code": {"title": "Status, or the code of the handler's failure", "type": "number"},
        "message": {"title": "What went wrong", "type": "string"},
        "stacktrace": {"title": "Stack trace of the failure, if the handler sent one", "type": "string"},
        "metadata": {"title": "What the handler added to its failure", "type": "object", "additionalProperties": {"type": "string"}},
        "source": {
            "title": "Who says so",
            "description": "`ingress`: the request was refused. `invocation`: the handler failed, and the code is its own. "
            "The header `x-restate-error-source` says the same.",
            "type": "string",
            "enum": ["ingress", "invocation"],
        },
    },
}

_SEND_RESPONSE: Final[Json] = {
    "title": "RestateSendResponse",
    "type": "object",
    "additionalProperties": False,
    "required": ["invocationId", "status"],
    "properties": {
        "invocationId": {"type": "string"},
        "status": {"type": "string", "enum": ["Accepted", "PreviouslyAccepted"]},
        "executionTime": {"description": "When a delayed invocation will start", "type": "string", "format": "date-time"},
    },
}


def _error_response(description: str, example: Json) -> Json:
    content = {"schema": {"$ref": "#/components/schemas/RestateError"}, "example": example}
    return {"description": description, "content": {"application/json": content}}


_RESPONSES: Final[Json] = {
    "GenericError": _error_response("Refused, or failed for good", {"code": 500, "message": "the handler gave up", "source": "invocation"}),
    "InvocationNotFoundError": _error_response(
        "There is no such invocation", {"code": 404, "message": "invocation not found", "source": "ingress"}
    ),
    "InvocationNotReadyError": _error_response(
        "There is no result yet", {"code": 470, "message": "the invocation exists but has not completed yet", "source": "ingress"}
    ),
    "Send": {
        "description": "The invocation is durable",
        "content": {
            "application/json": {
                "schema": _SEND_RESPONSE,
                "example": {"invocationId": "inv_1gf3qgbvqBGZ3Wg62ENp11QEVhGegZNT7N", "status": "Accepted"},
            }
        },
    },
}


def service_document(service: Service, *, ingress_url: str | None) -> Json:
    """Return the document of a revision of a service, without the handlers that are private by themselves.

    Args:
        ingress_url: Where callers reach the ingress; None where nobody knows.
    """
    paths: Json = {}
    schemas: Json = {"RestateError": _RESTATE_ERROR}
    for handler in service.handlers.values():
        if not handler.options.ingress_private:
            paths |= _Operations(service, handler).paths()
            schemas |= _schemas(handler)
    return {
        "openapi": "3.1.0",
        "info": {"title": service.name, "version": str(service.revision), **_described(service, None)},
        **({} if ingress_url is None else {"servers": [{"url": ingress_url, "description": "Ingress"}]}),
        "tags": _TAGS,
        "paths": paths,
        "components": {"parameters": _PARAMETERS, "responses": _RESPONSES, "schemas": schemas},
    }


class _Operations:
    """The operations of one handler."""

    def __init__(self, service: Service, handler: Handler) -> None:
        self._service = service
        self._handler = handler
        self._is_run = handler.handler_type is HandlerType.WORKFLOW
        self._takes_idempotency_key = service.service_type is not ServiceType.WORKFLOW
        is_keyed = service.service_type.is_keyed
        self._place = f"{service.name}/{{key}}/{handler.name}" if is_keyed else f"{service.name}/{handler.name}"
        self._key: list[Json] = [_KEY] if is_keyed else []

    def paths(self) -> Json:
        paths: Json = {
            f"/restate/call/{self._place}": {"post": self._call()},
            f"/restate/send/{self._place}": {"post": self._send()},
        }
        if self._is_run:
            root = f"/restate/workflow/{self._service.name}/{{key}}"
        elif self._takes_idempotency_key:
            root = f"/restate/invocation/{self._place}/{{idempotencyKey}}"
        else:
            return paths
        return paths | {f"{root}/attach": {"get": self._attach()}, f"{root}/output": {"get": self._output()}}

    def _call(self) -> Json:
        operation = self._operation("", [*self._key, *self._idempotency(_IDEMPOTENCY_HEADER)], f"Call {self._name} and wait for its result")
        return {**operation, **self._body(), "responses": {"200": self._result(), "default": _ERROR}}

    def _send(self) -> Json:
        parameters = [*self._key, *self._idempotency(_IDEMPOTENCY_HEADER), _DELAY]
        operation = self._operation("Send", parameters, f"Start {self._name} without waiting")
        return {**operation, **self._body(), "responses": {"200": _SENT, "202": _SENT, "default": _ERROR}, "tags": ["Send"]}

    def _attach(self) -> Json:
        parameters = [*self._key, *self._idempotency(_IDEMPOTENCY_PATH)]
        operation = self._operation("Attach", parameters, self._deprecated("Wait for the result", "attach"))
        responses = {"200": self._result(), "404": _NOT_FOUND, "default": _ERROR}
        return {**operation, "deprecated": True, "responses": responses, "tags": ["Attach"]}

    def _output(self) -> Json:
        parameters = [*self._key, *self._idempotency(_IDEMPOTENCY_PATH)]
        operation = self._operation("Output", parameters, self._deprecated("Read the result, if it is there,", "output"))
        responses = {"200": self._result(), "404": _NOT_FOUND, "470": _NOT_READY, "default": _ERROR}
        return {**operation, "deprecated": True, "responses": responses, "tags": ["Get Output"]}

    @property
    def _name(self) -> str:
        return f"{self._service.name}/{self._handler.name}"

    def _deprecated(self, what: str, verb: str) -> str:
        return (
            f"{what} of {self._name}. Deprecated: POST /restate/lookup gives the invocation's id for GET /restate/{verb}/{{invocationId}}."
        )

    def _idempotency(self, parameter: Json) -> list[Json]:
        return [parameter] if self._takes_idempotency_key else []

    def _operation(self, suffix: str, parameters: list[Json], description: str) -> Json:
        described = _described(self._handler, description) if suffix in {"", "Send"} else {"description": description}
        return {
            "operationId": f"{self._handler.name}{suffix}",
            "summary": self._handler.name,
            **described,
            **({"parameters": parameters} if parameters else {}),
        }

    def _body(self) -> Json:
        rules = self._handler.input
        if rules is None:
            return {"requestBody": {"required": False, "content": {"*/*": {}}}}
        if rules.content_type is None:
            return {}
        return {"requestBody": {"required": rules.required, "content": {rules.content_type: _media(rules, f"{self._handler.name}Request")}}}

    def _result(self) -> Json:
        rules = self._handler.output
        if rules is None:
            return {"description": "The result", "content": {"application/json": {}}}
        if rules.content_type is None:
            return {"description": "Done, without a result"}
        return {"description": "The result", "content": {rules.content_type: _media(rules, f"{self._handler.name}Response")}}


def _described(named: Service | Handler, default: str | None) -> Json:
    """Return what the service's author says about something."""
    options = named.options
    description = options.documentation if options.documentation is not None else default
    return {
        **({} if description is None else {"description": description}),
        **({"x-restate-extensions": options.metadata} if options.metadata else {}),
    }


def _media(rules: InputRules | OutputRules, name: str) -> Json:
    return {} if rules.json_schema is None else {"schema": {"$ref": f"#/components/schemas/{name}"}}


def _schemas(handler: Handler) -> Json:
    """Return the JSON schemas of a handler under the names of their components."""
    named = {f"{handler.name}Request": handler.input, f"{handler.name}Response": handler.output}
    return {
        name: _moved(rules.json_schema, f"#/components/schemas/{name}")
        for name, rules in named.items()
        if rules is not None and rules.json_schema is not None
    }


def _moved(schema: Any, to: str) -> Any:  # Any: JSON values
    """Return a schema whose references into itself are good under another root."""
    if isinstance(schema, list):
        return [_moved(member, to) for member in schema]  # pyright: ignore[reportUnknownVariableType]  # JSON
    if not isinstance(schema, dict):
        return schema
    moved: Json = {name: _moved(member, to) for name, member in schema.items()}  # pyright: ignore[reportUnknownVariableType]  # JSON
    reference = moved.get("$ref")
    if isinstance(reference, str) and (reference == "#" or reference.startswith("#/")):
        moved["$ref"] = to + reference[1:]
    return moved
