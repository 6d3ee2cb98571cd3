"""Requests that carry an identity token: as any other while there is a good token, held until there is one else."""

import asyncio
from collections.abc import Callable

import structlog
from structlog.typing import FilteringBoundLogger

from perdure.base.clock import Clock
from perdure.deployments.google import HEADER
from perdure.deployments.google.tokens import Token, TokenRefused, Tokens
from perdure.deployments.interface import DeploymentClient, Exchange, ExchangeFailure, FailureKind, HeaderList, Receiver
from perdure.model.deployment import Deployment, GoogleIdToken

log: FilteringBoundLogger = structlog.get_logger("perdure.deployments")


class GoogleClient:
    """Implements `interface.DeploymentClient` for deployments with a `google_id_token`, over the client for all others."""

    def __init__(self, http: DeploymentClient, clock: Clock, fetch: Callable[[GoogleIdToken], Token] | None = None) -> None:
        self._http = http
        self._tokens = Tokens(fetch or _fetch, clock)
        self._held: set[_HeldExchange] = set()

    def open(self, deployment: Deployment, method: str, path: str, headers: HeaderList, receiver: Receiver) -> Exchange:
        """Start a request, once there is a token for it."""
        wanted = deployment.google_id_token
        assert wanted is not None

        def open_with(token: str) -> Exchange:
            return self._http.open(deployment, method, path, [*headers, (HEADER, f"Bearer {token}")], receiver)

        token = self._tokens.current(wanted)
        if token is not None:
            return open_with(token)
        held = _HeldExchange(receiver, open_with)
        held.task = asyncio.get_running_loop().create_task(self._release(held, deployment.url, wanted))
        self._held.add(held)
        return held

    async def close(self) -> None:
        """Let all fail that still wait for a token. The client below is closed by whoever made it."""
        for held in list(self._held):
            held.fail(ExchangeFailure(FailureKind.RESET, "the client closed while a token was fetched"))
        await self._tokens.close()
        await asyncio.gather(*(held.task for held in self._held if held.task is not None), return_exceptions=True)

    async def _release(self, held: "_HeldExchange", url: str, wanted: GoogleIdToken) -> None:
        try:
            token = await self._tokens.new(wanted)
        except TokenRefused as error:
            held.fail(ExchangeFailure(FailureKind.CONNECT, f"no ID token of Google for '{url}': {error}"))
        except Exception as error:
            log.exception("google_token_failed")
            held.fail(ExchangeFailure(FailureKind.CONNECT, f"no ID token of Google for '{url}': {error!r}"))
        else:
            held.begin(token)
        finally:
            self._held.discard(held)


class _HeldExchange:
    """Implements `interface.Exchange`: keeps what is to be sent until the exchange proper begins."""

    def __init__(self, receiver: Receiver, open_with: Callable[[str], Exchange]) -> None:
        self._receiver = receiver
        self._open_with = open_with
        self._exchange: Exchange | None = None
        self._parts: list[bytes] = []
        self._is_ended = False
        self._is_paused = False
        self._is_over = False
        self.task: asyncio.Task[None] | None = None

    def begin(self, token: str) -> None:
        """Open the exchange proper, and pass on what has gathered."""
        if self._is_over:
            return
        self._exchange = exchange = self._open_with(token)
        if self._is_paused:
            exchange.pause_reading()
        for part in self._parts:
            exchange.send(part)
        self._parts.clear()
        if self._is_ended:
            exchange.end()

    def fail(self, failure: ExchangeFailure) -> None:
        """End without having begun."""
        if not self._is_over and self._exchange is None:
            self._is_over = True
            self._receiver.on_failure(failure)

    def send(self, data: bytes) -> None:
        if self._exchange is not None:
            self._exchange.send(data)
        elif not self._is_ended:
            self._parts.append(data)

    def end(self) -> None:
        self._is_ended = True
        if self._exchange is not None:
            self._exchange.end()

    def abort(self) -> None:
        self._is_over = True
        if self._exchange is not None:
            self._exchange.abort()

    def pause_reading(self) -> None:
        self._is_paused = True
        if self._exchange is not None:
            self._exchange.pause_reading()

    def resume_reading(self) -> None:
        self._is_paused = False
        if self._exchange is not None:
            self._exchange.resume_reading()


def _fetch(wanted: GoogleIdToken) -> Token:
    from perdure.deployments.google.fetching import fetch_token

    return fetch_token(wanted)
