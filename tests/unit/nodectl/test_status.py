"""What operators are told of the suite."""

from typing import Any

import pytest

from perdure.bus.messages import VERSION, Heartbeat
from perdure.model.lease import Lease
from perdure.model.suite_status import ClusterStatus
from services.nodectl.cluster import ClusterView
from services.nodectl.health import health_of
from services.nodectl.status import status_of


def a_heartbeat(role: str = "invoker", number: int = 1, **options: Any) -> Heartbeat:
    return Heartbeat(VERSION, role, f"{role}-{number}", "", "1.0", 1_000, **options)


def status(*heartbeats: Heartbeat, **options: Any) -> ClusterStatus:
    health = health_of(heartbeats, reasons=[], schema_version=1, cluster_name="c", started_at_ms=0, now_ms=3_000, is_stopping=False)
    owners = {number: each.process_id for each in heartbeats for number in each.partitions}
    fields = {"leases": {}, "placements": {}, "lags_ms": {}, "partitions": 2, **options}
    return status_of(ClusterView(health=health, heartbeats=heartbeats, owners=owners, started_at_ms=0, now_ms=3_000, **fields))


@pytest.mark.parametrize(
    ("options", "state"),
    [
        ({}, "ready"),
        ({"is_ready": False}, "not ready"),
        ({"is_ready": False, "is_draining": True, "partitions": [0]}, "draining"),
        ({"is_ready": False, "is_draining": True, "counters": {"open_attempts": 1.0}}, "draining"),
        ({"is_ready": False, "is_draining": True, "counters": {"open_attempts": 0.0, "invocations": 0.0}}, "drained"),
    ],
)
def test_the_state_tells_whether_a_process_may_be_stopped(options: dict[str, Any], state: str) -> None:
    assert [each.state for each in status(a_heartbeat(**options)).processes] == [state]


def test_calls_clients_and_attempts_under_way_are_counted() -> None:
    told = status(a_heartbeat("ingress", counters={"waiting": 3.0}), a_heartbeat("sql", counters={"sessions": 2.0}))
    assert [(each.role, each.open, each.age) for each in told.processes] == [("ingress", 3, "2s"), ("sql", 2, "2s")]


def test_partitions_tell_their_owner_epoch_and_lag() -> None:
    told = status(a_heartbeat(partitions=[1]), leases={1: Lease("invoker-1", 4)}, lags_ms={0: 7, 1: 0})
    assert [(each.owner, each.epoch, each.lag_ms) for each in told.partitions] == [("", 0, 7), ("invoker-1", 4, 0)]


def test_a_move_to_a_process_that_is_gone_or_drains_is_not_told() -> None:
    draining = a_heartbeat(number=3, is_draining=True)
    assert status(draining, placements={0: "invoker-3"}).partitions[0].moved_to == ""
    told = status(a_heartbeat(), placements={0: "invoker-1", 1: "invoker-2"})
    assert [each.moved_to for each in told.partitions] == ["invoker-1", ""]
