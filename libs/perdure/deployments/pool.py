"""What pools of both HTTP versions share: exchanges that wait for a connection, and connections that are being made for them."""

import abc
import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar

from perdure.deployments.address import Address
from perdure.deployments.connecting import ConnectError, DeploymentConnection, connect
from perdure.deployments.interface import ExchangeFailure, FailureKind
from perdure.deployments.settings import ClientSettings


class WaitingExchange(Protocol):
    """What can wait here."""

    def fail(self, failure: ExchangeFailure) -> None: ...


C = TypeVar("C", bound=DeploymentConnection)
E = TypeVar("E", bound=WaitingExchange)


class Pool(abc.ABC, Generic[C, E]):
    """The connections to one authority. Who waits first is served first."""

    def __init__(self, address: Address, settings: ClientSettings, context: ssl.SSLContext | None) -> None:
        self._address = address
        self._settings = settings
        self._context = context
        self._waiting: deque[E] = deque()
        self._connecting: set[asyncio.Task[None]] = set()

    @property
    def connection_count(self) -> int:
        return sum(1 for _ in self._connections())

    @property
    def waiting_count(self) -> int:
        return len(self._waiting)

    def open(self, exchange: E) -> None:
        """Start `exchange` on a connection, now or as soon as one can take it."""
        if self._start_now(exchange):
            return
        if len(self._waiting) >= self._settings.waiting_max:
            message = f"{self._settings.waiting_max} requests wait for {self._address} already"
            asyncio.get_running_loop().call_soon(exchange.fail, ExchangeFailure(FailureKind.CONNECT, message))
            return
        self._waiting.append(exchange)
        self._grow()

    def on_given_up(self, exchange: E) -> None:
        with contextlib.suppress(ValueError):  # it is being failed at this moment
            self._waiting.remove(exchange)

    async def close(self) -> None:
        """Cut everything; whatever is in flight or waits fails."""
        for task in list(self._connecting):
            task.cancel()
        await asyncio.gather(*self._connecting, return_exceptions=True)
        failure = ExchangeFailure(FailureKind.RESET, f"the client closed the connection to {self._address}")
        self._fail_waiting(failure)
        connections = list(self._connections())
        for connection in connections:
            connection.shut(failure)
        await asyncio.gather(*(connection.lost for connection in connections))

    @abc.abstractmethod
    def _start_now(self, exchange: E) -> bool:
        """Start an exchange if a connection can take it, and tell whether it could."""

    @abc.abstractmethod
    def _needs_more(self) -> bool:
        """Tell whether another connection is wanted and allowed."""

    @abc.abstractmethod
    def _new_connection(self) -> C: ...

    @abc.abstractmethod
    def _connections(self) -> Iterable[C]:
        """Return all that are open."""

    @abc.abstractmethod
    def _take(self, connection: C) -> None:
        """Use a connection that has just been made."""

    @abc.abstractmethod
    def _serves(self) -> bool:
        """Tell whether there is a connection that will take those that wait."""

    def _grow(self) -> None:
        while self._needs_more():
            self._connecting.add(asyncio.get_running_loop().create_task(self._connect()))

    async def _connect(self) -> None:
        try:
            connection = await connect(
                self._address, self._new_connection, context=self._context, timeout_ms=self._settings.connect_timeout_ms
            )
        except ConnectError as error:
            self._leave_connecting()
            if not self._serves():
                self._fail_waiting(error.failure)
            return
        except BaseException:
            self._leave_connecting()
            raise
        self._leave_connecting()
        self._take(connection)
        self._grow()

    def _leave_connecting(self) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._connecting.discard(task)

    def _fail_waiting(self, failure: ExchangeFailure) -> None:
        waiting, self._waiting = self._waiting, deque()
        for exchange in waiting:
            exchange.fail(failure)
