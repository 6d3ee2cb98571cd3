"""One HTTP/2 connection to a deployment: many exchanges, full duplex, over zttp's sans-io connection.

All that is sent in one turn of the loop leaves in one write. Request bytes beyond the peer's credit wait in the exchange.
Response credit goes back as the receiver takes the data; a paused exchange gets none, the connection as a whole always does,
so that one slow exchange never holds up its neighbours.
Source: RFC 9113; shared/spec/service-protocol.md, 2.4.
"""

import asyncio
from collections import deque
from typing import Final, Protocol, cast

import zttp

from perdure.deployments import frames
from perdure.deployments.address import Address
from perdure.deployments.connecting import ConnectError, DeploymentConnection
from perdure.deployments.headers import text_headers
from perdure.deployments.http2_exchange import Http2Exchange
from perdure.deployments.interface import ExchangeFailure, FailureKind
from perdure.deployments.settings import ClientSettings

STREAMS_MAX: Final = 950
"""Exchanges after which a connection is drained: at the 1000th hypercorn 0.18 ends it, and forgets those that are in flight."""

RESETS_MAX: Final = 200
"""Streams reset by the peer, after which the connection is drained: zttp takes the 257th for an attack and gives up."""


class ConnectionOwner(Protocol):
    """What a connection tells the pool it belongs to."""

    def on_room(self, connection: "Http2Connection") -> None:
        """An exchange ended, or the peer allows more of them."""
        ...

    def on_retired(self, connection: "Http2Connection") -> None:
        """It takes no more exchanges: drained or lost."""
        ...


