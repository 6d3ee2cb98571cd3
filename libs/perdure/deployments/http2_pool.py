"""The HTTP/2 connections to one authority: exchanges share them, and wait here while there is no room."""

import ssl
from collections.abc import Iterable

from perdure.deployments.address import Address
from perdure.deployments.http2 import Http2Connection
from perdure.deployments.http2_exchange import Http2Exchange
from perdure.deployments.pool import Pool
from perdure.deployments.settings import ClientSettings


class Http2Pool(Pool[Http2Connection, Http2Exchange]):
    """Connections are opened when exchanges wait, and filled one after the other. Implements `ConnectionOwner` and `ExchangeOwner`."""

    def __init__(self, address: Address, settings: ClientSettings, context: ssl.SSLContext | None) -> None:
        super().__init__(address, settings, context)
        self._in_use: list[Http2Connection] = []
        self._retired: set[Http2Connection] = set()

    def on_room(self, connection: Http2Connection) -> None:
        while self._waiting and connection.has_room:
            connection.start(self._waiting.popleft())

    def on_retired(self, connection: Http2Connection) -> None:
        if connection in self._in_use:
            self._in_use.remove(connection)
            self._retired.add(connection)
            connection.lost.add_done_callback(lambda _: self._retired.discard(connection))
            self._grow()

    def _start_now(self, exchange: Http2Exchange) -> bool:
        for connection in self._in_use:
            if connection.has_room:
                connection.start(exchange)
                return True
        return False

    def _needs_more(self) -> bool:
        settings = self._settings
        made = len(self._in_use) + len(self._connecting)
        is_wanted = len(self._waiting) > len(self._connecting) * settings.streams_per_connection_max
        return is_wanted and made < settings.http2_connections_max

    def _new_connection(self) -> Http2Connection:
        return Http2Connection(self._address, self._settings, self)

    def _connections(self) -> Iterable[Http2Connection]:
        return [*self._in_use, *self._retired]

    def _take(self, connection: Http2Connection) -> None:
        if not connection.is_retired:
            self._in_use.append(connection)
            self.on_room(connection)

    def _serves(self) -> bool:
        return bool(self._in_use)
