"""What each process may cost with nothing to do, in the environment that is shipped."""

import json
import subprocess

import pytest

from tests.e2e.processes import REPOSITORY
from tests.e2e.suite import ROLES, Suite

RESIDENT_MB_MAX = {"ingress": 54, "admin": 54, "sql": 50, "nodectl": 52, "invoker": 56, "nats": 26}
WHOLE_MB_MAX = 300
IMPORTED_LATE = {"datafusion", "pyarrow", "aiohttp", "rich", "grpc", "jwt", "botocore", "confluent_kafka", "opentelemetry"}


def test_an_idle_set_stays_within_its_memory_budget(own_suite: Suite) -> None:
    resident = {role: sum(process.memory_info().rss for process in own_suite.processes(role)) / 1e6 for role in RESIDENT_MB_MAX}
    too_much = {role: round(megabytes) for role, megabytes in resident.items() if megabytes > RESIDENT_MB_MAX[role]}
    assert not too_much, f"MB resident {too_much}, allowed {RESIDENT_MB_MAX}"
    whole = sum(process.memory_info().rss for process in own_suite.processes("everything")) / 1e6
    assert whole < WHOLE_MB_MAX


@pytest.mark.parametrize("role", ROLES)
def test_what_is_not_on_the_way_of_a_call_is_not_imported_at_start(role: str) -> None:
    program = f"import json, sys; import services.{role}.app; print(json.dumps(sorted(sys.modules)))"
    python = REPOSITORY / ".venv/bin/python"
    printed = subprocess.run([python, "-c", program], capture_output=True, text=True, check=True).stdout
    assert not IMPORTED_LATE & set(json.loads(printed))
