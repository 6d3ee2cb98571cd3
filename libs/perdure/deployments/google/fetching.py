"""Identity tokens that Google signs, with google-auth: for what the environment or the machine says we are, or an account we may act for.

Everything in it may block: it is imported, and used, in threads only.
"""

import datetime
import importlib
from typing import Any, Final

from perdure.deployments.google.tokens import Token, TokenRefused
from perdure.model.deployment import GoogleIdToken

# Any: google-auth has few types.
_auth: Final[Any] = importlib.import_module("google.auth")
_errors: Final[Any] = importlib.import_module("google.auth.exceptions")
_impersonated: Final[Any] = importlib.import_module("google.auth.impersonated_credentials")
_id_token: Final[Any] = importlib.import_module("google.oauth2.id_token")
_requests: Final[Any] = importlib.import_module("google.auth.transport.requests")

_SCOPES: Final = ["https://www.googleapis.com/auth/cloud-platform"]


def fetch_token(wanted: GoogleIdToken) -> Token:
    """Return a new token. Blocks.

    Raises:
        TokenRefused: There are no credentials, they may not do this, or Google cannot be reached.
    """
    request = _requests.Request()
    try:
        credentials = _credentials(wanted, request)
        credentials.refresh(request)
    except _errors.GoogleAuthError as error:
        account = wanted.impersonate_service_account or "ourselves"
        raise TokenRefused(f"none for the audience '{wanted.audience}' as {account}: {error}") from None
    return Token(credentials.token, credentials.expiry.replace(tzinfo=datetime.UTC).timestamp())


def _credentials(wanted: GoogleIdToken, request: Any) -> Any:  # Any: see above
    if wanted.impersonate_service_account is None:
        return _id_token.fetch_id_token_credentials(wanted.audience, request)
    own, _ = _auth.default(scopes=_SCOPES, request=request)
    account = _impersonated.Credentials(own, wanted.impersonate_service_account, _SCOPES)
    return _impersonated.IDTokenCredentials(account, wanted.audience, include_email=True)
