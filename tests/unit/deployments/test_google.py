"""Requests that wait for a token, and tokens that are shared and renewed. Google itself is played by a function."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from perdure.deployments.google import HEADER
from perdure.deployments.google.client import GoogleClient
from perdure.deployments.google.tokens import Token, TokenRefused
from perdure.deployments.interface import Exchange, ExchangeFailure, FailureKind, HeaderList, Receiver
from perdure.model.deployment import Deployment, GoogleIdToken, ProtocolMode

LIFE_S = 3_600


class HandClock:
    def __init__(self) -> None:
        self.seconds = 1_000_000

    def now_ms(self) -> int:
        return self.seconds * 1_000


class Opened:
    """An exchange of the client below; notes what is done to it."""

    def __init__(self, headers: HeaderList) -> None:
        self.headers = dict(headers)
        self.done: list[object] = []

    def send(self, data: bytes) -> None:
        self.done.append(data)

    def end(self) -> None:
        self.done.append("end")

    def abort(self) -> None:
        self.done.append("abort")

    def pause_reading(self) -> None:
        self.done.append("pause")

    def resume_reading(self) -> None:
        self.done.append("resume")


class Failures:
    """A receiver that is only told failures."""

    def __init__(self) -> None:
        self.failures: list[ExchangeFailure] = []

    def on_response(self, status: int, headers: HeaderList) -> None:
        raise AssertionError

    def on_data(self, data: bytes) -> None:
        raise AssertionError

    def on_end(self) -> None:
        raise AssertionError

    def on_failure(self, failure: ExchangeFailure) -> None:
        self.failures.append(failure)


class World:
    """A client whose tokens come when the test lets them."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.opened: list[Opened] = []
        self.asked: list[GoogleIdToken] = []
        self.may_answer = threading.Event()
        self.error: Exception | None = None
        self.client = GoogleClient(self, self.clock, self.fetch)

    def fetch(self, wanted: GoogleIdToken) -> Token:
        self.asked.append(wanted)
        self.may_answer.wait(10)
        if self.error is not None:
            raise self.error
        return Token(f"token-{len(self.asked)}", self.clock.seconds + LIFE_S)

    def open(self, deployment: Deployment, method: str, path: str, headers: HeaderList, receiver: Receiver) -> Exchange:
        self.opened.append(Opened(headers))
        return self.opened[-1]

    async def close(self) -> None: ...

    def request(self, audience: str = "https://a", receiver: Failures | None = None) -> Exchange:
        deployment = Deployment("dp_1", "https://a", ProtocolMode.BIDI_STREAM, "HTTP/2.0", 5, 7, 0, google_id_token=GoogleIdToken(audience))
        return self.client.open(deployment, "POST", "/invoke/A/a", [("accept", "x")], receiver or Failures())

    async def until_opened(self, count: int) -> None:
        while len(self.opened) < count:
            await asyncio.sleep(0.001)


def with_world(test: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        world = World()
        try:
            async with asyncio.timeout(10):
                await test(world)
        finally:
            world.may_answer.set()
            await world.client.close()

    asyncio.run(bounded())


def test_a_request_is_held_until_there_is_a_token_and_then_goes_out_as_it_came() -> None:
    async def test(world: World) -> None:
        exchange = world.request()
        exchange.send(b"one")
        exchange.pause_reading()
        exchange.send(b"two")
        exchange.end()
        assert world.opened == []
        world.may_answer.set()
        await world.until_opened(1)
        assert world.opened[0].headers == {"accept": "x", HEADER: "Bearer token-1"}
        exchange.resume_reading()
        exchange.abort()
        assert world.opened[0].done == ["pause", b"one", b"two", "end", "resume", "abort"]

    with_world(test)


def test_requests_that_come_together_share_a_token_and_each_audience_has_its_own() -> None:
    async def test(world: World) -> None:
        for audience in ("https://a", "https://a", "https://b"):
            world.request(audience)
        world.may_answer.set()
        await world.until_opened(3)
        assert sorted(wanted.audience for wanted in world.asked) == ["https://a", "https://b"]
        world.request()
        assert len(world.opened) == 4
        assert world.opened[0].headers[HEADER] == world.opened[3].headers[HEADER]

    with_world(test)


@pytest.mark.parametrize(("later_s", "fetched"), [(LIFE_S - 301, 1), (LIFE_S - 300, 2), (LIFE_S + 1, 2)])
def test_a_token_is_renewed_before_it_ends(later_s: int, fetched: int) -> None:
    async def test(world: World) -> None:
        world.may_answer.set()
        world.request()
        await world.until_opened(1)
        world.clock.seconds += later_s
        world.request()
        await world.until_opened(2)
        assert (len(world.asked), world.opened[1].headers[HEADER]) == (fetched, f"Bearer token-{fetched}")

    with_world(test)


@pytest.mark.parametrize("error", [TokenRefused("no credentials"), KeyError("no credentials")])
def test_without_a_token_the_request_fails_and_the_next_one_asks_again(error: Exception) -> None:
    async def test(world: World) -> None:
        world.error = error
        world.may_answer.set()
        receiver = Failures()
        world.request(receiver=receiver)
        while not receiver.failures:
            await asyncio.sleep(0.001)
        assert receiver.failures[0].kind is FailureKind.CONNECT
        assert "https://a" in receiver.failures[0].message
        assert "no credentials" in receiver.failures[0].message
        world.error = None
        world.request()
        await world.until_opened(1)

    with_world(test)


def test_a_request_that_was_given_up_is_never_opened_and_closing_fails_the_others() -> None:
    async def test(world: World) -> None:
        given_up, left = Failures(), Failures()
        world.request(receiver=given_up).abort()
        world.request(receiver=left)
        world.may_answer.set()
        await world.client.close()
        assert (world.opened, given_up.failures) == ([], [])
        assert [failure.kind for failure in left.failures] == [FailureKind.RESET]

    with_world(test)
