"""The request side of one HTTP/2 exchange, before and while it has a connection."""

from collections import deque
from typing import Protocol

import zttp

from perdure.deployments.interface import ExchangeFailure, Receiver


class ExchangeOwner(Protocol):
    """What an exchange tells the pool that looks for a connection."""

    def on_given_up(self, exchange: "Http2Exchange") -> None:
        """It was aborted before it had one."""
        ...


class Link(Protocol):
    """What an exchange asks of its connection."""

    def send(self, exchange: "Http2Exchange", data: bytes) -> None: ...

    def end(self, exchange: "Http2Exchange") -> None: ...

    def give_up(self, exchange: "Http2Exchange") -> None: ...

    def pause(self, exchange: "Http2Exchange") -> None: ...

    def resume(self, exchange: "Http2Exchange") -> None: ...


class Http2Exchange:
    """The request side of one exchange; it may still wait for its connection. Implements `interface.Exchange`."""

    __slots__ = (
        "_owner",
        "connection",
        "headers",
        "is_closed",
        "is_ended",
        "is_paused",
        "method",
        "parked",
        "receiver",
        "stream",
        "stream_id",
        "target",
        "withheld",
    )

    def __init__(self, owner: ExchangeOwner, method: bytes, target: bytes, headers: list[tuple[bytes, bytes]], receiver: Receiver) -> None:
        self._owner = owner
        self.method = method
        self.target = target
        self.headers = headers
        self.receiver = receiver
        self.connection: Link | None = None
        self.stream: zttp.Stream
        """There is one as soon as there is a connection."""
        self.stream_id = 0
        self.parked: deque[bytes | memoryview] | None = None
        self.is_ended = False
        self.is_closed = False
        self.is_paused = False
        self.withheld = 0

    def send(self, data: bytes) -> None:
        if self.is_closed or self.is_ended or not data:
            return
        if self.connection is None or self.parked:
            self.park(data)
        else:
            self.connection.send(self, data)

    def end(self) -> None:
        if self.is_closed or self.is_ended:
            return
        self.is_ended = True
        if self.connection is not None and not self.parked:
            self.connection.end(self)

    def abort(self) -> None:
        if self.is_closed:
            return
        self.is_closed = True
        if self.connection is None:
            self._owner.on_given_up(self)
        else:
            self.connection.give_up(self)

    def pause_reading(self) -> None:
        if not self.is_closed and not self.is_paused:
            self.is_paused = True
            if self.connection is not None:
                self.connection.pause(self)

    def resume_reading(self) -> None:
        if not self.is_closed and self.is_paused:
            self.is_paused = False
            if self.connection is not None:
                self.connection.resume(self)

    def park(self, data: bytes) -> None:
        """Keep `data` until there is a connection or credit."""
        if self.parked is None:
            self.parked = deque()
        self.parked.append(data)

    def fail(self, failure: ExchangeFailure) -> None:
        """Tell the receiver, unless the exchange is over already."""
        if not self.is_closed:
            self.is_closed = True
            self.receiver.on_failure(failure)
