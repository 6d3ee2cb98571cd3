"""The access log: a line for each request of an ASGI application, where a setting asks for it."""

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import structlog

log = structlog.get_logger("perdure.access")

_INVOCATION_ID: Final = b"x-restate-id"
_GONE: Final = 499
"""Status of a request whose client left before it was answered."""

_Message = MutableMapping[str, Any]  # Any: ASGI messages are dicts of unlike values
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]


class AccessLog:
    """An ASGI application around another: logs method, path, status, duration, size, caller, and the invocation if the answer names it.

    Neither query nor headers nor bodies are logged: they may hold secrets.
    """

    def __init__(self, app: Callable[[_Message, _Receive, _Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        """Serve one request."""
        started_at_s = time.monotonic()
        status, size_bytes, invocation_id = _GONE, 0, None

        async def noting(message: _Message) -> None:
            nonlocal status, size_bytes, invocation_id
            if message["type"] == "http.response.start":
                status = message["status"]
                invocation_id = next((value.decode() for name, value in message["headers"] if name == _INVOCATION_ID), None)
            else:
                size_bytes += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            client = scope.get("client")
            log.info(
                "request",
                method=scope["method"],
                path=scope["path"],
                status=status,
                duration_ms=round((time.monotonic() - started_at_s) * 1_000, 3),
                response_bytes=size_bytes,
                remote_address=None if client is None else client[0],
                http_version=scope.get("http_version"),
                **({} if invocation_id is None else {"invocation_id": invocation_id}),
            )
