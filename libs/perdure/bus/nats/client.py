"""nats-py with its hot path replaced: it connects, authenticates, upgrades to TLS and comes back; messages never pass through it.

What is overridden here are internals of nats-py 2.16, which is why its version is pinned and the contract suite runs against a real server.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog
from nats import errors
from nats.aio.client import Client

from perdure.base.errors import RemoteProtocolError
from perdure.base.limits import MIB
from perdure.bus.nats.parser import Delivery, Parser
from perdure.bus.nats.transport import SocketTransport

MESSAGE_BYTES_MAX: Final = 64 * MIB
"""The largest `max_payload` that a NATS server can be configured with."""

log = structlog.get_logger("perdure.bus")


class DirectClient(Client):
    """A nats-py client that delivers messages synchronously, as they are read from the socket.

    Args:
        deliver: Called with each message.
        opened: Called when a connection is ready, subscriptions renewed, with the method that writes to it.
        lost: Called when it is gone.
    """

    _pongs: list[asyncio.Future[bool]]

    def __init__(
        self, deliver: Callable[[Delivery], None], opened: Callable[[Callable[[bytes], None]], None], lost: Callable[[], None]
    ) -> None:
        super().__init__()
        self.socket = SocketTransport()
        self._transport = self.socket
        self._deliver = deliver
        self._opened = opened
        self._lost = lost
        self._parser = Parser(message_bytes_max=MESSAGE_BYTES_MAX)
        self._is_open = False

    async def confirm(self, timeout_s: float) -> None:
        """Return once the server has handled all that was written so far.

        Raises:
            TimeoutError: It did not, or the connection was lost.
        """
        handled: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if self._is_open:
            self._pongs.append(handled)
            self.socket.write(b"PING\r\n")
        await asyncio.wait_for(handled, timeout_s)

    async def _read_loop(self) -> None:
        self._parser = Parser(message_bytes_max=MESSAGE_BYTES_MAX)
        if not self.socket.at_eof():
            self._is_open = True
            # Also those that came after nats-py has renewed what it knew; the server ignores a second one.
            self.socket.write(b"".join(f"SUB {sub.subject} {sid}\r\n".encode() for sid, sub in self._subs.items()))
            self._opened(self.socket.write_method())
        try:
            await self.socket.stream_to(self._feed)
        finally:
            self._is_open = False
            self._lost()
        await self._process_op_err(errors.UnexpectedEOF())

    async def _send_command(self, cmd: bytes, priority: bool = False) -> None:
        """Write at once. While disconnected nothing is kept: subscriptions are renewed from what is registered."""
        if self._is_open:
            self.socket.write(cmd)

    async def _flush_pending(self, force_flush: bool = False) -> None:
        """Do nothing, as nothing is pending; the original swallows cancellation."""

    def _feed(self, data: bytes) -> None:
        try:
            events = self._parser.receive(data)
        except RemoteProtocolError as error:
            log.warning("bus_protocol_error", reason=error.message)
            self.socket.close()
            return
        deliver = self._deliver
        for event in events:
            if isinstance(event, Delivery):
                deliver(event)
            else:
                self._control(event)

    def _control(self, line: bytes) -> None:
        if line.startswith(b"PING"):
            self.socket.write(b"PONG\r\n")
        elif line.startswith(b"PONG"):
            self._pings_outstanding = 0
            if self._pongs and not (handled := self._pongs.pop(0)).done():
                handled.set_result(True)
        elif line.startswith(b"-ERR"):
            # nats-py closes for good here; a server that means it closes the connection itself, and we come back.
            log.warning("bus_error", reason=line[5:].decode(errors="replace").strip("'"))
