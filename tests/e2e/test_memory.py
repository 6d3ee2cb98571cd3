"""What each process may hold in memory before anyone calls: what is not on the way of a call is imported when it is needed."""

import pytest

from tests.e2e.suite import Suite, ours_only

MB = 1_000_000
BUDGETS_MB = {"ingress": 52, "admin": 50, "sql": 46, "nodectl": 52, "invoker": 50, "nats": 24, "up": 30}
ALL_TOGETHER_MB = 300
pytestmark = ours_only


@pytest.fixture
def resident_mb(own_suite: Suite) -> dict[str, float]:
    """Resident megabytes by role of a server that has just become ready."""
    by_role = {role: sum(member.memory_info().rss for member in own_suite.processes(role)) / MB for role in BUDGETS_MB if role != "up"}
    everything = sum(member.memory_info().rss for member in own_suite.processes("everything")) / MB
    return {**by_role, "up": everything - sum(by_role.values())}


def test_every_process_keeps_its_memory_budget(resident_mb: dict[str, float]) -> None:
    assert all(resident_mb.values())
    assert {role: size for role, size in resident_mb.items() if size > BUDGETS_MB[role]} == {}


def test_all_processes_together_keep_the_budget(resident_mb: dict[str, float]) -> None:
    assert sum(resident_mb.values()) < ALL_TOGETHER_MB
