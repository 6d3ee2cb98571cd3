"""One HTTP/1.1 connection to a deployment: one exchange at a time, over zttp's sans-io connection.

The request body is chunked, unless a length is given, and may go on while the response arrives; a response that ends before the
request does costs the connection. Source: RFC 9112; shared/spec/service-protocol.md, 1.7 and 2.4.
"""

import asyncio
from typing import Final, Protocol, cast

import zttp

from perdure.deployments import frames
from perdure.deployments.address import Address
from perdure.deployments.connecting import DeploymentConnection
from perdure.deployments.headers import text_headers
from perdure.deployments.interface import ExchangeFailure, FailureKind, Receiver

STATUS_LINE_PREFIX: Final = b"HTTP/1."


class ExchangeOwner(Protocol):
    """What a connection and its exchange tell the pool they belong to."""

    def on_free(self, connection: "Http1Connection") -> None:
        """It can take another exchange."""
        ...

    def on_lost(self, connection: "Http1Connection") -> None: ...

    def on_given_up(self, exchange: "Http1Exchange") -> None:
        """An exchange was aborted before it had a connection."""
        ...


class Http1Exchange:
    """The request side of one exchange; it may still wait for its connection. Implements `interface.Exchange`."""

    __slots__ = ("_owner", "connection", "headers", "is_closed", "is_ended", "is_paused", "method", "parked", "receiver", "target")

    def __init__(self, owner: ExchangeOwner, method: bytes, target: bytes, headers: list[tuple[bytes, bytes]], receiver: Receiver) -> None:
        self._owner = owner
        self.method = method
        self.target = target
        self.headers = headers
        self.receiver = receiver
        self.connection: Http1Connection | None = None
        self.parked: list[bytes] = []
        self.is_ended = False
        self.is_closed = False
        self.is_paused = False

    def send(self, data: bytes) -> None:
        if self.is_closed or self.is_ended or not data:
            return
        if self.connection is None:
            self.parked.append(data)
        else:
            self.connection.send(data)

    def end(self) -> None:
        if self.is_closed or self.is_ended:
            return
        self.is_ended = True
        if self.connection is not None:
            self.connection.end()

    def abort(self) -> None:
        if self.is_closed:
            return
        self.is_closed = True
        if self.connection is None:
            self._owner.on_given_up(self)
        else:
            self.connection.shut(None)

    def pause_reading(self) -> None:
        self.is_paused = True
        if self.connection is not None and not self.is_closed:
            self.connection.set_reading(False)

    def resume_reading(self) -> None:
        self.is_paused = False
        if self.connection is not None and not self.is_closed:
            self.connection.set_reading(True)

    def fail(self, failure: ExchangeFailure) -> None:
        """Tell the receiver, unless the exchange is over already."""
        if not self.is_closed:
            self.is_closed = True
            self.receiver.on_failure(failure)


