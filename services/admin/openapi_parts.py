"""The grammar of the description: operations, parameters, bodies and answers as OpenAPI 3.1 wants them.

What every operation has in common is said here once: how a request is refused that cannot be read.
Source: shared/spec/admin.md, section 1.3.
"""

from typing import Final

from services.admin.openapi_schemas import Document

Answer = str | tuple[str, str]
"""Description of an answer, or description and schema of its JSON body."""

_REASONS: Final = {
    "400": "The request cannot be carried out as it stands",
    "404": "What the request names does not exist",
    "405": "Only an older version of this API has this method",
    "409": "The request conflicts with what is there",
    "410": "What the request needs is gone",
    "413": "The body is too large",
    "415": "The body is not declared as JSON",
    "422": "The body is JSON, but not what is wanted",
    "425": "It is too early for the request",
    "500": "The request failed",
    "503": "Somebody whose answer the request needs does not answer now",
}
_PLAIN: Final = {"text/plain": {"schema": {"type": "string"}}}
_READING_A_BODY: Final = ("400", "413", "415", "422")


def operation(
    operation_id: str,
    summary: str,
    responses: dict[str, Answer],
    *,
    errors: tuple[str, ...] = (),
    body: str | None = None,
    parameters: list[Document] | None = None,
) -> Document:
    """Return an operation.

    `responses` are those of success, `errors` the statuses that it refuses with; those of reading a body are added.
    """
    described: Document = {"operationId": operation_id, "summary": summary}
    if parameters:
        described["parameters"] = parameters
    if body is not None:
        described["requestBody"] = {"required": True, "content": json_content(body)}
        errors = (*errors, *_READING_A_BODY)
    answers = {status: _answer(answer) for status, answer in responses.items()} | {status: _refusal(status) for status in errors}
    described["responses"] = {status: answers[status] for status in sorted(answers)}
    return described


def binary_operation(operation_id: str, summary: str, *, errors: tuple[str, ...]) -> Document:
    """Return an operation that answers with a protobuf message."""
    described = operation(operation_id, summary, {"200": "The message"}, errors=errors)
    described["responses"]["200"]["content"] = {"application/x-protobuf": {}}
    return described


def _answer(answer: Answer) -> Document:
    return {"description": answer} if isinstance(answer, str) else {"description": answer[0], "content": json_content(answer[1])}


def _refusal(status: str) -> Document:
    """Return a refusal: JSON where the API says no, text where the request did not get that far."""
    return {"description": _REASONS[status], "content": json_content("Error") | _PLAIN}


def json_content(schema: str) -> Document:
    """Return JSON of a named schema."""
    return {"application/json": {"schema": ref(schema)}}


def ref(schema: str) -> Document:
    """Return a reference to a named schema."""
    return {"$ref": f"#/components/schemas/{schema}"}


def item(*path_parameters: str, **operation_by_method: Document) -> Document:
    """Return what a path with parameters has."""
    schemas = {name: {"type": "string", "minLength": 1, "pattern": "^[^/]+$"} for name in path_parameters}
    parameters = [{"name": name, "in": "path", "required": True, "schema": schema} for name, schema in schemas.items()]
    return {"parameters": parameters, **operation_by_method} if parameters else operation_by_method


def query(name: str, schema: Document, description: str) -> Document:
    """Return an optional parameter of the query."""
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}
