"""Who may use the API: whoever has the token, where one is set."""

from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from perdure.process.access import brings_token
from services.admin.errors import error_response

_OPEN: Final = frozenset({"/health", "/", "/ui"})
_OPEN_BELOW: Final = "/ui/"
"""What supervisors ask, and the files of the page, which asks for the token itself; none of it tells anything."""


class BearerToken:
    """Refuses requests that do not bring the token, before anything of them is looked at."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        assert token
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_open = scope["path"] in _OPEN or scope["path"].startswith(_OPEN_BELOW)
        if is_open or brings_token(scope["headers"], self._token):
            await self._app(scope, receive, send)
            return
        refusal = error_response(401, "this API wants `authorization: Bearer` with the token that `auth_token` sets", None)
        refusal.headers["www-authenticate"] = "Bearer"
        await refusal(scope, receive, send)
