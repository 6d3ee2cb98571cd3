"""Serve an ASGI application: HTTP/1.1 and cleartext HTTP/2 with prior knowledge on one port."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Generator
from typing import Any, Final, cast

import structlog
import uvicorn

from perdure.base.errors import ConfigurationError
from perdure.process.connections import Connection, Draining

BACKLOG: Final = 2048
KEEP_ALIVE_S: Final = 75
DRAINING_PAUSE_S: Final = 0.02
DRAINING_PAUSES_MAX: Final = 25
"""Half a second in which clients see that their connection ends, before those that are idle are closed."""

log = structlog.get_logger("perdure.http")


class PortTaken(ConfigurationError):
    """Another process listens on the port."""

    hint = "Stop the other process, or choose another port."


async def serve_asgi(
    app: Any,  # an ASGI application; frameworks and servers type it differently
    *,
    bind: str,
    port: int,
    stopping: asyncio.Event,
    grace_ms: int,
    on_listening: Callable[[str], None] | None = None,
) -> None:
    """Serve until `stopping` is set, then let what is in flight finish for `grace_ms`.

    Args:
        bind: Address or host name to listen on.
        port: 0 for any free one.
        on_listening: Called with `host:port` once connections are accepted.

    Raises:
        PortTaken: The port is in use.
    """
    listener = _listen(bind, port)
    server = _Server(
        uvicorn.Config(
            app,
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
        ),
        stopping,
    )
    server.on_started = lambda: on_listening(_address(listener)) if on_listening is not None else None
    await server.serve(sockets=[listener])


class _Server(uvicorn.Server):
    """Uvicorn that leaves signals alone, and sleeps until the date changes or it is to stop instead of looking ten times a second."""

    def __init__(self, config: uvicorn.Config, stopping: asyncio.Event) -> None:
        super().__init__(config)
        self._stopping = stopping
        self.on_started: Callable[[], None] = lambda: None

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more connections, let clients leave those that stand, then finish what is in flight."""
        for listener in sockets or []:
            await self._accept_waiting(listener)
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            cast("Draining", connection).drain()
        for _ in range(DRAINING_PAUSES_MAX):
            if self.server_state.connections:
                await asyncio.sleep(DRAINING_PAUSE_S)
        await super().shutdown(sockets)

    async def _accept_waiting(self, listener: socket.socket) -> None:
        """Take the connections that wait to be accepted: the kernel would reset them when the listener closes."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(BlockingIOError):
            while True:
                waiting, _ = listener.accept()
                await loop.connect_accepted_socket(self._connection, waiting)

    def _connection(self) -> Connection:
        return Connection(self.config, self.server_state, self.lifespan.state)

    async def main_loop(self) -> None:
        await self.on_tick(0)
        self.on_started()
        waiting = asyncio.ensure_future(self._stopping.wait())
        try:
            while not (await asyncio.wait([waiting], timeout=1))[0]:
                await self.on_tick(0)
        finally:
            waiting.cancel()


def _listen(bind: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(bind, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise ConfigurationError(f"cannot listen on {bind}: {error.strerror}") from None
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise PortTaken(f"cannot listen on {bind}:{port}: {error.strerror}") from None
    listener.setblocking(False)
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