class Http1Connection(DeploymentConnection):
    """A connection of one pool. `ready` is done once it is open; `lost` once the socket is gone."""

    def __init__(self, address: Address, owner: ExchangeOwner) -> None:
        self._address = address
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._http1 = zttp.Connection(zttp.CLIENT, zttp.HTTP1)
        self._transport: asyncio.Transport | None = None
        self._exchange: Http1Exchange | None = None
        self._flush_is_due = False
        self._failure: ExchangeFailure | None = None
        self._is_reused = False
        self._has_answered = False
        self.idle_since = self._loop.time()
        self.ready: asyncio.Future[None] = self._loop.create_future()
        self.lost: asyncio.Future[None] = self._loop.create_future()

    # What the exchange asks for.

    def start(self, exchange: Http1Exchange) -> None:
        """Send the head of `exchange` and what it has gathered while it waited."""
        assert self._exchange is None
        headers = exchange.headers
        if exchange.method != b"GET" and not any(name == b"content-length" for name, _ in headers):
            headers = [*headers, (b"transfer-encoding", b"chunked")]
        try:
            self._http1.send_request(exchange.method, exchange.target, b"1.1", headers)
        except zttp.LocalProtocolError as error:
            message = f"the request to {self._address} cannot be written: {error}"
            self._loop.call_soon(exchange.fail, ExchangeFailure(FailureKind.CONNECT, message))
            self.shut(None)
            return
        exchange.connection = self
        self._exchange = exchange
        self._has_answered = False
        for piece in exchange.parked:
            self._http1.send_data(piece)
        exchange.parked.clear()
        if exchange.is_ended:
            self._http1.end_message()
        if exchange.is_paused:
            self.set_reading(False)
        self._flush_soon()

    def send(self, data: bytes) -> None:
        self._http1.send_data(data)
        self._flush_soon()

    def end(self) -> None:
        self._http1.end_message()
        self._flush_soon()

    def set_reading(self, reading: bool) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if reading:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def shut(self, failure: ExchangeFailure | None) -> None:
        """Close at once; an exchange in flight fails with `failure`."""
        self._failure = self._failure or failure
        if self._transport is None:
            self._end(None)
        else:
            self._transport.abort()

    # What the event loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if not self.ready.done():
            self.ready.set_result(None)

    def data_received(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            self.shut(None)  # nothing was asked
            return
        if not self._has_answered and frames.looks_like_http2(data):
            message = f"{self._address} answered HTTP/1.1 with HTTP/2"
            self.shut(ExchangeFailure(FailureKind.RESET, message, is_other_http_version=True))
            return
        if not self._has_answered and not data.startswith(STATUS_LINE_PREFIX[: len(data)]):
            self.shut(
                ExchangeFailure(FailureKind.RESET, f"{self._address} answered with something else than HTTP, beginning with {data[:32]!r}")
            )
            return
        self._has_answered = True
        self._receive(exchange, data)

    def eof_received(self) -> bool:
        exchange = self._exchange
        if exchange is not None and self._has_answered:
            self._receive(exchange, b"")  # the end of a response without a length
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc)

    # The response.

    def _receive(self, exchange: Http1Exchange, data: bytes) -> None:
        try:
            event: zttp.Event = self._http1.receive_event(data)
            while event is not zttp.NEED_DATA and event is not zttp.CONNECTION_CLOSED:
                self._on_event(exchange, event)
                if exchange.is_closed:
                    return
                event = self._http1.next_event()
        except zttp.RemoteProtocolError as error:
            self.shut(ExchangeFailure(FailureKind.RESET, f"{self._address} broke HTTP/1.1: {error}"))

    def _on_event(self, exchange: Http1Exchange, event: zttp.Event) -> None:
        if isinstance(event, zttp.Data):
            exchange.receiver.on_data(event.data)
        elif isinstance(event, zttp.Response):
            if event.status_code >= 200:
                exchange.receiver.on_response(event.status_code, text_headers(event.headers))
        elif isinstance(event, zttp.EndOfMessage):
            self._on_end(exchange)

    def _on_end(self, exchange: Http1Exchange) -> None:
        exchange.is_closed = True
        self._exchange = None
        if not exchange.is_ended or self._http1.should_close():
            self._close()
        else:
            self._flush()
            if exchange.is_paused:
                self.set_reading(True)
            self._http1.start_next_cycle()
            self._is_reused = True
            self.idle_since = self._loop.time()
        exchange.receiver.on_end()
        if self._transport is not None and not self._transport.is_closing():
            self._owner.on_free(self)

    def _flush_soon(self) -> None:
        if not self._flush_is_due:
            self._flush_is_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_is_due = False
        output = self._http1.data_to_send()
        if output and self._transport is not None:
            self._transport.write(output)

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _end(self, exc: Exception | None) -> None:
        if self.lost.done():
            return
        self._transport = None
        self.lost.set_result(None)
        if not self.ready.done():
            self.ready.cancel()
        self._owner.on_lost(self)
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.fail(self._failure or self._failure_of(exc))

    def _failure_of(self, exc: Exception | None) -> ExchangeFailure:
        """A kept connection that closes without one byte of an answer was closed by the peer before it saw the request."""
        cause = f": {exc}" if exc is not None else ""
        kind = FailureKind.GOAWAY if self._is_reused and not self._has_answered else FailureKind.RESET
        return ExchangeFailure(kind, f"the connection to {self._address} was cut{cause}")
