"""Callers that go away while they wait: their requests are dropped, what they started goes on.

Whether a client is still there costs a task of its own to know, so only requests that wait for some seconds get one.
Source: shared/spec/ingress.md, section 21.
"""

import asyncio
from typing import Final

from perdure.base.clock import until_beat_s
from perdure.bus.messages import OwnerReply
from services.ingress.asgi import Receive
from services.ingress.waiting import Waiting

_PERIOD_S: Final = 1.0


class CallerGone(Exception):
    """The client closed its connection or stream."""


class Departures:
    """Cancel the future of each waiting request whose caller has left."""

    def __init__(self, waiting: Waiting) -> None:
        self._waiting = waiting
        self._loop = asyncio.get_running_loop()
        self._recent: dict[int, Receive] = {}
        self._older: dict[int, Receive] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer = self._loop.call_later(until_beat_s(self._loop.time(), _PERIOD_S), self._tick)

    def stop(self) -> None:
        """Watch no longer."""
        self._timer.cancel()
        for task in self._tasks:
            task.cancel()

    def watch(self, request_id: int, receive: Receive) -> None:
        """Watch the caller of a request whose body has been received wholly."""
        self._recent[request_id] = receive

    def _tick(self) -> None:
        self._timer = self._loop.call_later(until_beat_s(self._loop.time(), _PERIOD_S), self._tick)
        older, self._older, self._recent = self._older, self._recent, {}
        for request_id, receive in older.items():
            future = self._waiting.future_of(request_id)
            if future is not None:
                task = self._loop.create_task(_cancel_when_gone(future, receive))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)


async def _cancel_when_gone(future: "asyncio.Future[OwnerReply]", receive: Receive) -> None:
    message = await receive()
    while message["type"] != "http.disconnect":
        message = await receive()
    future.cancel()  # does nothing where the answer is there: ASGI reports the end of a response as a disconnect too
