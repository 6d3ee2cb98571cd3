from typing import Any

from perdure.bus.messages import VERSION, Heartbeat
from services.nodectl.health import Health, health_of, reasons_against_ready

ROLES = ("ingress", "admin", "sql", "invoker")


def a_heartbeat(role: str, number: int = 1, **options: Any) -> Heartbeat:
    fields = {"address": f"127.0.0.1:{number}", "software_version": "1.0", "started_at_ms": 0, **options}
    return Heartbeat(version=VERSION, role=role, process_id=f"{role}-{number}", **fields)


def a_suite() -> list[Heartbeat]:
    return [a_heartbeat("ingress"), a_heartbeat("admin"), a_heartbeat("sql"), a_heartbeat("invoker", partitions=[0, 1, 2], address="")]


def reasons(alive: list[Heartbeat], *, lags_ms: dict[int, int] | None = None, is_store_readable: bool = True) -> list[str]:
    return reasons_against_ready(alive, required_roles=ROLES, partitions=3, lags_ms=lags_ms or {}, is_store_readable=is_store_readable)


def health(alive: list[Heartbeat], *, is_stopping: bool = False) -> Health:
    return health_of(
        alive,
        reasons=reasons(alive),
        schema_version=7,
        cluster_name="c",
        started_at_ms=1_000,
        now_ms=91_000,
        is_stopping=is_stopping,
    )


def test_a_whole_suite_is_ready() -> None:
    assert reasons(a_suite()) == []


def test_a_missing_role_is_a_reason() -> None:
    assert reasons([each for each in a_suite() if each.role != "sql"]) == ["sql: no process is alive"]


def test_a_process_that_is_not_ready_is_a_reason_with_its_own_words() -> None:
    alive = [a_heartbeat("ingress", is_ready=False, not_ready_because="no partition is known"), *a_suite()[1:]]
    assert reasons(alive) == ["ingress: ingress-1 is not ready: no partition is known"]


def test_one_ready_process_of_a_role_is_enough() -> None:
    assert reasons([*a_suite(), a_heartbeat("ingress", 2, is_ready=False)]) == []


def test_partitions_without_an_owner_are_a_reason() -> None:
    alive = [*a_suite()[:3], a_heartbeat("invoker", partitions=[1])]
    assert reasons(alive) == ["invoker: partitions without an owner: 0, 2"]


def test_two_invokers_own_the_partitions_together() -> None:
    assert reasons([*a_suite()[:3], a_heartbeat("invoker", partitions=[1]), a_heartbeat("invoker", 2, partitions=[0, 2])]) == []


def test_partitions_that_do_not_get_on_are_a_reason() -> None:
    told = reasons(a_suite(), lags_ms={0: 10_000, 1: 10_001, 2: 65_000})
    assert told == ["invoker: partitions that do not get on, and for how long: 1 (10s 1ms), 2 (1m 5s)"]


def test_a_store_that_does_not_answer_is_a_reason() -> None:
    assert reasons(a_suite(), is_store_readable=False) == ["store: it does not answer"]


def test_a_ready_suite_is_alive_and_tells_its_addresses() -> None:
    body = health(a_suite())
    assert (body.status, body.roles, body.age, body.schema_version) == ("Alive", ["http-ingress", "admin", "worker"], "1m 30s", 7)
    assert (body.admin_status, body.worker_status, body.reasons) == ("Ready", "Ready", [])
    assert [(each.name, each.address) for each in body.bound_addresses if each.name == "http-ingress-server"] == [
        ("http-ingress-server", "127.0.0.1:1")
    ]
    assert [each.address for each in body.advertised_addresses] == ["http://127.0.0.1:1/"] * 2


def test_a_suite_that_is_not_complete_is_starting_up_and_says_why() -> None:
    body = health([a_heartbeat("admin", is_ready=False)])
    assert (body.status, body.admin_status, body.worker_status) == ("StartingUp", "StartingUp", "Unknown")
    assert "invoker: no process is alive" in body.reasons


def test_a_suite_that_stops_is_shutting_down() -> None:
    assert health(a_suite(), is_stopping=True).status == "ShuttingDown"
