"""Lowers the version of the protocol that discovery offers to `PROTOCOL_VERSION_MAX`, so that a current SDK speaks an older one."""

import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
App = Callable[[Scope, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]
OFFERED: Final = b'"maxProtocolVersion": 7'
WANTED: Final = OFFERED[:-1] + os.environ.get("PROTOCOL_VERSION_MAX", "7").encode()


def capped(app: Any) -> App:
    """Return the ASGI app with another number in its manifest; as long as the one before, so that all lengths stay true."""

    async def wrapped(scope: Scope, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]) -> None:
        async def send_capped(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": bytes(message["body"]).replace(OFFERED, WANTED)}
            await send(message)

        is_discovery = scope["type"] == "http" and scope["path"].endswith("/discover")
        await app(scope, receive, send_capped if is_discovery else send)

    return wrapped
