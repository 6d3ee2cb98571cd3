"""TypeScript SDKs of protocol versions 1 (1.0.1) and 2 (1.4.0), in three ways of waiting: on an open stream, suspended when nothing has
happened for a moment, and suspended at every await.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.conftest import Services
from tests.e2e.endpoint import NODE, Endpoint
from tests.e2e.processes import REPOSITORY, eventually
from tests.e2e.suite import Suite

ROOM = REPOSITORY / "tests/e2e/node-old"
NAMES = ("Greeter", "Counter", "Steps", "Chain", "Holder", "Signup")
VERSIONS = {"1.0.1": 1, "1.4.0": 2}
TIMEOUTS = {"Stays": "10m", "Dozes": "100ms", "Suspends": "0s"}
CASES = [(sdk, mode) for sdk in VERSIONS for mode in TIMEOUTS]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]}-{case[1].lower()}")
def old(request: pytest.FixtureRequest, suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """The services on one old SDK, in one way of waiting."""
    yield from serve(suite, *request.param, tmp_path_factory.mktemp("node-old"))


def serve(suite: Suite, sdk: str, mode: str, directory: Path) -> Iterator[Services]:
    if suite.peer:
        pytest.skip("the real server refuses protocol versions below 5")
    if not (ROOM / f"node_modules/sdk-{sdk}").exists() or not NODE.exists():
        pytest.skip(f"@restatedev/restate-sdk {sdk} is not installed in tests/e2e/node-old, or node is not in tests/e2e/node")
    version = VERSIONS[sdk]
    prefix = f"Old{version}{mode}"
    endpoint = Endpoint(str(ROOM / "app.mjs"), directory, prefix=prefix, env={"SDK": f"sdk-{sdk}"})
    try:
        endpoint.start()
        assert suite.register(endpoint.url)["max_protocol_version"] == version
        for name in NAMES:
            answer = suite.http.patch(f"{suite.admin_url}/services/{prefix}{name}", json={"inactivity_timeout": TIMEOUTS[mode]})
            assert answer.status_code == 200, answer.text
        yield Services(suite, endpoint, prefix)
    finally:
        endpoint.stop()


def await_id(old: Services, tag: str, *, is_awaited: bool = True) -> str:
    """Wait for the id of an awakeable that a handler has told, and until the handler awaits it."""

    def find() -> str | None:
        return next((what for what in old.endpoint.effects(tag) if what.startswith("prom_1")), None)

    found = eventually(find, f"awakeable of {tag}") or ""
    if is_awaited:
        old.endpoint.wait_for_effect(f"{tag}-attempts", "waiting")
    return found


def cancel(old: Services, invocation_id: str) -> None:
    answer = old.suite.http.patch(f"{old.suite.admin_url}/invocations/{invocation_id}/cancel")
    assert answer.status_code in (200, 202), answer.text


def test_it_greets(old: Services) -> None:
    assert old.suite.result(old.path("Greeter", "greet"), "Ada") == "Hello Ada"


def test_it_counts_each_of_many_concurrent_calls(old: Services, tag: str) -> None:
    add = old.path("Counter", tag, "add")
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda amount: old.suite.result(add, amount), [1] * 16))
    assert sorted(results) == list(range(1, 17))
    assert old.suite.result(old.path("Counter", tag, "get")) == 16


def test_it_lists_and_clears_state(old: Services, tag: str) -> None:
    suite = old.suite
    suite.result(old.path("Counter", tag, "add"), 5)
    assert suite.result(old.path("Counter", tag, "keys")) == ["value"]
    suite.call(old.path("Counter", tag, "clear"))
    assert suite.result(old.path("Counter", tag, "add"), 1) == 1
    suite.call(old.path("Counter", tag, "clear_all"))
    assert suite.result(old.path("Counter", tag, "keys")) == []


def test_its_steps_run_once_and_in_order(old: Services, tag: str) -> None:
    assert old.suite.result(old.path("Steps", "run"), {"tag": tag, "count": 4}) == [0, 1, 4, 9]
    assert old.endpoint.effects(tag) == [*(f"step-{number}" for number in range(4)), "nothing returned"]


def test_it_sleeps(old: Services, tag: str) -> None:
    assert old.suite.result(old.path("Steps", "nap"), {"tag": tag, "ms": 300}) == "rested"
    assert (len(old.endpoint.effects(tag)) > 1) == (not old.prefix.endswith("Stays"))


def test_its_services_call_each_other(old: Services) -> None:
    assert old.suite.result(old.path("Chain", "greet"), "Bo") == "Hello Bo"


@pytest.mark.parametrize("delay", [0, 200])
def test_it_sends_now_and_later(old: Services, tag: str, delay: int) -> None:
    old.suite.call(old.path("Chain", "send"), {"key": tag, "delay": delay})
    eventually(lambda: old.suite.result(old.path("Counter", tag, "get")) == 1, "the counter is increased")


@pytest.mark.parametrize(("path", "code", "message"), [("fail", 418, "it cannot be done"), ("fail_in_step", 419, "not this step")])
def test_its_terminal_failures_reach_the_caller(old: Services, path: str, code: int, message: str) -> None:
    response = old.suite.call(old.path("Steps", path))
    assert (response.status_code, response.json()["message"]) == (code, message)


def test_its_terminal_failures_reach_a_calling_handler(old: Services) -> None:
    assert old.suite.call(old.path("Chain", "failing")).status_code == 418


def test_it_is_tried_again_after_other_failures(old: Services, tag: str) -> None:
    assert old.suite.result(old.path("Steps", "stumble"), tag) == 3


def test_its_awakeable_is_resolved_over_http(old: Services, tag: str) -> None:
    invocation_id = old.suite.send(old.path("Holder", "hold"), tag)
    assert old.suite.call(f"/restate/awakeables/{await_id(old, tag)}/resolve", {"a": 1}).status_code == 202
    assert old.suite.attach(invocation_id).json() == {"a": 1}


def test_its_awakeable_is_rejected_over_http(old: Services, tag: str) -> None:
    invocation_id = old.suite.send(old.path("Holder", "hold"), tag)
    old.suite.call(f"/restate/awakeables/{await_id(old, tag)}/reject", b"no", headers={"content-type": "text/plain"})
    response = old.suite.attach(invocation_id)
    assert (response.status_code, response.json()["message"]) == (500, "no")


def test_its_awakeable_is_resolved_by_another_handler(old: Services, tag: str) -> None:
    invocation_id = old.suite.send(old.path("Holder", "hold"), tag)
    old.suite.call(old.path("Holder", "resolve"), {"id": await_id(old, tag), "value": "from a handler"})
    assert old.suite.attach(invocation_id).json() == "from a handler"


def test_it_goes_on_with_the_first_of_several(old: Services, tag: str) -> None:
    invocation_id = old.suite.send(old.path("Holder", "race"), {"tag": tag, "ms": 600_000})
    old.suite.call(f"/restate/awakeables/{await_id(old, tag, is_awaited=False)}/resolve", "second")
    assert old.suite.attach(invocation_id).json() == "second"
    assert old.suite.result(old.path("Holder", "race"), {"tag": f"{tag}-late", "ms": 100}) == "late"


def test_it_waits_for_all_of_several(old: Services) -> None:
    assert old.suite.result(old.path("Holder", "all")) == ["Hello A", "Hello B"]


def test_its_workflow_waits_for_a_promise(old: Services, tag: str) -> None:
    invocation_id = old.suite.send(old.path("Signup", tag, "run"), "Ada")
    assert old.suite.result(old.path("Signup", tag, "peek")) == "nobody yet"
    old.suite.call(old.path("Signup", tag, "approve"), "Bo")
    assert old.suite.attach(invocation_id).json() == "Ada: Bo"
    assert old.suite.result(old.path("Signup", tag, "peek")) == "Bo"


def test_a_cancellation_interrupts_what_it_awaits(old: Services, tag: str) -> None:
    invocation_id = old.suite.send(old.path("Holder", "survive"), tag)
    await_id(old, tag)
    cancel(old, invocation_id)
    assert old.suite.attach(invocation_id).json() == 409
    assert old.endpoint.effects(tag)[-1] == "compensated"


def test_a_cancellation_reaches_the_callee(old: Services, tag: str) -> None:
    invocation_id = old.suite.send(old.path("Chain", "nap"), {"tag": tag, "ms": 600_000})
    old.endpoint.wait_for_effect(tag, "begin")
    cancel(old, invocation_id)
    assert old.suite.attach(invocation_id).status_code == 409
    old.endpoint.wait_for_effect(tag, "woken by 409")
    assert "caught 409" in old.endpoint.effects(tag)


@pytest.mark.parametrize("sdk", VERSIONS)
def test_no_step_of_it_runs_twice_when_the_invoker_is_killed(own_suite: Suite, tmp_path: Path, tag: str, sdk: str) -> None:
    for old in serve(own_suite, sdk, "Stays", tmp_path):
        invocation_id = own_suite.send(old.path("Holder", "hold_with_steps"), tag)
        awakeable = await_id(old, tag)
        killed = own_suite.kill("invoker")
        eventually(lambda: {each.pid for each in own_suite.processes("invoker")} - set(killed), "another invoker runs")  # noqa: B023
        own_suite.call(f"/restate/awakeables/{awakeable}/resolve", "done")
        assert own_suite.attach(invocation_id).json() == "done"
        assert old.endpoint.effects(tag) == [*(f"step-{number}" for number in range(5)), awakeable]
        assert len(old.endpoint.effects(f"{tag}-attempts")) > 1
