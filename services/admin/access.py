"""Who may use the API: whoever has the token, where one is set."""

import hmac
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from services.admin.errors import error_response

_OPEN: Final = frozenset({"/health"})
"""What supervisors ask, and what tells nothing."""


class BearerToken:
    """Refuses requests that do not bring the token, before anything of them is looked at."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        assert token
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in _OPEN or self._is_brought(scope):
            await self._app(scope, receive, send)
            return
        refusal = error_response(401, "this API wants `authorization: Bearer` with the token that `auth_token` sets", None)
        refusal.headers["www-authenticate"] = "Bearer"
        await refusal(scope, receive, send)

    def _is_brought(self, scope: Scope) -> bool:
        brought = [value for name, value in scope["headers"] if name == b"authorization"]
        return len(brought) == 1 and hmac.compare_digest(brought[0], self._expected)
