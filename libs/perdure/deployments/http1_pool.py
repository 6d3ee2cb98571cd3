"""The HTTP/1.1 connections to one authority: one exchange each, kept for the next one."""

import asyncio
import contextlib
import ssl
from collections.abc import Iterable

from perdure.deployments.address import Address
from perdure.deployments.http1 import Http1Connection, Http1Exchange
from perdure.deployments.pool import Pool
from perdure.deployments.settings import ClientSettings


class Http1Pool(Pool[Http1Connection, Http1Exchange]):
    """The connection that was used last is used first, so that those not needed grow old. Implements `ExchangeOwner`."""

    def __init__(self, address: Address, settings: ClientSettings, context: ssl.SSLContext | None) -> None:
        super().__init__(address, settings, context)
        self._free: list[Http1Connection] = []
        self._all: set[Http1Connection] = set()
        self._sweep_timer: asyncio.TimerHandle | None = None

    def on_free(self, connection: Http1Connection) -> None:
        if self._waiting:
            connection.start(self._waiting.popleft())
            return
        self._free.append(connection)
        if self._sweep_timer is None:
            self._sweep_timer = asyncio.get_running_loop().call_later(self._settings.idle_timeout_ms / 1000, self._sweep)

    def on_lost(self, connection: Http1Connection) -> None:
        self._all.discard(connection)
        with contextlib.suppress(ValueError):
            self._free.remove(connection)
        self._grow()

    async def close(self) -> None:
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
        await super().close()

    def _start_now(self, exchange: Http1Exchange) -> bool:
        if not self._free:
            return False
        self._free.pop().start(exchange)
        return True

    def _needs_more(self) -> bool:
        made = len(self._all) + len(self._connecting)
        return len(self._waiting) > len(self._connecting) and made < self._settings.http1_connections_max

    def _new_connection(self) -> Http1Connection:
        return Http1Connection(self._address, self)

    def _connections(self) -> Iterable[Http1Connection]:
        return self._all

    def _take(self, connection: Http1Connection) -> None:
        if not connection.lost.done():
            self._all.add(connection)
            self.on_free(connection)

    def _serves(self) -> bool:
        return bool(self._all)

    def _sweep(self) -> None:
        """Close what was not used for the idle time; connections in use come back to `_free` first."""
        loop = asyncio.get_running_loop()
        self._sweep_timer = None
        oldest = loop.time() - self._settings.idle_timeout_ms / 1000
        for connection in [connection for connection in self._free if connection.idle_since <= oldest]:
            self._free.remove(connection)
            connection.shut(None)
        if self._free:
            self._sweep_timer = loop.call_later(self._settings.idle_timeout_ms / 1000, self._sweep)
