"""Services of the seed era on SDK 0.8.1, in two ways of waiting: on an open stream, and suspended at every await.

Routers, protobuf services and a workflow: what they do is done once, whatever comes between.
"""

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from perdure.codec.descriptors.pool import Descriptors
from perdure.codec.rpc.restate_services import AWAKEABLES, FILE, INGRESS
from tests.e2e.processes import eventually
from tests.e2e.seed import Seed, serving
from tests.e2e.suite import Suite

SERVICES = ("Plain", "Counter", "Signup", "Signup_state", "shop.Cart", "shop.Board", "shop.Desk")
TIMEOUTS = {"Stays": "10m", "Suspends": "0s"}
BUILT_IN = Descriptors(FileDescriptorSet(file=[FILE]).SerializeToString())


@pytest.fixture(scope="module", params=TIMEOUTS, ids=str.lower)
def seed(request: pytest.FixtureRequest, suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seed]:
    """The services, registered, in one way of waiting."""
    prefix = f"Seed{request.param}"
    with serving(suite, tmp_path_factory.mktemp("seed"), prefix) as seed:
        suite.register(seed.endpoint.url)
        for name in SERVICES:
            url = f"{suite.admin_url}/services/{prefix}.{name}"
            assert suite.http.patch(url, json={"inactivity_timeout": TIMEOUTS[request.param]}).status_code == 200
        yield seed


def message(name: str, **fields: Any) -> str:
    """Return a message to a service of the server itself, as `callEncoded` takes it."""
    return base64.b64encode(BUILT_IN.message_class(f"dev.restate.{name}")(**fields).SerializeToString()).decode()


def test_a_router_returns_what_its_handler_does(seed: Seed) -> None:
    assert seed.rpc("Plain/hello", "Ada") == "Hello Ada"
    assert seed.result("Plain/nothing", {}) == {}


def test_it_counts_each_of_many_concurrent_calls(seed: Seed, tag: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda amount: seed.rpc("Counter/add", amount, key=tag), [1] * 16))
    assert sorted(results) == list(range(1, 17))
    assert seed.rpc("Counter/get", key=tag) == 16


def test_it_lists_and_clears_state(seed: Seed, tag: str) -> None:
    seed.rpc("Counter/add", 5, key=tag)
    assert seed.rpc("Counter/keys", key=tag) == ["value"]
    seed.rpc("Counter/clear", key=tag)
    assert seed.rpc("Counter/add", 1, key=tag) == 1
    seed.rpc("Counter/clearAll", key=tag)
    assert seed.rpc("Counter/keys", key=tag) == []


def test_a_busy_key_holds_up_no_other(seed: Seed, tag: str) -> None:
    with ThreadPoolExecutor() as pool:
        holding = pool.submit(seed.rpc, "Counter/hold", key=tag)
        awakeable = seed.awakeable(tag)
        waiting = pool.submit(seed.rpc, "Counter/add", 1, key=tag)
        assert seed.rpc("Counter/add", 1, key=f"{tag}-other") == 1
        assert not waiting.done()
        seed.resolve(awakeable, "go on")
        assert (holding.result(), waiting.result()) == ("go on", 1)


def test_a_call_without_the_key_is_refused_by_the_sdk(seed: Seed) -> None:
    response = seed.post("Counter/add", {"request": 1})
    assert (response.status_code, response.json()["code"]) == (500, "internal")


def test_an_event_handler_gets_key_and_payload(seed: Seed, tag: str) -> None:
    assert seed.result("Counter/happened", {"key": tag, "payload": base64.b64encode(b'{"a":1}').decode()}) == {}
    assert seed.rpc("Counter/lastEvent", key=tag) == {"a": 1}


def test_its_steps_run_once_and_in_order(seed: Seed, tag: str) -> None:
    assert seed.rpc("Plain/run", {"tag": tag, "count": 4}) == [0, 1, 4, 9]
    assert seed.endpoint.effects(tag) == [*(f"step-{number}" for number in range(4)), "nothing returned"]


def test_it_sleeps(seed: Seed, tag: str) -> None:
    assert seed.rpc("Plain/nap", {"tag": tag, "ms": 100}) == "rested"
    assert (len(seed.endpoint.effects(tag)) > 1) == (not seed.prefix.endswith("Stays"))


def test_its_random_numbers_are_the_same_in_every_attempt(seed: Seed, tag: str) -> None:
    assert {seed.rpc("Plain/random", tag)} == set(seed.endpoint.effects(tag))


def test_its_services_call_each_other(seed: Seed) -> None:
    assert seed.rpc("Plain/greetOther", "Bo") == "Hello Bo"


@pytest.mark.parametrize("delay", [0, 100])
def test_it_sends_now_and_later(seed: Seed, tag: str, delay: int) -> None:
    seed.rpc("Plain/send", {"key": tag, "delay": delay})
    eventually(lambda: seed.rpc("Counter/get", key=tag) == 1, "the counter is increased")


