"""Connections of the HTTP server: uvicorn's on zttp, with what they lack. Give `Connection` to uvicorn as `http`.

- All that is written in one turn of the loop leaves in one system call: head and body of an answer, and answers of many streams.
- A request over HTTP/2 without a body ends with its headers, which uvicorn 0.54 does not notice: its application would wait for a body.
- uvicorn drops connections whose request target has bytes outside ASCII: here they count as if they were percent-encoded.
- A head that is too large is answered with 431.
- zttp 0.0.35 cuts an HTTP/2 connection at its 4096th stream. Long before, it begins no more requests, and as soon as those in flight are
  answered, or after a second, tells the client (GOAWAY) which was the last, so that the client sends all others over a new connection.
  It also cuts one whose client has given up 257 requests, which is what deadlines and cancellations of gRPC do: the same is done before.
- A connection whose TLS handshake is under way is known as well: a process that stops waits for it.
- `drain` lets a client leave without an error, which `shutdown` does not: that closes an idle connection while a request may be on its way.
"""

import asyncio
import contextlib
import weakref
from typing import Any, Final, Protocol, cast
from urllib.parse import quote_from_bytes

import zttp
from uvicorn.protocols.http.auto_zttp_impl import AutoZttpProtocol
from uvicorn.protocols.http.zttp_h2_impl import ZttpH2Protocol
from uvicorn.protocols.http.zttp_impl import RequestResponseCycle, ZttpProtocol
from uvicorn.protocols.utils import is_ssl
from uvicorn.server import ServerState

from perdure.process.traffic import Traffic

STREAMS_MAX: Final = 3_900
"""Requests of one HTTP/2 connection. A client may have 128 more under way."""

RESETS_MAX: Final = 100
"""Requests of one HTTP/2 connection that its client may give up before it is renewed. It may give up 128 more, which are under way."""

RENEWAL_WAIT_S: Final = 1.0
"""How long requests in flight may keep later ones from being sent over a new connection. Some clients (h2 for Python) take GOAWAY for the
end of everything."""

LINGER_S: Final = 1.0
"""How long the client may take to read the last answers."""

FAREWELL_S: Final = 0.5
"""How long the client may take to end TLS on its side, once it has been sent everything."""

_TOO_LARGE: Final = "message exceeded configured size limit"
_ALL_ASCII: Final = bytes(range(128))


def _ascii(target: bytes) -> bytes:
    """Percent-encode what no request target may have."""
    return quote_from_bytes(target, safe=_ALL_ASCII).encode()


class _AsciiRequest:
    """A request whose target is not ASCII, as one whose target is."""

    def __init__(self, request: zttp.Request) -> None:
        self.headers = request.headers
        self.method = request.method
        self.path = _ascii(request.path)
        self.query = _ascii(request.query)
        self.stream_id = request.stream_id


class Draining(Protocol):
    """A connection that can tell its client to leave."""

    def drain(self) -> None: ...


class _GatheringTransport:
    """Collects writes until the end of the loop's turn. 51 us -> 45 us per small request at 64 connections."""

    __slots__ = ("_inner", "_loop", "_pending", "_traffic")

    def __init__(self, inner: asyncio.Transport, loop: asyncio.AbstractEventLoop, traffic: Traffic) -> None:
        self._inner = inner
        self._loop = loop
        self._traffic = traffic
        self._pending: list[bytes] = []

    def write(self, data: bytes) -> None:
        if data:
            if not self._pending:
                self._loop.call_soon(self._flush)
            self._pending.append(data)

    def close(self) -> None:
        """Close once all is sent. Over TLS the other side is to say farewell as well, which one that is idle never does."""
        self._flush()
        self._inner.close()
        if is_ssl(self._inner):
            self._loop.call_later(FAREWELL_S, self._hang_up)

    def _hang_up(self) -> None:
        if self._inner.get_write_buffer_size():
            self._loop.call_later(FAREWELL_S, self._hang_up)
        else:
            self._inner.abort()

    def write_eof(self) -> None:
        self._flush()
        self._inner.write_eof()

    def _flush(self) -> None:
        if self._pending:
            pending, self._pending = self._pending, []
            data = b"".join(pending)
            self._traffic.sent_bytes += len(data)
            self._inner.write(data)

    def __getattr__(self, name: str) -> Any:  # everything else is the transport's own
        return getattr(self._inner, name)


class _Counted(asyncio.Protocol):
    """What both HTTP versions do when a connection comes and goes."""

    server_state: ServerState
    loop: asyncio.AbstractEventLoop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._traffic = cast("ConnectionsState", self.server_state).traffic
        self._traffic.opened()
        super().connection_made(_GatheringTransport(transport, self.loop, self._traffic))  # type: ignore[arg-type]

    def connection_lost(self, exc: Exception | None) -> None:
        self._traffic.closed()
        super().connection_lost(exc)


