"""The HTTP/2 connections to one authority: exchanges share them, and wait here while there is no room."""

import asyncio
import contextlib
import ssl
from collections import deque

from perdure.deployments.address import Address
from perdure.deployments.connecting import ConnectError, connect
from perdure.deployments.http2 import Http2Connection
from perdure.deployments.http2_exchange import Http2Exchange
from perdure.deployments.interface import ExchangeFailure, FailureKind
from perdure.deployments.settings import ClientSettings


class Http2Pool:
    """Connections are opened when exchanges wait, and filled one after the other. Implements `ConnectionOwner` and `ExchangeOwner`."""

    def __init__(self, address: Address, settings: ClientSettings, context: ssl.SSLContext | None) -> None:
        self._address = address
        self._settings = settings
        self._context = context
        self._connections: list[Http2Connection] = []
        self._retired: set[Http2Connection] = set()
        self._waiting: deque[Http2Exchange] = deque()
        self._connecting: set[asyncio.Task[None]] = set()

    def open(self, exchange: Http2Exchange) -> None:
        """Start `exchange` on a connection with room, now or as soon as there is one."""
        for connection in self._connections:
            if connection.has_room:
                connection.start(exchange)
                return
        if len(self._waiting) >= self._settings.waiting_max:
            message = f"{self._settings.waiting_max} requests wait for {self._address} already"
            asyncio.get_running_loop().call_soon(exchange.fail, ExchangeFailure(FailureKind.CONNECT, message))
            return
        self._waiting.append(exchange)
        self._grow()

    def on_room(self, connection: Http2Connection) -> None:
        while self._waiting and connection.has_room:
            connection.start(self._waiting.popleft())

    def on_retired(self, connection: Http2Connection) -> None:
        if connection in self._connections:
            self._connections.remove(connection)
            self._retired.add(connection)
            connection.lost.add_done_callback(lambda _: self._retired.discard(connection))
            self._grow()

    def on_given_up(self, exchange: Http2Exchange) -> None:
        with contextlib.suppress(ValueError):  # it is being failed at this moment
            self._waiting.remove(exchange)

    async def close(self) -> None:
        """Cut everything; whatever is in flight or waits fails."""
        for task in list(self._connecting):
            task.cancel()
        await asyncio.gather(*self._connecting, return_exceptions=True)
        failure = ExchangeFailure(FailureKind.RESET, f"the client closed the connection to {self._address}")
        self._fail_waiting(failure)
        connections = [*self._connections, *self._retired]
        for connection in connections:
            connection.shut(failure)
        await asyncio.gather(*(connection.lost for connection in connections))

    def _grow(self) -> None:
        settings = self._settings
        while (
            len(self._waiting) > len(self._connecting) * settings.streams_per_connection_max
            and len(self._connections) + len(self._connecting) < settings.http2_connections_max
        ):
            task = asyncio.get_running_loop().create_task(self._connect())
            self._connecting.add(task)

    async def _connect(self) -> None:
        try:
            connection = await connect(
                self._address,
                lambda: Http2Connection(self._address, self._settings, self),
                context=self._context,
                timeout_ms=self._settings.connect_timeout_ms,
            )
        except ConnectError as error:
            self._leave_connecting()
            if not self._connections:
                self._fail_waiting(error.failure)
            return
        except BaseException:
            self._leave_connecting()
            raise
        self._leave_connecting()
        if connection.is_retired:
            self._grow()
        else:
            self._connections.append(connection)
            self.on_room(connection)
            self._grow()

    def _leave_connecting(self) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._connecting.discard(task)

    def _fail_waiting(self, failure: ExchangeFailure) -> None:
        waiting, self._waiting = self._waiting, deque()
        for exchange in waiting:
            exchange.fail(failure)