@pytest.mark.parametrize(("code", "status", "name"), [(3, 400, "invalid_argument"), (5, 404, "not_found"), (13, 500, "internal")])
@pytest.mark.parametrize("method", ["Plain/fail", "Plain/failingCall"])
def test_its_terminal_failures_reach_the_caller(seed: Seed, method: str, code: int, status: int, name: str) -> None:
    response = seed.post(method, {"request": code})
    assert (response.status_code, response.json()) == (status, {"code": name, "message": "it cannot be done"})


def test_a_failing_step_fails_with_its_code(seed: Seed) -> None:
    response = seed.post("Plain/failInStep", {})
    assert (response.status_code, response.json()["code"]) == (412, "failed_precondition")


@pytest.mark.parametrize("code", [6, 10, 13, 15])
def test_a_handler_sees_the_code_that_another_failed_with(seed: Seed, code: int) -> None:
    assert seed.rpc("Plain/caughtCode", code) == code


@pytest.mark.parametrize("method", ["stumble", "stumbleInStep"])
def test_it_is_tried_again_after_other_failures(seed: Seed, tag: str, method: str) -> None:
    assert seed.rpc(f"Plain/{method}", tag) == 3


def test_its_awakeable_is_resolved_through_the_ingress(seed: Seed, tag: str) -> None:
    with ThreadPoolExecutor() as pool:
        holding = pool.submit(seed.rpc, "Plain/hold", tag)
        seed.resolve(seed.awakeable(tag), {"a": [1, "two"]})
        assert holding.result() == {"a": [1, "two"]}


def test_its_awakeable_is_rejected_through_the_ingress(seed: Seed, tag: str) -> None:
    with ThreadPoolExecutor() as pool:
        holding = pool.submit(seed.post, "Plain/hold", {"request": tag})
        seed.suite.result("/dev.restate.Awakeables/Reject", {"id": seed.awakeable(tag), "reason": "no"})
        assert (holding.result().status_code, holding.result().json()) == (500, {"code": "unknown", "message": "no"})


def test_its_awakeable_is_resolved_and_rejected_by_other_handlers(seed: Seed, tag: str) -> None:
    with ThreadPoolExecutor() as pool:
        holding = pool.submit(seed.rpc, "Plain/hold", tag)
        seed.rpc("Plain/resolve", {"id": seed.awakeable(tag), "value": "from a handler"})
        assert holding.result() == "from a handler"
        surviving = pool.submit(seed.rpc, "Plain/survive", f"{tag}-other")
        seed.rpc("Plain/reject", {"id": seed.awakeable(f"{tag}-other"), "reason": "no"})
        assert surviving.result() == 2


def test_it_calls_the_services_of_the_server_itself(seed: Seed, tag: str) -> None:
    started = message("InvokeRequest", service=f"{seed.prefix}.Plain", method="hold", json={"request": tag})
    answer = seed.rpc("Plain/callEncoded", {"service": INGRESS, "method": "Invoke", "message": started})
    invocation_id = base64.b64decode(answer)[2:].decode()
    resolved = message("ResolveAwakeableRequest", id=seed.awakeable(tag), json_result={"string_value": "from a message"})
    assert seed.rpc("Plain/callEncoded", {"service": AWAKEABLES, "method": "Resolve", "message": resolved}) == ""
    assert b"from a message" in seed.suite.attach(invocation_id).content
    malformed = message("RejectAwakeableRequest", id="prom_1x", reason="no")
    refused = seed.post("Plain/callEncoded", {"request": {"service": AWAKEABLES, "method": "Reject", "message": malformed}})
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_argument")


def test_it_starts_invocations_later_through_the_server_itself(seed: Seed, tag: str) -> None:
    started = message("InvokeRequest", service=f"{seed.prefix}.Counter", method="add", json={"key": tag, "request": 3})
    seed.rpc("Plain/sendEncoded", {"service": INGRESS, "method": "Invoke", "message": started, "delay": 50})
    eventually(lambda: seed.rpc("Counter/get", key=tag) == 3, "the counter is increased")


def test_it_goes_on_with_the_first_of_several_or_with_all(seed: Seed, tag: str) -> None:
    with ThreadPoolExecutor() as pool:
        racing = pool.submit(seed.rpc, "Plain/race", {"tag": tag, "ms": 600_000})
        seed.resolve(seed.awakeable(tag), "first")
        assert racing.result() == "first"
        assert seed.rpc("Plain/race", {"tag": f"{tag}-late", "ms": 50}) == "late"
        both = pool.submit(seed.rpc, "Plain/both", f"{tag}-both")
        seed.endpoint.wait_for_effect_count(f"{tag}-both", 2)
        for value, awakeable in enumerate(seed.endpoint.effects(f"{tag}-both")):
            seed.resolve(awakeable, value)
        assert both.result() == [0, 1]