class _Http1(_Counted, ZttpProtocol):
    _is_draining = False

    def data_received(self, data: bytes) -> None:
        self._traffic.received_bytes += len(data)
        if not data.isascii() and (self.cycle is None or self.cycle.response_complete):  # pyright: ignore[reportUnnecessaryComparison]  # None at first
            line, newline, rest = data.partition(b"\n")
            data = _ascii(line) + newline + rest
        self._unset_keepalive_if_required()
        try:
            self.handle_events(self.conn.receive_event(data))
        except zttp.RemoteProtocolError as error:
            self._refuse(431 if str(error) == _TOO_LARGE else 400)

    def handle_events(self, event: zttp.Event) -> None:
        try:
            super().handle_events(event)
        except UnicodeDecodeError:  # of a target that came in pieces, or behind another request
            self._refuse(400)
        if self._is_draining:
            self.drain()

    def handle_remote_protocol_error(self) -> None:
        self._refuse(400)

    def _refuse(self, status: int) -> None:
        with contextlib.suppress(zttp.LocalProtocolError):  # an answer has begun
            self.conn.send_response(status, [(b"content-length", b"0"), (b"connection", b"close")])
            self.conn.end_message()
            self.transport.write(self.conn.data_to_send())
        self.transport.close()

    def drain(self) -> None:
        """Close with the next answer, and tell the client so in its headers."""
        self._is_draining = True
        cycle = cast("RequestResponseCycle | None", self.cycle)  # none before the first request
        if cycle is not None and not cycle.response_started and cycle.keep_alive:
            cycle.keep_alive = False
            cycle.default_headers = [*cycle.default_headers, (b"connection", b"close")]


class _Http2(_Counted, ZttpH2Protocol):
    _begun = 0
    _resets = 0
    _streams_max = STREAMS_MAX
    _last_begun_id = 0
    _is_renewing = False
    _is_over = False

    def data_received(self, data: bytes) -> None:
        self._traffic.received_bytes += len(data)
        if not self._is_over:
            super().data_received(data)

    def handle_request(self, event: zttp.Request) -> None:
        if self._begun == self._streams_max:
            self._renew(RENEWAL_WAIT_S)
            return
        self._begun += 1
        self._last_begun_id = event.stream_id
        super().handle_request(event if event.target.isascii() else _AsciiRequest(event))  # type: ignore[arg-type]
        cycle = self.cycles.get(event.stream_id)
        if cycle is not None and event.end_stream:
            cycle.more_body = False
            cycle.message_event.set()

    def handle_rst_stream(self, event: zttp.RstStream) -> None:
        super().handle_rst_stream(event)
        self._resets += 1
        if self._resets == RESETS_MAX and not self._is_renewing:
            self._renew(0)  # such a client might reach the end within the second

    def drain(self) -> None:
        """Begin no more requests; tell the client which was the last once those in flight are answered, or after a second."""
        self._renew(RENEWAL_WAIT_S)

    def on_stream_closed(self) -> None:
        super().on_stream_closed()
        if self._begun == self._streams_max and not self.cycles:
            self._leave()

    def _renew(self, wait_s: float) -> None:
        self._streams_max = self._begun
        if not self.cycles:
            self._leave()
        elif not self._is_renewing:
            self._is_renewing = True
            if wait_s:
                self.loop.call_later(wait_s, self._say_goodbye)
            else:
                self._say_goodbye()

    def _leave(self) -> None:
        if self.transport.is_closing() or self._is_over:
            return
        self._say_goodbye()
        self._is_over = True
        if is_ssl(self.transport):
            self.transport.close()  # goes on until the peer has said that it has heard all, or had its time
        else:
            self.transport.write_eof()  # closing at once could make the peer's system throw away what it has not read yet
            self.loop.call_later(LINGER_S, self.transport.close)

    def _say_goodbye(self) -> None:
        if not self.transport.is_closing() and not self._is_over:
            self.conn.close(zttp.H2ErrorCode.NO_ERROR, self._last_begun_id)
            self.flush()


class ConnectionsState(ServerState):
    """Uvicorn's, the connections that it does not know yet, and what all of them count."""

    def __init__(self, traffic: Traffic) -> None:
        super().__init__()
        self.traffic = traffic
        self.handshaking: weakref.WeakSet[Connection] = weakref.WeakSet()
        """Weakly, as the loop lets one go without a word where its handshake fails."""


class Connection(AutoZttpProtocol):
    """Tells HTTP/2 by ALPN or by its preface."""

    _is_draining = False

    def __init__(self, *args: Any, **options: Any) -> None:  # uvicorn's own
        super().__init__(*args, **options)
        if self.config.is_ssl:
            cast("ConnectionsState", self.server_state).handshaking.add(self)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        cast("ConnectionsState", self.server_state).handshaking.discard(self)
        super().connection_made(transport)

    def drain(self) -> None:
        """Let the client have one answer here, if it asks in time: its request may be on its way."""
        self._is_draining = True

    def _switch(self, http2: bool, initial_data: bytes = b"") -> None:
        kind = _Http2 if http2 else _Http1
        protocol = kind(config=self.config, server_state=self.server_state, app_state=self.app_state, _loop=self.loop)
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        if initial_data:
            protocol.data_received(initial_data)
        if self._is_draining:
            protocol.drain()
