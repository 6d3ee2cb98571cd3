"""The types of an ASGI application, as far as the ingress uses them."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Client = tuple[str, int]
"""Address and port of whoever is connected."""
Scope = MutableMapping[str, Any]  # Any: ASGI messages are dicts of unlike values
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
