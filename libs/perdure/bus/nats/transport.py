"""The socket under nats-py: line by line while nats-py shakes hands, then straight into the parser.

nats-py reads through a StreamReader, a task and one queue per subscription; this transport hands every chunk to a callback as the event
loop delivers it.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import Final, cast
from urllib.parse import ParseResult

from nats.aio.transport import Transport

from perdure.base.limits import MIB

WRITE_BUFFER_BYTES_MAX: Final = 64 * MIB
"""What may wait for a slow NATS server before messages are dropped."""


class SocketTransport(Transport, asyncio.Protocol):
    """One TCP or TLS connection at a time; connects again as often as nats-py asks for it."""

    def __init__(self) -> None:
        self.is_congested = False
        self._socket: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._sink: Callable[[bytes], None] | None = None
        self._arrival: asyncio.Future[None] | None = None
        self._lost: asyncio.Future[None] | None = None

    # The event loop's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._use(cast("asyncio.Transport", transport))

    def data_received(self, data: bytes) -> None:
        if self._sink is not None:
            self._sink(data)
            return
        self._buffer += data
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._socket = None
        self._sink = None
        self.is_congested = False
        self._wake()
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(None)

    def pause_writing(self) -> None:
        self.is_congested = True

    def resume_writing(self) -> None:
        self.is_congested = False

    # Ours.

    async def stream_to(self, sink: Callable[[bytes], None]) -> None:
        """Feed `sink` with what has come and what comes; return when the connection is lost."""
        assert self._lost is not None
        if self._socket is None:
            return
        self._sink = sink
        if self._buffer:
            sink(bytes(self._buffer))
            self._buffer.clear()
        await asyncio.shield(self._lost)

    def write_method(self) -> Callable[[bytes], None]:
        """Return the socket's own `write`, valid until the connection is lost: saves a call per message."""
        assert self._socket is not None
        return self._socket.write

    # The side of nats-py.

    async def connect(self, uri: ParseResult, buffer_size: int, connect_timeout: int) -> None:
        assert uri.hostname is not None
        assert uri.port is not None
        self.close()
        self._buffer.clear()
        loop = asyncio.get_running_loop()
        self._lost = loop.create_future()
        try:
            await asyncio.wait_for(loop.create_connection(lambda: self, uri.hostname, uri.port), connect_timeout)
        except BaseException:
            self._socket = None  # of one that was given up half-way uvloop tells no end
            raise

    async def connect_tls(self, uri: str | ParseResult, ssl_context: ssl.SSLContext, buffer_size: int, connect_timeout: int) -> None:
        assert self._socket is not None
        hostname = uri if isinstance(uri, str) else uri.hostname
        loop = asyncio.get_running_loop()
        upgrade = loop.start_tls(self._socket, self, ssl_context, server_hostname=hostname)
        upgraded = await asyncio.wait_for(upgrade, connect_timeout)
        if upgraded is None:
            raise ConnectionResetError("connection lost during the TLS handshake")
        self._use(upgraded)

    def write(self, payload: bytes) -> None:
        if self._socket is None:
            raise ConnectionResetError("not connected to NATS")
        self._socket.write(payload)

    def writelines(self, payload: list[bytes]) -> None:
        """Write what nats-py still wants to say when it closes, if there is anybody to hear it."""
        if self._socket is not None:
            self._socket.write(b"".join(payload))

    async def read(self, buffer_size: int) -> bytes:
        while not self._buffer and self._socket is not None:
            await self._arrive()
        chunk = bytes(self._buffer[:buffer_size])
        del self._buffer[:buffer_size]
        return chunk

    async def readline(self) -> bytes:
        while (end := self._buffer.find(b"\n") + 1) == 0:
            if self._socket is None:
                raise ConnectionResetError("NATS closed the connection during the handshake")
            await self._arrive()
        line = bytes(self._buffer[:end])
        del self._buffer[:end]
        return line

    async def drain(self) -> None:
        """Do nothing: what nats-py itself writes is small, and our own messages are bounded by `is_congested`."""

    async def wait_closed(self) -> None:
        if self._lost is not None and self._socket is not None:
            await asyncio.shield(self._lost)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()

    def at_eof(self) -> bool:
        return self._socket is None and not self._buffer

    def __bool__(self) -> bool:  # pyright: ignore[reportIncompatibleMethodOverride]  # nats-py declares it without a type
        return True

    def _use(self, socket: asyncio.Transport) -> None:
        socket.set_write_buffer_limits(high=WRITE_BUFFER_BYTES_MAX)
        self._socket = socket

    async def _arrive(self) -> None:
        self._arrival = asyncio.get_running_loop().create_future()
        await self._arrival

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)
