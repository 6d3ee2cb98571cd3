"""The HTTP/1.1 connections to one authority: one exchange each, kept for the next one."""

import asyncio
import contextlib
import ssl
from collections import deque

from perdure.deployments.address import Address
from perdure.deployments.connecting import ConnectError, connect
from perdure.deployments.http1 import Http1Connection, Http1Exchange
from perdure.deployments.interface import ExchangeFailure, FailureKind
from perdure.deployments.settings import ClientSettings


class Http1Pool:
    """The connection that was used last is used first, so that those not needed grow old. Implements `ExchangeOwner`."""

    def __init__(self, address: Address, settings: ClientSettings, context: ssl.SSLContext | None) -> None:
        self._address = address
        self._settings = settings
        self._context = context
        self._free: list[Http1Connection] = []
        self._all: set[Http1Connection] = set()
        self._waiting: deque[Http1Exchange] = deque()
        self._connecting: set[asyncio.Task[None]] = set()
        self._sweep_timer: asyncio.TimerHandle | None = None

    def open(self, exchange: Http1Exchange) -> None:
        """Start `exchange` on a free connection, now or as soon as there is one."""
        if self._free:
            self._free.pop().start(exchange)
            return
        if len(self._waiting) >= self._settings.waiting_max:
            message = f"{self._settings.waiting_max} requests wait for {self._address} already"
            asyncio.get_running_loop().call_soon(exchange.fail, ExchangeFailure(FailureKind.CONNECT, message))
            return
        self._waiting.append(exchange)
        self._grow()

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

    def on_given_up(self, exchange: Http1Exchange) -> None:
        with contextlib.suppress(ValueError):  # it is being failed at this moment
            self._waiting.remove(exchange)

    async def close(self) -> None:
        """Cut everything; whatever is in flight or waits fails."""
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
        for task in list(self._connecting):
            task.cancel()
        await asyncio.gather(*self._connecting, return_exceptions=True)
        failure = ExchangeFailure(FailureKind.RESET, f"the client closed the connection to {self._address}")
        self._fail_waiting(failure)
        connections = list(self._all)
        for connection in connections:
            connection.shut(failure)
        await asyncio.gather(*(connection.lost for connection in connections))

    def _grow(self) -> None:
        while len(self._waiting) > len(self._connecting) and len(self._all) + len(self._connecting) < self._settings.http1_connections_max:
            self._connecting.add(asyncio.get_running_loop().create_task(self._connect()))

    async def _connect(self) -> None:
        try:
            connection = await connect(
                self._address,
                lambda: Http1Connection(self._address, self),
                context=self._context,
                timeout_ms=self._settings.connect_timeout_ms,
            )
        except ConnectError as error:
            self._leave_connecting()
            if not self._all:
                self._fail_waiting(error.failure)
            return
        except BaseException:
            self._leave_connecting()
            raise
        self._leave_connecting()
        if not connection.lost.done():
            self._all.add(connection)
            self.on_free(connection)
        self._grow()

    def _leave_connecting(self) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._connecting.discard(task)

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

    def _fail_waiting(self, failure: ExchangeFailure) -> None:
        waiting, self._waiting = self._waiting, deque()
        for exchange in waiting:
            exchange.fail(failure)
