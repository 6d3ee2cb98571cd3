"""Journaled steps, sleeps and one-way calls that outlive the processes that run them."""

import pytest

from tests.e2e.conftest import Services
from tests.e2e.endpoint import Endpoint
from tests.e2e.suite import Suite


def test_each_step_runs_once_and_in_order(services: Services, tag: str) -> None:
    result = services.suite.result(services.path("Steps", "run"), {"tag": tag, "count": 5})
    assert result == [0, 1, 4, 9, 16]
    assert services.endpoint.effects(tag) == [f"step-{number}" for number in range(5)]


@pytest.mark.parametrize("size", [0, 1, 100_000, 3_000_000])
def test_a_steps_result_may_have_any_size(services: Services, size: int) -> None:
    assert services.suite.result(services.path("Steps", "echo_bytes"), size) == size


def test_a_sleep_lasts_and_the_steps_around_it_run_once(services: Services, tag: str) -> None:
    assert services.suite.result(services.path("Sleeper", "nap"), {"tag": tag, "ms": 50}) == "rested"
    assert services.endpoint.effects(tag) == ["before", "after"]


def test_a_sleep_outlives_a_restart_of_everything(own_suite: Suite, endpoint: Endpoint, tag: str) -> None:
    own_suite.register(endpoint.url)
    invocation_id = own_suite.send("/Sleeper/nap", {"tag": tag, "ms": 3_000})
    endpoint.wait_for_effect(f"{tag}-attempts", "asleep")
    own_suite.restart()
    assert own_suite.attach(invocation_id).json() == "rested"
    assert endpoint.effects(tag) == ["before", "after"]


def test_state_and_registrations_outlive_a_kill_of_everything(own_suite: Suite, endpoint: Endpoint, tag: str) -> None:
    own_suite.register(endpoint.url)
    assert own_suite.result(f"/Counter/{tag}/add", 3) == 3
    own_suite.kill_everything()
    own_suite.start()
    assert own_suite.result(f"/Counter/{tag}/add", 4) == 7


def test_a_delayed_call_that_comes_due_while_nothing_runs_is_made_at_the_start(own_suite: Suite, endpoint: Endpoint, tag: str) -> None:
    own_suite.register(endpoint.url)
    invocation_id = own_suite.send(f"/Counter/{tag}/add?delay=500ms", 1)
    own_suite.kill_everything()
    own_suite.start()
    assert own_suite.attach(invocation_id).json() == 1
