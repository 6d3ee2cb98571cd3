"""Serve an ASGI application: HTTP/1.1 and HTTP/2 on one port, in clear (HTTP/2 with prior knowledge) or over TLS (by ALPN)."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Generator
from typing import Any, Final, cast

import structlog
import uvicorn

from perdure.base.clock import until_beat_s
from perdure.process.access_log import AccessLog
from perdure.process.certificate import ServerCertificate
from perdure.process.closing import refuse_newcomers
from perdure.process.connections import Connection, ConnectionsState, Draining
from perdure.process.listening import BACKLOG, address_of, listen
from perdure.process.traffic import Traffic

KEEP_ALIVE_S: Final = 75
DRAINING_S_MAX: Final = 2.0
"""How long clients may take to see that their connection ends, before those that are idle are closed; a quarter of the grace at most."""

DRAINING_PAUSE_S: Final = 0.02
TICK_S: Final = 1.0

log = structlog.get_logger("perdure.http")


async def serve_asgi(
    app: Any,  # an ASGI application; frameworks and servers type it differently
    *,
    bind: str,
    port: int,
    draining: asyncio.Event,
    stopping: asyncio.Event,
    grace_ms: int,
    on_listening: Callable[[str], None] | None = None,
    access_log: bool = False,
    certificate: ServerCertificate | None = None,
    traffic: Traffic | None = None,
) -> None:
    """Serve until `stopping` is set, then let what is in flight finish for `grace_ms`.

    From `draining` on, which comes first, clients are served as well, and asked with each answer to leave.

    Args:
        bind: Address or host name to listen on.
        port: 0 for any free one.
        on_listening: Called with `host:port` once connections are accepted.
        access_log: Whether every request is logged.
        certificate: For TLS; None: in clear.
        traffic: Counts connections and bytes.

    Raises:
        CannotListen: The port is in use, or not for us.
    """
    listener = listen(bind, port)
    server = _Server(
        uvicorn.Config(
            AccessLog(app) if access_log else app,
            loop="none",
            http=Connection,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=max(1, grace_ms // 1000),
            ssl_context_factory=None if certificate is None else lambda _config, _default: certificate.context(),
        ),
        draining,
        stopping,
        draining_s=min(DRAINING_S_MAX, grace_ms / 4_000),
        certificate=certificate,
        traffic=traffic or Traffic(),
    )
    server.on_started = lambda: on_listening(address_of(listener)) if on_listening is not None else None
    await server.serve(sockets=[listener])


class _Server(uvicorn.Server):
    """Uvicorn that leaves signals alone, and sleeps until the date changes or it is to stop instead of looking ten times a second."""

    def __init__(
        self,
        config: uvicorn.Config,
        draining: asyncio.Event,
        stopping: asyncio.Event,
        *,
        draining_s: float,
        certificate: ServerCertificate | None,
        traffic: Traffic,
    ) -> None:
        super().__init__(config)
        self.server_state = ConnectionsState(traffic)
        self._certificate = certificate
        self._draining = draining
        self._stopping = stopping
        self._draining_s = draining_s
        self.on_started: Callable[[], None] = lambda: None

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more connections, let clients leave those that stand, then finish what is in flight."""
        for listener in sockets or []:
            refuse_newcomers(listener)
        await asyncio.sleep(DRAINING_PAUSE_S)
        for server in self.servers:
            server.close()
        for _ in range(max(1, int(self._draining_s / DRAINING_PAUSE_S))):
            if self._let_clients_leave():  # each time, since the last to be accepted may have come just now
                await asyncio.sleep(DRAINING_PAUSE_S)
        await super().shutdown(sockets)

    async def main_loop(self) -> None:
        await self.on_tick(0)
        self.on_started()
        waiting = asyncio.ensure_future(self._stopping.wait())
        try:
            while not (await asyncio.wait([waiting], timeout=until_beat_s(waiting.get_loop().time(), TICK_S)))[0]:
                await self.on_tick(0)
                if self._certificate is not None:
                    self._certificate.context()
                if self._draining.is_set():
                    self._let_clients_leave()
        finally:
            waiting.cancel()

    def _let_clients_leave(self) -> int:
        """Tell all clients, those who have not said yet what they want included; return how many there are."""
        standing: list[Draining] = [*cast("set[Draining]", self.server_state.connections), *self.server_state.handshaking]
        for connection in standing:
            connection.drain()
        return len(standing)