def test_it_awaits_one_thing_after_the_other(seed: Seed, tag: str) -> None:
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(seed.rpc, "Plain/twice", tag)
        seed.resolve(seed.awakeable(tag), "first")
        seed.resolve(seed.awakeable(f"{tag}-second"), "second")
        assert waiting.result() == ["first", "second"]
    assert len(seed.endpoint.effects(tag)) == len(seed.endpoint.effects(f"{tag}-second")) == 1


def test_an_await_with_a_timeout_ends_with_it(seed: Seed) -> None:
    response = seed.post("Plain/inTime", {"request": 30})
    assert (response.status_code, response.json()["code"]) == (408, "deadline_exceeded")


def test_a_cancellation_interrupts_what_it_awaits(seed: Seed, tag: str) -> None:
    invocation_id = seed.send("Plain/survive", tag)
    seed.endpoint.wait_for_effect(f"{tag}-attempts", "waiting")
    seed.end(invocation_id, "cancel")
    seed.endpoint.wait_for_effect(tag, "compensated")


def test_a_cancellation_reaches_the_callee_whose_failure_comes_back(seed: Seed, tag: str) -> None:
    invocation_id = seed.send("Plain/napThroughOther", {"tag": tag, "ms": 600_000})
    seed.wait_for_sleep_of_callee(invocation_id)
    seed.end(invocation_id, "cancel")
    seed.endpoint.wait_for_effect(tag, "caught 1")
    assert "woken by 1" in seed.endpoint.effects(tag)


def test_a_killed_callee_is_aborted_for_its_caller_and_frees_its_key(seed: Seed, tag: str) -> None:
    invocation_id = seed.send("Counter/hold", None, key=tag)
    seed.awakeable(tag)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(seed.rpc, "Counter/add", 1, key=tag)
        seed.end(invocation_id, "kill")
        assert waiting.result() == 1


def test_a_protobuf_service_takes_and_returns_its_messages(seed: Seed, tag: str) -> None:
    assert seed.result("shop.Cart/Add", {"id": tag, "amount": 5}) == {"value": "5"}
    assert seed.result("shop.Desk/AddTwice", {"id": tag, "amount": 3}) == {"value": "11"}
    assert seed.result("shop.Desk/AddLater", {"id": tag, "amount": 1}) == {"text": "sent"}
    order = {"cart_id": tag, "number": "12345678901"}
    wanted = {"text": f"order 12345678901 of {tag}: 12"}
    eventually(lambda: seed.result("shop.Cart/Order", order) == wanted, "the delayed call is done")


def test_a_singleton_has_one_state_and_takes_turns(seed: Seed) -> None:
    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(lambda text: seed.result("shop.Board/Post", {"text": text})["value"], "abcd"))
    assert sorted(counts) == ["1", "2", "3", "4"]


def test_a_workflow_runs_once_and_waits_for_its_promise(seed: Seed, tag: str) -> None:
    request = {"workflowId": tag, "name": "Ada"}
    assert seed.rpc("Signup/submit", request) == "STARTED"
    assert seed.rpc("Signup/submit", request) == "ALREADY_STARTED"
    seed.endpoint.wait_for_effect(tag, "ran")
    assert seed.rpc("Signup/status", {"workflowId": tag}) == "RUNNING"
    seed.rpc("Signup/approve", {"workflowId": tag, "by": "Bo"})
    assert seed.rpc("Signup/waitForResult", {"workflowId": tag}) == "Ada: Bo"
    assert seed.rpc("Signup/status", {"workflowId": tag}) == "FINISHED"
    assert seed.endpoint.effects(tag) == ["ran"]


def test_no_step_of_it_runs_twice_when_the_invoker_is_killed(own_suite: Suite, tmp_path: Path, tag: str) -> None:
    with serving(own_suite, tmp_path, "SeedKilled") as seed, ThreadPoolExecutor() as pool:
        own_suite.register(seed.endpoint.url)
        holding = pool.submit(seed.rpc, "Plain/hold", tag)
        awakeable = seed.awakeable(tag)
        seed.endpoint.wait_for_effect(f"{tag}-attempts", "waiting")  # the last step is durable
        killed = own_suite.kill("invoker")
        eventually(lambda: {each.pid for each in own_suite.processes("invoker")} - set(killed), "another invoker runs")
        seed.resolve(awakeable, "done")
        assert holding.result() == "done"
        assert seed.endpoint.effects(tag) == [*(f"step-{number}" for number in range(5)), awakeable]
        assert len(seed.endpoint.effects(f"{tag}-attempts")) > 1


def test_no_step_of_it_runs_twice_when_its_own_process_is_killed(seed: Seed, tag: str) -> None:
    with ThreadPoolExecutor() as pool:
        holding = pool.submit(seed.rpc, "Plain/hold", tag)
        awakeable = seed.awakeable(tag)
        seed.endpoint.wait_for_effect(f"{tag}-attempts", "waiting")  # the last step is durable
        seed.endpoint.kill()
        seed.endpoint.start()
        seed.resolve(awakeable, "done")
        assert holding.result() == "done"
    assert seed.endpoint.effects(tag) == [*(f"step-{number}" for number in range(5)), awakeable]
