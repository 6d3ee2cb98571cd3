"""Load without a second try: whatever a caller gets that is not the right answer is a failed call."""

import asyncio
import threading
import time
from types import TracebackType
from typing import NamedTuple

import httpx

from tests.e2e.api import Api
from tests.e2e.processes import eventually

CALLERS = 32
PATIENCE_S = 30.0


class Answer(NamedTuple):
    """When a call ended, and how long it took, in seconds."""

    at_s: float
    took_s: float


class SteadyLoad:
    """`CALLERS` callers, each on a connection that it keeps, from entry to exit of the `with` block, in a thread of their own.

    Half of them greet, half add to a counter of their own; `failures` tells what went wrong.
    """

    def __init__(self, api: Api, tag: str) -> None:
        self.answers: list[Answer] = []
        self.failures: list[str] = []
        self._url = api.ingress_url
        self._tag = tag
        self._is_stopping = False
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="load")

    def __enter__(self) -> "SteadyLoad":
        self._thread.start()
        self.wait_for_more(CALLERS)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._is_stopping = True
        self._thread.join()

    def wait_for_more(self, calls: int) -> None:
        """Wait until `calls` more calls have ended than now."""
        wanted = len(self.answers) + len(self.failures) + calls
        eventually(lambda: len(self.answers) + len(self.failures) >= wanted, f"{calls} more calls end", limit_s=60)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for number in range(CALLERS):
                tasks.create_task(self._greet(number) if number % 2 else self._count(number))

    async def _greet(self, number: int) -> None:
        async with httpx.AsyncClient(base_url=self._url, timeout=PATIENCE_S) as client:
            while not self._is_stopping:
                await self._call(client, "/Greeter/greet", f"{number}", f"Hello {number}")

    async def _count(self, number: int) -> None:
        async with httpx.AsyncClient(base_url=self._url, timeout=PATIENCE_S) as client:
            value = 1
            while not self._is_stopping:
                value += await self._call(client, f"/Counter/{self._tag}-{number}/add", 1, value)

    async def _call(self, client: httpx.AsyncClient, path: str, body: object, expected: object) -> bool:
        began = time.monotonic()
        try:
            response = await client.post(path, json=body)
        except httpx.HTTPError as error:
            self.failures.append(f"{path}: {error!r}")
            return False
        if response.status_code != 200 or response.json() != expected:
            self.failures.append(f"{path}: {response.status_code} {response.text}, expected {expected}")
            return False
        now = time.monotonic()
        self.answers.append(Answer(now, now - began))
        return True
