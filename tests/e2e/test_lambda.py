"""Handlers in Lambda functions, through the whole server: an SDK's real Lambda handler behind a local AWS, which wants signed requests."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import restate

from tests.contract.deployments.aws import ARN, OWN_KEY, OWN_SECRET, REGION, ROLE, ROLE_KEY, Aws, Function, sdk_function
from tests.contract.deployments.support import hypercorn_server
from tests.contract.deployments.test_identity import KEY, KEY_ID
from tests.e2e.seed import serving
from tests.e2e.suite import Suite


def an_app() -> Any:
    counter = restate.VirtualObject("Counter")

    @counter.handler()
    async def add(ctx: restate.ObjectContext, amount: int) -> int:
        total = (await ctx.get("total", type_hint=int) or 0) + amount
        ctx.set("total", total)
        return total

    @counter.handler()
    async def nap(ctx: restate.ObjectContext, amount: int) -> int:
        step = await ctx.run_typed("step", lambda: amount)
        await ctx.sleep(timedelta(milliseconds=50))
        return await ctx.object_call(add, "other", step)

    return restate.app([counter], identity_keys=[KEY_ID])


class AwsThread:
    """A local AWS with one function, in a thread with an event loop of its own."""

    def __init__(self) -> None:
        self.aws = Aws(self._call)
        self.port = 0
        self._function: Function | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._is_up = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def start(self) -> None:
        self._thread.start()
        assert self._is_up.wait(30)

    def stop(self) -> None:
        assert self._loop is not None
        assert self._stopping is not None
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def be(self, function: Function) -> None:
        """Let another function answer from now on."""
        self._function = function

    async def _serve(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        async with sdk_function(an_app) as self._function, hypercorn_server(self.aws) as self.port:
            self._is_up.set()
            await self._stopping.wait()

    async def _call(self, event: dict[str, Any]) -> Any:
        assert self._function is not None
        return await self._function(event)


class Place(NamedTuple):
    suite: Suite
    aws: Aws
    be: Callable[[Function], None]
    """Let another function answer from now on."""

    def register(self, **fields: Any) -> dict[str, Any]:
        answer = self.suite.http.post(f"{self.suite.admin_url}/deployments", json={"arn": ARN, **fields})
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    def paths(self) -> list[str]:
        return [call.event["path"] for call in self.aws.calls]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    key_file = tmp_path / "identity.pem"
    key_file.write_text(KEY)
    thread = AwsThread()
    with pytest.MonkeyPatch.context() as lambdas:
        lambdas.setenv("AWS_LAMBDA_FUNCTION_NAME", "greeter")  # the SDK's sign that it is to be a Lambda handler
        thread.start()
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    for name in ("AWS_ENDPOINT_URL_LAMBDA", "AWS_ENDPOINT_URL_STS"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{thread.port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", OWN_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", OWN_SECRET)
    monkeypatch.setenv("AWS_REGION", REGION)  # the real server needs it to assume a role
    monkeypatch.setenv("AWS_EXTERNAL_ID", "ours")
    suite = Suite(tmp_path / "data")
    prefix = "RESTATE" if suite.peer else "PERDURE"
    monkeypatch.setenv(f"{prefix}_REQUEST_IDENTITY_PRIVATE_KEY_PEM_FILE", str(key_file))
    try:
        suite.start()
        yield Place(suite, thread.aws, thread.be)
    finally:
        suite.close()
        thread.stop()


def test_a_handler_in_a_function_keeps_state_suspends_and_is_called_again(place: Place) -> None:
    registered = place.register()
    assert [service["name"] for service in registered["services"]] == ["Counter"]
    assert place.suite.result("/Counter/a/add", 2) == 2
    assert place.suite.result("/Counter/a/add", 3) == 5
    assert place.suite.result("/Counter/b/nap", 7) == 7
    assert place.paths()[:3] == ["/discover", "/invoke/Counter/add", "/invoke/Counter/add"]
    assert place.paths()[3:].count("/invoke/Counter/nap") >= 3
    shown = place.suite.http.get(f"{place.suite.admin_url}/deployments/{registered['id']}").json()
    assert shown["arn"] == ARN
    assert shown["sdk_version"].startswith("restate-sdk-python/")


def test_a_function_is_called_in_the_role_of_its_deployment(place: Place) -> None:
    place.register(assume_role_arn=ROLE)
    assert place.suite.result("/Counter/a/add", 2) == 2
    assert {call.key for call in place.aws.calls} == {ROLE_KEY}
    assert {form["ExternalId"] for form in place.aws.assumptions} == {"ours"}


def test_an_arn_without_a_version_is_refused(place: Place) -> None:
    answer = place.suite.http.post(f"{place.suite.admin_url}/deployments", json={"arn": ARN.removesuffix(":7")})
    assert answer.status_code == 400
    assert "arn" in answer.text
    assert place.aws.calls == []


def test_a_function_of_the_seed_era_keeps_state_suspends_and_is_called_again(place: Place, tmp_path: Path) -> None:
    with serving(place.suite, tmp_path, "Fn", as_function=True) as seed:

        async def function(event: dict[str, Any]) -> bytes:
            async with httpx.AsyncClient() as client:
                return (await client.post(seed.endpoint.url, json=event)).content

        place.be(function)
        registered = place.register()
        assert "Fn.Counter" in [service["name"] for service in registered["services"]]
        assert [seed.rpc("Counter/add", 2, key="a") for _ in range(2)] == [2, 4]
        assert seed.rpc("Plain/run", {"tag": "steps", "count": 2}) == [0, 1]
        assert seed.endpoint.effects("steps") == ["step-0", "step-1", "nothing returned"]
        assert seed.rpc("Plain/greetOther", "Bo") == "Hello Bo"
        assert place.paths().count("/invoke/Fn.Plain/run") > 1
