"""New revisions of protobuf services: what a deployment at another address may change, and who runs where."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.endpoint import Endpoint
from tests.e2e.processes import eventually
from tests.e2e.seed import Seed, serving
from tests.e2e.suite import Suite

Serve = Callable[[str], Seed]


@pytest.fixture
def serve(suite: Suite, tmp_path: Path, tag: str) -> Iterator[Serve]:
    """Serve editions of the same services, each at an address of its own; the first one is registered."""
    with ExitStack() as stack:

        def start(edition: str) -> Seed:
            directory = tmp_path / f"edition{edition}"
            directory.mkdir()
            return stack.enter_context(serving(suite, directory, f"V{tag}", edition=edition))

        yield start


def register(seed: Seed, **options: Any) -> httpx.Response:
    return seed.suite.http.post(f"{seed.suite.admin_url}/deployments", json={"uri": seed.endpoint.url, **options})


def revisions(response: httpx.Response) -> set[int]:
    assert response.status_code == 201, response.text
    return {service["revision"] for service in response.json()["services"]}


def refusal(response: httpx.Response) -> str:
    answer = response.json()
    assert (response.status_code, answer["restate_code"]) == (409, "META0006")
    assert answer["message"].startswith("[META0006] ")
    return answer["message"]


def test_the_same_address_is_refused_unless_forced(serve: Serve) -> None:
    first = serve("")
    assert revisions(register(first)) == {1}
    again = register(first, force=False)
    assert (again.status_code, again.json()["restate_code"]) == (409, "META0004")
    assert "force" in again.json()["message"]
    assert revisions(register(first, force=True)) == {2}
    assert first.rpc("Plain/hello", "Ada") == "Hello Ada"


def test_a_new_address_gives_a_new_revision_and_what_runs_stays_on_its_own(serve: Serve, tag: str) -> None:
    first = serve("")
    register(first)
    with ThreadPoolExecutor() as pool:
        holding = pool.submit(first.rpc, "Plain/hold", tag)
        awakeable = first.awakeable(tag)
        second = serve("2")
        assert revisions(register(second)) == {2}
        assert second.rpc("Plain/hello", "Ada") == "Hello Ada2"
        assert second.result("shop.Cart/Drop", {"id": tag}) == {"value": "0"}
        first.endpoint.kill()
        first.endpoint.start()
        first.resolve(awakeable, "done")
        assert holding.result() == "done"
    assert awakeable in first.endpoint.effects(tag)
    assert second.endpoint.effects(tag) == []


@pytest.mark.parametrize(
    ("edition", "named"),
    [("removed", "Order"), ("rekeyed", "from field 3, the active one from field 1"), ("retyped", "Board")],
)
def test_an_incompatible_revision_is_refused_until_it_is_forced(serve: Serve, edition: str, named: str) -> None:
    register(serve(""))
    broken = serve(edition)
    message = refusal(register(broken, force=False))
    assert named in message
    assert "force" in message
    assert revisions(register(broken, force=True)) == {2}


def test_a_service_of_today_takes_over_only_when_it_is_forced(serve: Serve, tmp_path: Path, tag: str) -> None:
    first = serve("")
    register(first)
    suite, path = first.suite, f"/{first.prefix}.Counter/{tag}/add"
    first.rpc("Counter/add", 5, key=tag)
    today = Endpoint("tests.e2e.bridge_services:app", tmp_path, prefix=f"{first.prefix}.")
    replacing = first._replace(endpoint=today)
    with ThreadPoolExecutor() as pool:
        holding = pool.submit(first.rpc, "Counter/hold", key=f"{tag}-held")
        awakeable = first.awakeable(f"{tag}-held")
        today.start()
        try:
            message = refusal(register(replacing, force=False))
            assert f"{first.prefix}.Counter" in message
            assert "force" in message
            assert first.rpc("Counter/add", 1, key=tag) == 6
            taken = register(replacing, force=True)
            assert {service["name"]: service["revision"] for service in taken.json()["services"]}[f"{first.prefix}.Counter"] == 2
            taken_over = eventually(lambda: (answer := suite.call(path, 1)).is_success and answer, "the ingress knows of it")
            assert isinstance(taken_over, httpx.Response)
            assert taken_over.json() == 7
            first.resolve(awakeable, "done")
            assert holding.result() == "done"
            assert refusal(register(serve("2"), force=False))
        finally:
            today.stop()
