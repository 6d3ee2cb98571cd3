"""Paths, methods and version prefixes. Source: shared/spec/admin.md, sections 1 and 1.1."""

import re
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import unquote_to_bytes

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from services.admin.errors import PlainError

API_VERSION_MIN: Final = 2
API_VERSION_MAX: Final = 4

Endpoint = Callable[[Request], Awaitable[Response]]

_VERSIONED: Final = re.compile(r"/v([1-9]\d*)(?=/|$)")


class _Resource:
    """Dispatches on the method: another one is answered with an empty 405 that lists those that work."""

    def __init__(self, endpoint_by_method: dict[str, Endpoint]) -> None:
        self._endpoints = dict(endpoint_by_method)
        if "GET" in self._endpoints:
            self._endpoints = {"GET": self._endpoints.pop("GET")} | {"HEAD": endpoint_by_method["GET"]} | self._endpoints
        self._allow = ",".join(self._endpoints)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self._endpoints.get(scope["method"])
        if endpoint is None:
            response = Response(status_code=405, headers={"allow": self._allow})
        else:
            scope["path_params"] = {name: _decoded(name, text) for name, text in scope["path_params"].items()}
            response = await endpoint(Request(scope, receive))
        await response(scope, receive, send)


def _decoded(name: str, text: str) -> str:
    """Return a part of the path without its percent-encoding.

    Raises:
        PlainError: It is not UTF-8.
    """
    try:
        return unquote_to_bytes(text.encode("latin-1")).decode()
    except UnicodeDecodeError:
        raise PlainError(400, f"Invalid URL: Invalid UTF-8 in `{name}`") from None


def resource(path: str, **endpoint_by_method: Endpoint) -> Route:
    """Return a route with one endpoint per method."""
    return Route(path, _Resource(endpoint_by_method))


def api_version(request: Request) -> int:
    """Return the version that the request asked for; without a prefix the newest."""
    return request.scope["admin_api_version"]


def names_a_version(request: Request) -> bool:
    """Return whether the path began with a version; clients of the seed era know none."""
    return request.scope["admin_names_a_version"]


class VersionPrefix:
    """Takes the version prefix off the path, and refuses versions that are gone.

    Routes see the path as it was sent: an encoded slash in an id does not part it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        version = API_VERSION_MAX
        path = scope["raw_path"].decode("latin-1")
        match = _VERSIONED.match(path)
        if match is not None:
            version = int(match[1])
            if version < API_VERSION_MIN:
                text = (
                    f"Unsupported Admin API version V{version}. "
                    f"This server supports versions between V{API_VERSION_MIN} and V{API_VERSION_MAX}."
                )
                return await PlainTextResponse(text, 400)(scope, receive, send)
            if version > API_VERSION_MAX:
                return await Response(status_code=404)(scope, receive, send)
            path = path[match.end() :] or "/"
        scope = {**scope, "path": path, "admin_api_version": version, "admin_names_a_version": match is not None}
        return await self._app(scope, receive, send)
