"""What admin refuses, and how a refusal looks on the wire. Source: shared/spec/admin.md, section 1.3."""

import msgspec
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from perdure.base.errors import PerdureError

_log = structlog.get_logger()


class NotFound(PerdureError):
    """What the path names does not exist."""

    status = 404


class InvalidField(PerdureError):
    """A field of the request has a value that cannot be."""

    status = 400

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"The request field '{field}' is invalid. Reason: {reason}")


class InvalidQueryParameter(PerdureError):
    """A query parameter has a value that cannot be."""

    status = 400

    def __init__(self, parameter: str, reason: str) -> None:
        super().__init__(f"The query parameter '{parameter}' is invalid. Reason: {reason}")


class RoutingFailed(PerdureError):
    """The owner of the invocation's partition did not answer."""

    status = 503

    def __init__(self, reason: str) -> None:
        super().__init__(f"Error when routing the request internally. Reason: {reason}")


class QueryFailed(PerdureError):
    """A query that a request needs did not come to an end."""

    status = 503


class OperationRefused(PerdureError):
    """The owner of an invocation refused what an operator wants; the status depends on why."""

    def __init__(self, http_status: int, message: str) -> None:
        super().__init__(message)
        self.http_status = http_status


class AlreadyExists(PerdureError):
    """API version 2 takes a registration of a known endpoint for a conflict."""

    status = 409


class AddressTaken(AlreadyExists):
    """The address is that of a deployment of the seed era, whose clients know this code for it."""

    code = "META0004"
    hint = "Deployments are immutable: register new code at a new address, or repeat with `force` if nothing in flight depends on the old."


class MethodDeprecated(PerdureError):
    """Only an older API version takes this method."""

    status = 405


class PlainError(Exception):
    """A request that does not get as far as the API: answered as plain text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def json_response(status: int, body: object, headers: dict[str, str] | None = None) -> Response:
    """Return a JSON response."""
    return Response(msgspec.json.encode(body), status, headers, media_type="application/json")


def error_response(status: int, message: str, code: str | None) -> Response:
    """Return the JSON form of an error; the code is repeated at the beginning of the message."""
    text = message if code is None or message.startswith(f"[{code}]") else f"[{code}] {message}"
    return json_response(status, {"message": text, "restate_code": code})


async def on_perdure_error(request: Request, error: Exception) -> Response:
    """Answer an error of the family."""
    assert isinstance(error, PerdureError)
    status = error.http_status if isinstance(error, OperationRefused) else error.status
    if status >= 500:
        _log.warning("request_failed", method=request.method, path=request.url.path, code=error.code, reason=error.message)
    return error_response(status, error.message, error.code)


async def on_plain_error(request: Request, error: Exception) -> Response:
    """Answer a request that cannot be read."""
    assert isinstance(error, PlainError)
    return PlainTextResponse(error.text, error.status)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer an unknown path: nothing but the status."""
    assert isinstance(error, HTTPException)
    return Response(status_code=error.status_code, headers=error.headers)


async def on_defect(request: Request, error: Exception) -> Response:
    """Answer what nobody expected; the log has the details."""
    _log.error("request_crashed", method=request.method, path=request.url.path, exc_info=error)
    return error_response(500, "Internal server error", None)
