"""Each process, and all of them, killed with signal 9 at random moments under load: nothing acknowledged is lost or done twice."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.endpoint import Endpoint
from tests.e2e.processes import eventually
from tests.e2e.suite import Suite
from tests.kill.load import CounterLoad

pytestmark = pytest.mark.timeout(600)
MOMENTS = 20
CALLS_BETWEEN_MAX = 100
IN_FLIGHT_MIN = 50


@pytest.fixture
def two_invokers(tmp_path: Path) -> Iterator[Suite]:
    """A server whose partitions are shared by two invokers."""
    suite = Suite(tmp_path / "data", invokers=2)
    try:
        suite.start()
        yield suite
    finally:
        suite.close()


def skip_on_the_real_server(suite: Suite) -> None:
    if suite.peer:
        pytest.skip("the real server is one process")


def kill_one(suite: Suite, role: str, rng: random.Random) -> None:
    """Kill a process of `role`: mostly one that serves, sometimes one that is still starting."""
    if rng.random() < 0.8:
        eventually(lambda: suite.is_serving(role), f"{role} serves")
    rng.choice(eventually(lambda: suite.processes(role), f"a process of {role} runs")).kill()


def kill_at_random_moments(load: CounterLoad, rng: random.Random, kill: Callable[[], None], *, moments: int = MOMENTS) -> None:
    """Call `kill` at `moments` moments, each some random number of completed calls after the one before."""
    for _ in range(moments):
        load.wait_for_more(rng.randrange(CALLS_BETWEEN_MAX))
        eventually(lambda: load.in_flight >= IN_FLIGHT_MIN, "calls are in flight")
        kill()
    load.wait_for_more(CALLS_BETWEEN_MAX)


@pytest.mark.parametrize("role", ["ingress", "invoker", "nats"])
def test_a_killed_role_loses_nothing(own_suite: Suite, endpoint: Endpoint, tag: str, seed: int, role: str) -> None:
    skip_on_the_real_server(own_suite)
    own_suite.register(endpoint.url)
    rng = random.Random(seed)
    with CounterLoad(own_suite, tag, seed=seed) as load:
        kill_at_random_moments(load, rng, lambda: kill_one(own_suite, role, rng))
    load.check()
    own_suite.check()


@pytest.mark.parametrize(("role", "moments"), [("admin", MOMENTS), ("sql", 5), ("nodectl", 5)])
def test_callers_do_not_notice_a_killed_role_beside_them(
    own_suite: Suite, endpoint: Endpoint, tag: str, seed: int, role: str, moments: int
) -> None:
    skip_on_the_real_server(own_suite)
    own_suite.register(endpoint.url)
    rng = random.Random(seed)
    with CounterLoad(own_suite, tag, seed=seed) as load:
        kill_at_random_moments(load, rng, lambda: kill_one(own_suite, role, rng), moments=moments)
    load.check()
    own_suite.check()
    assert load.errors == []


def test_a_killed_whole_loses_nothing(own_suite: Suite, endpoint: Endpoint, tag: str, seed: int) -> None:
    own_suite.register(endpoint.url)

    def kill_and_start() -> None:
        own_suite.kill_everything()
        own_suite.start()

    with CounterLoad(own_suite, tag, seed=seed) as load:
        kill_at_random_moments(load, random.Random(seed), kill_and_start)
    load.check()
    own_suite.check()


def test_one_of_two_invokers_killed_again_and_again_loses_nothing(two_invokers: Suite, endpoint: Endpoint, tag: str, seed: int) -> None:
    skip_on_the_real_server(two_invokers)
    two_invokers.register(endpoint.url)
    rng = random.Random(seed)
    with CounterLoad(two_invokers, tag, seed=seed) as load:
        assert len(two_invokers.processes("invoker")) == 2
        kill_at_random_moments(load, rng, lambda: kill_one(two_invokers, "invoker", rng))
    load.check()
    two_invokers.check()


def test_all_roles_killed_in_turn_lose_nothing(own_suite: Suite, endpoint: Endpoint, tag: str, seed: int) -> None:
    skip_on_the_real_server(own_suite)
    own_suite.register(endpoint.url)
    rng = random.Random(seed)
    with CounterLoad(own_suite, tag, seed=seed) as load:
        kill_at_random_moments(load, rng, lambda: kill_one(own_suite, rng.choice(["ingress", "invoker", "nats", "admin"]), rng))
    load.check()
    own_suite.check()


def test_no_step_that_was_journaled_runs_again(own_suite: Suite, endpoint: Endpoint, tag: str) -> None:
    skip_on_the_real_server(own_suite)
    own_suite.register(endpoint.url)
    tags = [f"{tag}-{number}" for number in range(20)]
    sleeping = [own_suite.send("/Sleeper/nap", {"tag": each, "ms": 1_000}) for each in tags]
    for each in tags:
        endpoint.wait_for_effect(f"{each}-attempts", "asleep")
    own_suite.kill("invoker")
    assert [own_suite.attach(invocation_id).json() for invocation_id in sleeping] == ["rested"] * len(tags)
    assert [endpoint.effects(each) for each in tags] == [["before", "after"]] * len(tags)
