"""Processes that come and go under load, one by one: no caller notices."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.endpoint import Endpoint
from tests.e2e.fleet import Fleet, running
from tests.e2e.processes import eventually
from tests.e2e.steady_load import SteadyLoad

pytestmark = pytest.mark.timeout(300)
CALLS_BETWEEN = 200


@pytest.fixture
def fleet(tmp_path: Path, endpoint: Endpoint) -> Iterator[Fleet]:
    for fleet in running(tmp_path / "fleet", nodectl=1, admin=1, invoker=2, ingress=2):
        fleet.register(endpoint.url)
        yield fleet


def is_even(fleet: Fleet, invokers: int) -> bool:
    partitions = fleet.partitions_by_invoker().values()
    return len(partitions) == invokers and sum(partitions) == 24 and max(partitions) - min(partitions) <= 1


def test_a_rolling_restart_of_every_process_fails_no_call(fleet: Fleet, tag: str) -> None:
    with SteadyLoad(fleet, tag) as load:
        for role in ("ingress", "invoker", "admin", "nodectl"):
            for member in list(fleet.members[role]):
                fleet.replace(member)
                load.wait_for_more(CALLS_BETWEEN)
    assert load.failures == []


def test_scaling_up_and_down_fails_no_call_and_spreads_the_partitions(fleet: Fleet, tag: str) -> None:
    with SteadyLoad(fleet, tag) as load:
        fleet.start("invoker")
        eventually(lambda: is_even(fleet, 3), "three invokers share the partitions")
        load.wait_for_more(CALLS_BETWEEN)
        fleet.start("ingress")
        load.wait_for_more(CALLS_BETWEEN)
        for _ in range(2):
            fleet.stop(fleet.members["invoker"][0])
            load.wait_for_more(CALLS_BETWEEN)
        eventually(lambda: is_even(fleet, 1), "the last invoker has all partitions")
        for _ in range(2):
            fleet.stop(fleet.members["ingress"][0])
            load.wait_for_more(CALLS_BETWEEN)
    assert load.failures == []