class Http2Connection(DeploymentConnection):
    """A connection of one pool. `ready` is done once the peer's SETTINGS came; `lost` once the socket is gone."""

    def __init__(self, address: Address, settings: ClientSettings, owner: ConnectionOwner) -> None:
        self._address = address
        self._settings = settings
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._http2 = zttp.Connection(zttp.CLIENT, zttp.HTTP2)
        self._transport: asyncio.Transport | None = None
        self._exchanges: dict[int, Http2Exchange] = {}
        self._starved: deque[Http2Exchange] = deque()
        self._paused: set[int] = set()
        self._finished: list[zttp.Stream] = []
        self._output: list[bytes] = []
        self._flush_is_due = False
        self._streams_max = settings.streams_per_connection_max
        self._resets = 0
        self._failure: ExchangeFailure | None = None
        self._is_silent = False
        self._idle_since = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self.is_retired = False
        self.ready: asyncio.Future[None] = self._loop.create_future()
        self.lost: asyncio.Future[None] = self._loop.create_future()

    @property
    def has_room(self) -> bool:
        return not self.is_retired and len(self._exchanges) < self._streams_max

    # What exchanges ask for.

    def start(self, exchange: Http2Exchange) -> None:
        """Open a stream for `exchange` and send what it has gathered while it waited."""
        assert self.has_room
        self._collect()
        try:
            stream = self._http2.send_request(exchange.method, exchange.target, b"2", exchange.headers)
        except zttp.LocalProtocolError as error:
            message = f"the request to {self._address} cannot be written: {error}"
            self._loop.call_soon(exchange.fail, ExchangeFailure(FailureKind.CONNECT, message))
            return
        head = self._http2.data_to_send()
        if exchange.method == b"GET":
            exchange.is_ended = True
            stream.end_message()
            self._http2.data_to_send()
            head = frames.with_end_of_stream(head)
        self._output.append(head if self._address.is_tls else frames.with_http_scheme(head))
        exchange.connection = self
        exchange.stream = stream
        exchange.stream_id = stream.stream_id
        self._exchanges[stream.stream_id] = exchange
        if exchange.is_paused:
            self._paused.add(stream.stream_id)
        if stream.stream_id >= 2 * STREAMS_MAX - 1:  # ids of a client are odd
            self._retire()
        if exchange.parked:
            self._pump(exchange)
        elif exchange.is_ended and exchange.method != b"GET":
            stream.end_message()
        self._flush_soon()

    def send(self, exchange: Http2Exchange, data: bytes) -> None:
        stream = exchange.stream
        room = stream.send_window
        if room is not None and len(data) <= room and len(data) <= self._http2.send_window:
            stream.send_data(data)
        else:
            exchange.park(data)
            self._pump(exchange)
        if not self._flush_is_due:
            self._flush_is_due = True
            self._loop.call_soon(self._flush)

    def end(self, exchange: Http2Exchange) -> None:
        exchange.stream.end_message()
        self._flush_soon()

    def give_up(self, exchange: Http2Exchange) -> None:
        exchange.stream.reset(frames.CANCEL)
        self._flush_soon()
        self._forget(exchange)
        self._owner.on_room(self)

    def pause(self, exchange: Http2Exchange) -> None:
        self._paused.add(exchange.stream_id)

    def resume(self, exchange: Http2Exchange) -> None:
        self._paused.discard(exchange.stream_id)
        if exchange.withheld:
            self._collect()
            self._output.append(frames.window_update_frame(exchange.stream_id, exchange.withheld))
            exchange.withheld = 0
            self._flush_soon()

    def shut(self, failure: ExchangeFailure | None) -> None:
        """Close at once; exchanges in flight fail with `failure`."""
        self._failure = self._failure or failure
        self._retire()
        if self._transport is None:
            self._end(None)
        else:
            self._flush()
            self._transport.abort()

    # What the event loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        settings = self._settings
        ssl_object = transport.get_extra_info("ssl_object")
        if ssl_object is not None and ssl_object.selected_alpn_protocol() != "h2":
            message = f"{self._address} did not agree to HTTP/2"
            self.shut(ExchangeFailure(FailureKind.CONNECT, message, is_other_http_version=True))
            return
        self._http2.initiate_connection()
        self._output += (
            self._http2.data_to_send(),
            frames.settings_frame(stream_window_bytes=settings.stream_window_bytes),
            frames.window_update_frame(0, settings.connection_window_bytes - frames.INITIAL_WINDOW_BYTES),
        )
        self._flush()
        self._timer = self._loop.call_later((settings.ping_interval_ms or settings.idle_timeout_ms) / 1000, self._probe)

    def data_received(self, data: bytes) -> None:
        self._is_silent = False
        next_event = self._http2.next_event
        exchanges = self._exchanges
        try:
            self._http2.receive_data(data)
            while (event := next_event()) is not zttp.NEED_DATA:
                if type(event) is zttp.Data:
                    exchange = exchanges.get(event.stream_id)
                    if exchange is not None:
                        exchange.receiver.on_data(event.data)
                else:
                    self._on_event(event)
        except zttp.RemoteProtocolError as error:
            self.shut(self._failure_of(error, data))
            return
        if not self._flush_is_due:
            self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc)

    # Events of the peer.

    def _on_event(self, event: zttp.Event) -> None:
        if isinstance(event, zttp.Response):
            exchange = self._exchanges.get(event.stream_id)
            if exchange is not None and event.status_code >= 200:
                exchange.receiver.on_response(event.status_code, text_headers(event.headers))
        elif isinstance(event, zttp.EndOfMessage):
            self._on_end(event.stream_id)
        elif isinstance(event, zttp.WindowUpdate):
            self._on_credit()
        elif isinstance(event, zttp.RstStream):
            self._on_reset(event)
        elif isinstance(event, zttp.GoAway):
            self._on_goaway(event)
        elif isinstance(event, zttp.Settings):
            self._on_settings(dict(event.params))
        elif isinstance(event, zttp.Ping):
            self._on_ping(event)

    def _on_end(self, stream_id: int) -> None:
        """The response is complete, and with it the exchange: the request side closes too, whatever it still wanted to say."""
        exchange = self._exchanges.get(stream_id)
        if exchange is None:
            return
        stream = exchange.stream
        if exchange.parked:
            stream.reset(frames.CANCEL)
        elif exchange.is_ended:
            self._finished.append(stream)
        else:
            stream.end_message()
        exchange.is_closed = True
        self._forget(exchange)
        exchange.receiver.on_end()
        self._owner.on_room(self)

    def _on_credit(self) -> None:
        starved, self._starved = self._starved, deque()
        for exchange in starved:
            if not exchange.is_closed:
                self._pump(exchange)

    def _on_reset(self, event: zttp.RstStream) -> None:
        exchange = self._exchanges.get(event.stream_id)
        if exchange is None:
            return
        self._resets += 1
        if self._resets >= RESETS_MAX:
            self._retire()
        self._forget(exchange)
        exchange.fail(ExchangeFailure(FailureKind.RESET, f"{self._address} reset the stream: {frames.error_name(event.error_code)}"))
        self._owner.on_room(self)

    def _on_goaway(self, event: zttp.GoAway) -> None:
        self._retire()
        name = frames.error_name(event.error_code)
        kind = FailureKind.GOAWAY if event.error_code == frames.NO_ERROR else FailureKind.RESET
        if kind is FailureKind.RESET:
            self._failure = ExchangeFailure(kind, f"{self._address} closed the connection: {name} {event.debug[:200]!r}")
        if not self.ready.done():
            is_http1 = event.error_code == frames.FRAME_SIZE_ERROR
            self.shut(
                ExchangeFailure(FailureKind.CONNECT, f"{self._address} refused the connection: {name}", is_other_http_version=is_http1)
            )
            return
        unseen = [exchange for stream_id, exchange in self._exchanges.items() if stream_id > event.last_stream_id]
        for exchange in unseen:
            self._forget(exchange)
            exchange.fail(ExchangeFailure(kind, f"{self._address} drains the connection ({name}) and has not seen the request"))
        self._close_if_drained()

    def _on_settings(self, params: dict[int, int]) -> None:
        limit = params.get(frames.SETTING_MAX_CONCURRENT_STREAMS)
        if limit is not None:
            self._streams_max = min(limit, self._settings.streams_per_connection_max)
        self._on_credit()
        if self.ready.done():
            self._owner.on_room(self)
        elif self._streams_max == 0:
            self.shut(ExchangeFailure(FailureKind.CONNECT, f"{self._address} accepts no streams"))
        else:
            self.ready.set_result(None)

    # Sending.

    def _pump(self, exchange: Http2Exchange) -> None:
        """Send parked bytes as far as credit goes; with some left, wait for more behind the others.

        zttp would park them as well, but copies all that waits at each grant: 1.0 s -> 0.02 s for 20 MB.
        """
        parked, stream = exchange.parked, exchange.stream
        assert parked is not None
        while parked:
            room = min(stream.send_window or 0, self._http2.send_window)
            if room <= 0:
                self._starved.append(exchange)
                return
            piece = parked.popleft()
            if len(piece) > room:
                view = memoryview(piece)
                parked.appendleft(view[room:])
                piece = view[:room]
            stream.send_data(piece)
        if exchange.is_ended:
            stream.end_message()

    def _collect(self) -> None:
        """Move what zttp has written to the output, holding back the credit of paused exchanges."""
        output = self._http2.data_to_send()
        if self._paused and output:
            output, withheld = frames.withhold_credit(output, self._paused)
            for stream_id, credit in withheld.items():
                self._exchanges[stream_id].withheld += credit
        if output:
            self._output.append(output)
        if self._finished:
            self._release_finished()

    def _release_finished(self) -> None:
        """Make zttp forget streams whose request ended before the response: it keeps those, and looks at each for every read.

        A reset does it, and its frame is not sent. After 8000 streams: 120 us -> 4 us per stream.
        """
        for stream in self._finished:
            stream.reset(frames.NO_ERROR)
        self._finished.clear()
        self._http2.data_to_send()

    def _flush_soon(self) -> None:
        if not self._flush_is_due:
            self._flush_is_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_is_due = False
        self._collect()
        if self._output and self._transport is not None:
            self._transport.write(self._output[0] if len(self._output) == 1 else b"".join(self._output))
        self._output.clear()

    # Life and death.

    def _probe(self) -> None:
        """See whether the connection is still needed and alive."""
        settings = self._settings
        if not self._exchanges and self._loop.time() - self._idle_since >= settings.idle_timeout_ms / 1000:
            self._retire()
        elif settings.ping_interval_ms:
            self._is_silent = True
            self._output.append(frames.ping_frame())
            self._flush()
            self._timer = self._loop.call_later(settings.ping_timeout_ms / 1000, self._expect_sound)
        else:
            self._timer = self._loop.call_later(settings.idle_timeout_ms / 1000, self._probe)

    def _expect_sound(self) -> None:
        """Give the connection up if nothing came since the ping; bytes that are not its answer buy another wait."""
        if self._is_silent:
            message = f"{self._address} did not answer a ping within {self._settings.ping_timeout_ms} ms"
            self.shut(ExchangeFailure(FailureKind.RESET, message))
        else:
            self._is_silent = True
            self._timer = self._loop.call_later(self._settings.ping_timeout_ms / 1000, self._expect_sound)

    def _on_ping(self, event: zttp.Ping) -> None:
        if event.ack and self._timer is not None and self._settings.ping_interval_ms:
            self._timer.cancel()
            self._timer = self._loop.call_later(self._settings.ping_interval_ms / 1000, self._probe)

    def _forget(self, exchange: Http2Exchange) -> None:
        del self._exchanges[exchange.stream_id]
        if self._paused:
            self._paused.discard(exchange.stream_id)
        if not self._exchanges:
            self._idle_since = self._loop.time()
            self._close_if_drained()

    def _retire(self) -> None:
        if not self.is_retired:
            self.is_retired = True
            self._owner.on_retired(self)
            self._close_if_drained()

    def _close_if_drained(self) -> None:
        if self.is_retired and not self._exchanges and self._transport is not None:
            self._flush()
            self._transport.close()

    def _failure_of(self, error: zttp.RemoteProtocolError, data: bytes) -> ExchangeFailure:
        """Say what the peer did wrong. An HTTP/1.1 server shows as an HTTP/2 frame of impossible size."""
        if self.ready.done():
            return ExchangeFailure(FailureKind.RESET, f"{self._address} broke HTTP/2: {error}")
        message = f"{self._address} answered with something else than HTTP/2, beginning with {data[:32].decode('latin-1')!r}"
        return ExchangeFailure(FailureKind.CONNECT, message, is_other_http_version="frame size" in str(error))

    def _end(self, exc: Exception | None) -> None:
        if self.lost.done():
            return
        if self._timer is not None:
            self._timer.cancel()
        cause = f": {exc}" if exc is not None else ""
        failure = self._failure or ExchangeFailure(FailureKind.RESET, f"the connection to {self._address} was cut{cause}")
        self._transport = None
        self.lost.set_result(None)
        if not self.ready.done():
            self.ready.set_exception(ConnectError(failure))
            self.ready.exception()  # seen: nobody may be waiting for it any more
        exchanges, self._exchanges = self._exchanges, {}
        self._retire()
        for exchange in exchanges.values():
            exchange.fail(failure)
