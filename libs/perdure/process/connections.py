"""Connections of the HTTP server: uvicorn's on zttp, with what they lack. Give `Connection` to uvicorn as `http`.

- All that is written in one turn of the loop leaves in one system call: head and body of an answer, and answers of many streams.
- A request over HTTP/2 without a body ends with its headers, which uvicorn 0.54 does not notice: its application would wait for a body.
- zttp 0.0.35 cuts an HTTP/2 connection at its 4096th stream. Before that it is renewed: closed when nothing is in flight, and if that
  does not happen, told to open no more streams and closed after the last.
"""

import asyncio
from typing import Any, Final

import zttp
from uvicorn.protocols.http.auto_zttp_impl import AutoZttpProtocol
from uvicorn.protocols.http.zttp_h2_impl import ZttpH2Protocol
from uvicorn.protocols.http.zttp_impl import ZttpProtocol

STREAMS_BEFORE_RENEWAL: Final = 2_000
STREAMS_MAX: Final = 3_800
_LAST_STREAM_ID_MAX: Final = 2**31 - 1


class _GatheringTransport:
    """Collects writes until the end of the loop's turn. 51 us -> 45 us per small request at 64 connections."""

    __slots__ = ("_inner", "_loop", "_pending")

    def __init__(self, inner: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._inner = inner
        self._loop = loop
        self._pending: list[bytes] = []

    def write(self, data: bytes) -> None:
        if data:
            if not self._pending:
                self._loop.call_soon(self._flush)
            self._pending.append(data)

    def close(self) -> None:
        self._flush()
        self._inner.close()

    def _flush(self) -> None:
        if self._pending:
            pending, self._pending = self._pending, []
            self._inner.write(b"".join(pending))

    def __getattr__(self, name: str) -> Any:  # everything else is the transport's own
        return getattr(self._inner, name)


class _Http1(ZttpProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(_GatheringTransport(transport, self.loop))  # type: ignore[arg-type]


class _Http2(ZttpH2Protocol):
    _streams = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(_GatheringTransport(transport, self.loop))  # type: ignore[arg-type]

    def handle_request(self, event: zttp.Request) -> None:
        super().handle_request(event)
        cycle = self.cycles.get(event.stream_id)
        if cycle is not None and event.end_stream:
            cycle.more_body = False
            cycle.message_event.set()
        self._streams += 1
        if self._streams == STREAMS_MAX:
            self.conn.close(zttp.H2ErrorCode.NO_ERROR, _LAST_STREAM_ID_MAX)
            self.flush()

    def on_stream_closed(self) -> None:
        if self._streams >= STREAMS_BEFORE_RENEWAL and not self.cycles:
            self.shutdown_requested = True
        super().on_stream_closed()


class Connection(AutoZttpProtocol):
    """Tells HTTP/2 by its preface."""

    def _switch(self, http2: bool, initial_data: bytes = b"") -> None:
        kind = _Http2 if http2 else _Http1
        protocol = kind(config=self.config, server_state=self.server_state, app_state=self.app_state, _loop=self.loop)
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        if initial_data:
            protocol.data_received(initial_data)
