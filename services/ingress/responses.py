"""Bodies and headers of answers, as bytes. Source: shared/spec/ingress.md, sections 6, 9, 11, 17 and 18."""

from datetime import UTC, datetime
from typing import Final

import msgspec

from perdure.base.ids import InvocationId, format_invocation_id
from perdure.model.result import Failure
from services.ingress.directory import HandlerEntry
from services.ingress.refusals import Refused

HeaderPairs = list[tuple[bytes, bytes]]

_JSON: Final = (b"content-type", b"application/json")
_FROM_INGRESS: Final = (b"x-restate-error-source", b"ingress")
_FROM_INVOCATION: Final = (b"x-restate-error-source", b"invocation")
_LENGTHS: Final = [str(size).encode() for size in range(1024)]
_encode_json: Final = msgspec.json.Encoder().encode


class Response(msgspec.Struct, gc=False):
    """A whole answer; `content-length` is among the headers, CORS headers are not."""

    status: int
    headers: HeaderPairs
    body: bytes = b""


class _ErrorBody(msgspec.Struct, omit_defaults=True):
    code: int
    message: str
    metadata: dict[str, str] = {}
    source: str = ""


class _SendBody(msgspec.Struct, omit_defaults=True, rename="camel"):
    invocation_id: str
    execution_time: str | None = None
    status: str = ""


def refusal(refused: Refused) -> Response:
    """Return the ingress's own error."""
    body = _encode_json(_ErrorBody(refused.status, refused.message, source="ingress"))
    headers = [_JSON, _FROM_INGRESS, _length(body)]
    if refused.retry_after_s is not None:
        headers.append((b"retry-after", str(refused.retry_after_s).encode()))
    return Response(refused.status, headers, body)


def plain_too_large() -> Response:
    """Return the answer to an announced body that is too large; the only one without JSON and CORS headers."""
    body = b"length limit exceeded"
    return Response(413, [(b"content-type", b"text/plain; charset=utf-8"), _length(body)], body)


def success(invocation_id: InvocationId, value: bytes, content_type: bytes | None, expires_at_ms: int | None) -> Response:
    """Return a result, as the handler produced it."""
    headers = [(b"x-restate-id", format_invocation_id(invocation_id).encode()), _length(value)]
    if content_type is not None:
        headers.append((b"content-type", content_type))
    if expires_at_ms is not None:
        headers.append((b"idempotency-expires", expiry_text(expires_at_ms)))
    return Response(200, headers, value)


def result_type(entry: HandlerEntry | None, value: bytes) -> bytes | None:
    """Return the content type of a handler's result; where the handler is unknown, that of one without output rules."""
    if entry is None:
        return b"application/json" if value else None
    return entry.content_type if value else entry.content_type_if_empty


def failure(invocation_id: InvocationId, failed: Failure, expires_at_ms: int | None = None) -> Response:
    """Return a terminal failure. A code that the HTTP library takes for no final status is sent as 500; the body keeps it."""
    body = _encode_json(_ErrorBody(failed.code, failed.message, dict(failed.metadata), "invocation"))
    status = failed.code if 200 <= failed.code <= 599 else 500
    headers = [_JSON, _FROM_INVOCATION, (b"x-restate-id", format_invocation_id(invocation_id).encode())]
    if expires_at_ms is not None:
        headers.append((b"idempotency-expires", expiry_text(expires_at_ms)))
    if status in {204, 304}:
        return Response(status, headers)
    headers.append(_length(body))
    return Response(status, headers, body)


def sent(invocation_id: InvocationId, execution_at_ms: int | None, *, is_new: bool) -> Response:
    """Return the acknowledgement of a send."""
    text = format_invocation_id(invocation_id)
    execution_time = None if execution_at_ms is None else execution_time_text(execution_at_ms)
    body = _encode_json(_SendBody(text, execution_time, "Accepted" if is_new else "PreviouslyAccepted"))
    return Response(202, [_JSON, (b"x-restate-id", text.encode()), _length(body)], body)


def accepted() -> Response:
    """Return the acknowledgement of an awakeable's completion."""
    return Response(202, [_length(b"")])


def found(invocation_id: InvocationId) -> Response:
    """Return the answer of a lookup."""
    body = _encode_json({"invocationId": format_invocation_id(invocation_id)})
    return Response(200, [_JSON, _length(body)], body)


def health(services: list[str]) -> Response:
    """Return the names of all services."""
    body = _encode_json({"services": services})
    return Response(200, [_JSON, _length(body)], body)


def expiry_text(at_ms: int) -> bytes:
    """Return RFC 3339 with an offset; milliseconds are left out where they are zero."""
    seconds, milliseconds = divmod(at_ms, 1000)
    fraction = f".{milliseconds:03}" if milliseconds else ""
    return f"{_seconds_text(seconds)}{fraction}+00:00".encode()


def execution_time_text(at_ms: int) -> str:
    """Return RFC 3339 with nine fraction digits and `Z`."""
    seconds, milliseconds = divmod(at_ms, 1000)
    return f"{_seconds_text(seconds)}.{milliseconds:03}000000Z"


def _seconds_text(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _length(body: bytes) -> tuple[bytes, bytes]:
    size = len(body)
    return (b"content-length", _LENGTHS[size] if size < 1024 else str(size).encode())
