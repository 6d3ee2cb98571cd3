"""Headers by which browsers may call from anywhere: the caller's origin is mirrored. Source: shared/spec/ingress.md, section 19."""

from typing import Final

from services.ingress.responses import HeaderPairs, Response

ALWAYS: Final[HeaderPairs] = [
    (b"vary", b"origin, access-control-request-method, access-control-request-headers"),
    (b"access-control-allow-credentials", b"true"),
]


def add_to(headers: HeaderPairs, origin: bytes | None) -> None:
    """Add what every answer carries, and the caller's origin if it named one."""
    headers += ALWAYS
    if origin is not None:
        headers.append((b"access-control-allow-origin", origin))


def preflight(request: HeaderPairs) -> Response:
    """Answer any `OPTIONS`, whatever its path: what the browser asks for is allowed."""
    asked = dict(reversed(request))
    headers: HeaderPairs = [(b"content-length", b"0")]
    if (methods := asked.get(b"access-control-request-method")) is not None:
        headers.append((b"access-control-allow-methods", methods))
    if (names := asked.get(b"access-control-request-headers")) is not None:
        headers.append((b"access-control-allow-headers", names))
    add_to(headers, asked.get(b"origin"))
    return Response(200, headers)
