"""Who may come in: all, or who knows the password."""

import base64
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from perdure.base.clock import Random
from perdure.codec.pgwire import backend
from perdure.codec.pgwire import frontend as fe
from perdure.codec.pgwire.scram import MECHANISM, NONCE_BYTES, SALT_BYTES, Credentials, ScramError, ScramExchange, credentials_of
from perdure.query.errors import QueryError

LOGIN_FAILED: Final = "28P01"
_PROTOCOL_VIOLATION: Final = "08P01"

Send = Callable[[bytes], Awaitable[None]]
Receive = Callable[[], Awaitable[fe.FrontendMessage | None]]


class Accounts(msgspec.Struct, frozen=True):
    """The one user that may come in; any, without a password, where there are no credentials."""

    user: str = ""
    credentials: Credentials | None = None


def accounts_of(user: str, password: str, random: Random) -> Accounts:
    """Return who may come in; takes some milliseconds where there is a password."""
    return Accounts(user, credentials_of(password, random.bytes(SALT_BYTES))) if password else Accounts()


async def log_in(startup: fe.Startup, accounts: Accounts, random: Random, *, send: Send, receive: Receive) -> None:
    """Have a client prove that it may come in; return once it has.

    Raises:
        QueryError: It may not.
        ConnectionError: It has left.
    """
    if accounts.credentials is None:
        return
    user = startup.parameters.get("user", "")
    exchange = ScramExchange(accounts.credentials, base64.b64encode(random.bytes(NONCE_BYTES)).decode())
    await send(backend.authentication_sasl([MECHANISM]))
    try:
        mechanism, first = (await _answer(receive)).initial()
        if mechanism != MECHANISM:
            raise ScramError(f"mechanism {mechanism} was not offered")
        await send(backend.authentication_sasl_continue(exchange.first(first)))
        outcome = exchange.final((await _answer(receive)).content)
    except ScramError as error:
        raise QueryError(_PROTOCOL_VIOLATION, str(error)) from None
    if outcome is None or (accounts.user and user != accounts.user):
        raise QueryError(LOGIN_FAILED, f'password authentication failed for user "{user}"')
    await send(backend.authentication_sasl_final(outcome))


async def _answer(receive: Receive) -> fe.AuthenticationResponse:
    message = await receive()
    if message is None:
        raise ConnectionResetError
    if not isinstance(message, fe.AuthenticationResponse):
        raise fe.PostgresProtocolError(f"unexpected message {type(message).__name__}, a password is asked for")
    return message
