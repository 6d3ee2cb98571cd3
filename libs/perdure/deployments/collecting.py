"""One response as a whole, for those who cannot use it in pieces."""

import asyncio
from collections.abc import Callable

import msgspec

from perdure.deployments.interface import ExchangeFailure, HeaderList


class Answer(msgspec.Struct, frozen=True):
    status: int
    headers: HeaderList
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the first header of this name."""
        return next((value for key, value in self.headers if key == name), None)


class Collector:
    """Gathers one response; implements `interface.Receiver`.

    `done` gives the answer, why there is none, or None where it is larger than `bytes_max`; `on_sound` is called at each sign of life.
    """

    def __init__(self, *, bytes_max: int, on_sound: Callable[[], None] | None = None) -> None:
        self._bytes_max = bytes_max
        self._on_sound = on_sound
        self._status = 0
        self._headers: HeaderList = []
        self._body = bytearray()
        self.done: asyncio.Future[Answer | ExchangeFailure | None] = asyncio.get_running_loop().create_future()

    def on_response(self, status: int, headers: HeaderList) -> None:
        self._status, self._headers = status, headers
        if self._on_sound is not None:
            self._on_sound()

    def on_data(self, data: bytes) -> None:
        self._body += data
        if self._on_sound is not None:
            self._on_sound()
        if len(self._body) > self._bytes_max:
            self._finish(None)

    def on_end(self) -> None:
        self._finish(Answer(self._status, self._headers, bytes(self._body)))

    def on_failure(self, failure: ExchangeFailure) -> None:
        self._finish(failure)

    def _finish(self, outcome: Answer | ExchangeFailure | None) -> None:
        if not self.done.done():
            self.done.set_result(outcome)
