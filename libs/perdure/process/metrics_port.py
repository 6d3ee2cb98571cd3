"""Serves a process's own metrics where `metrics_address` is set: the least HTTP/1.1 that a Prometheus server needs."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from typing import Final

import structlog

from perdure.base.errors import ConfigurationError

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
HEAD_BYTES_MAX: Final = 16 * 1024
EXCHANGE_S_MAX: Final = 10.0
"""How long a client may take to ask and to read."""

log = structlog.get_logger("perdure.metrics")


@contextlib.asynccontextmanager
async def serving(address: str, text: Callable[[], bytes]) -> AsyncGenerator[None]:
    """Answer `GET /metrics` at `address`, `host:port`, with `text()` meanwhile; do nothing where it is empty.

    Raises:
        ConfigurationError: Nobody can listen there.
    """
    if not address:
        yield
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise ConfigurationError(f"metrics_address is host:port, not {address!r}")
    try:
        server = await asyncio.start_server(_Answers(text).answer, host.strip("[]"), int(port), limit=HEAD_BYTES_MAX)
    except (OSError, OverflowError) as error:
        raise ConfigurationError(f"cannot listen on {address} for metrics: {error}") from None
    where = server.sockets[0].getsockname()
    log.info("metrics_listening", address=f"{host}:{where[1]}")
    async with server:
        yield


class _Answers:
    def __init__(self, text: Callable[[], bytes]) -> None:
        self._text = text

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request, and close the connection."""
        try:
            async with asyncio.timeout(EXCHANGE_S_MAX):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._response(head))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asked is gone, or does not speak HTTP
        finally:
            writer.close()

    def _response(self, head: bytes) -> bytes:
        method, _, rest = head.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        if path != b"/metrics":
            status, body = "404 Not Found", b"there is /metrics\n"
        elif method not in (b"GET", b"HEAD"):
            status, body = "405 Method Not Allowed\r\nallow: GET, HEAD", b"only GET\n"
        else:
            status, body = "200 OK", self._text()
        fields = f"HTTP/1.1 {status}\r\ncontent-type: {CONTENT_TYPE}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        return fields.encode() + (b"" if method == b"HEAD" else body)
