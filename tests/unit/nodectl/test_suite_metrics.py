"""What is measured of the suite as a whole."""

from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from perdure.bus.messages import VERSION, Heartbeat
from services.nodectl.cluster import ClusterView
from services.nodectl.health import health_of
from services.nodectl.suite_metrics import text_of_suite


def samples(*heartbeats: Heartbeat, reasons: list[str], lags_ms: dict[int, int]) -> set[tuple[str, str, float]]:
    health = health_of(heartbeats, reasons=reasons, schema_version=1, cluster_name="c", started_at_ms=0, now_ms=3_000, is_stopping=False)
    owners = {number: each.process_id for each in heartbeats for number in each.partitions}
    fields: dict[str, Any] = {"leases": {}, "placements": {}, "lags_ms": lags_ms, "partitions": 3}
    view = ClusterView(health=health, heartbeats=heartbeats, owners=owners, started_at_ms=0, now_ms=3_000, **fields)
    families = text_string_to_metric_families(text_of_suite(view, ["ingress", "invoker"]).decode())
    return {(each.name, ",".join(each.labels.values()), each.value) for family in families for each in family.samples}


def test_dead_roles_unowned_partitions_and_late_ones_show() -> None:
    invoker = Heartbeat(VERSION, "invoker", "invoker-1", "", "1.0", 1_000, [0, 2])
    starting = Heartbeat(VERSION, "invoker", "invoker-2", "", "1.0", 1_000, [], is_ready=False)
    assert samples(invoker, starting, reasons=["ingress: no process is alive"], lags_ms={0: 0, 1: 12_500, 2: -3}) == {
        ("perdure_suite_ready", "", 0.0),
        ("perdure_suite_processes", "ingress", 0.0),
        ("perdure_suite_processes", "invoker", 2.0),
        ("perdure_suite_ready_processes", "ingress", 0.0),
        ("perdure_suite_ready_processes", "invoker", 1.0),
        ("perdure_suite_partitions", "", 3.0),
        ("perdure_suite_unowned_partitions", "", 1.0),
        ("perdure_suite_partition_lag_seconds", "0", 0.0),
        ("perdure_suite_partition_lag_seconds", "1", 12.5),
        ("perdure_suite_partition_lag_seconds", "2", 0.0),
    }


def test_a_suite_that_gets_on_is_ready() -> None:
    assert ("perdure_suite_ready", "", 1.0) in samples(reasons=[], lags_ms={})
