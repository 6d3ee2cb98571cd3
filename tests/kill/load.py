"""Load that is exact about what it was promised: keyed counters, each call repeated under its idempotency key until it has a result.

Every result of an addition of one is different if none was lost and none made twice, so the results of a key must be 1, 2, 3 and so on.
"""

import asyncio
import random
import threading
from collections import defaultdict
from collections.abc import Iterator
from types import TracebackType
from typing import NamedTuple

import httpx

from tests.e2e.processes import eventually
from tests.e2e.suite import Suite

CALLERS = 64
KEYS = 16
PATIENCE_S = 40.0
"""A request that is silent for longer has been forgotten by the server."""


class Call(NamedTuple):
    """One request of the load: where it goes, whose counter it adds to, and its idempotency key."""

    path: str
    body: object
    counter: str
    idempotency_key: str


class CounterLoad:
    """`CALLERS` callers that add to counters without a pause from entry to exit of the `with` block, in a thread of their own.

    Args:
        suite: The server, with the Python services registered.
        tag: Prefix of all keys.
        seed: Decides which counters are called and how.
    """

    def __init__(self, suite: Suite, tag: str, *, seed: int) -> None:
        self.completed = 0
        self.in_flight = 0
        self.errors: list[str] = []
        self._suite = suite
        self._tag = tag
        self._calls = self._endless_calls(random.Random(seed))
        self._results: dict[str, list[int]] = defaultdict(list)
        self._sent: dict[str, int] = defaultdict(int)
        self._answers: list[tuple[Call, int]] = []
        self._is_stopping = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run_thread, name="load")

    def __enter__(self) -> "CounterLoad":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._is_stopping = True
        self._thread.join()
        if error is None and self._failure is not None:
            raise self._failure

    def wait_for_more(self, calls: int) -> None:
        """Wait until `calls` more calls have completed than now."""
        wanted = self.completed + calls
        eventually(lambda: self._failure or self.completed >= wanted, f"{calls} more calls complete", limit_s=60)
        if self._failure is not None:
            raise self._failure

    def check(self) -> None:
        """Compare every counter with what was acknowledged, and repeat calls to see the same results."""
        assert self.completed > 0
        for counter, results in self._results.items():
            assert sorted(results) == list(range(1, len(results) + 1)), f"results of {counter}"
            assert self._suite.result(f"/Counter/{counter}/get") == len(results), f"state of {counter}"
        for counter, count in self._sent.items():
            get = f"/Counter/{counter}/get"
            eventually(lambda get=get, count=count: self._suite.result(get) >= count, f"one-way calls to {counter} are done", pause_s=0.2)
            assert self._suite.result(get) == count, f"one-way calls to {counter}"
        for call, result in self._answers[:: max(1, len(self._answers) // 50)]:
            assert self._suite.result(call.path, call.body, headers={"idempotency-key": call.idempotency_key}) == result

    def _endless_calls(self, rng: random.Random) -> Iterator[Call]:
        number = 0
        while True:
            number += 1
            key = f"{self._tag}-{rng.randrange(KEYS)}"
            repeat = f"{self._tag}-{number}"
            chance = rng.random()
            if chance < 0.7:
                yield Call(f"/Counter/{key}/add", 1, key, repeat)
            elif chance < 0.85:
                yield Call(f"/Counter/{key}-sent/add/send", 1, f"{key}-sent", repeat)
            else:
                yield Call("/Caller/add_to", {"key": f"{key}-chained", "amount": 1}, f"{key}-chained", repeat)

    def _run_thread(self) -> None:
        try:
            asyncio.run(self._run())
        except BaseException as error:
            self._failure = error

    async def _run(self) -> None:
        limits = httpx.Limits(max_connections=CALLERS, max_keepalive_connections=CALLERS)
        async with (
            httpx.AsyncClient(base_url=self._suite.ingress_url, limits=limits, timeout=PATIENCE_S) as client,
            asyncio.TaskGroup() as tasks,
        ):
            for _ in range(CALLERS):
                tasks.create_task(self._call_on(client))

    async def _call_on(self, client: httpx.AsyncClient) -> None:
        while not self._is_stopping:
            call = next(self._calls)
            self.in_flight += 1
            response = await self._until_answered(client, call)
            self.in_flight -= 1
            self.completed += 1
            if response.status_code == 202:
                self._sent[call.counter] += 1
            else:
                self._results[call.counter].append(response.json())
                self._answers.append((call, response.json()))

    async def _until_answered(self, client: httpx.AsyncClient, call: Call) -> httpx.Response:
        headers = {"idempotency-key": call.idempotency_key}
        while True:
            try:
                response = await client.post(call.path, json=call.body, headers=headers)
            except httpx.ReadTimeout:
                raise AssertionError(f"{call} was not answered within {PATIENCE_S} s") from None
            except httpx.TransportError as error:
                self.errors.append(type(error).__name__)
            else:
                if response.status_code in (200, 202):
                    return response
                assert response.status_code in (429, 503), f"{call}: {response.status_code} {response.text}"
                self.errors.append(str(response.status_code))
            await asyncio.sleep(0.05)
