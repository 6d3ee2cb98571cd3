"""What a process imports at start, in the environment that is shipped."""

import json
import subprocess

import pytest

from tests.e2e.processes import REPOSITORY
from tests.e2e.suite import ROLES

IMPORTED_LATE = {"datafusion", "pyarrow", "aiohttp", "rich", "grpc", "jwt", "botocore", "confluent_kafka", "opentelemetry"}


@pytest.mark.parametrize("role", ROLES)
def test_what_is_not_on_the_way_of_a_call_is_not_imported_at_start(role: str) -> None:
    program = f"import json, sys; import services.{role}.app; print(json.dumps(sorted(sys.modules)))"
    python = REPOSITORY / ".venv/bin/python"
    printed = subprocess.run([python, "-c", program], capture_output=True, text=True, check=True).stdout
    assert not IMPORTED_LATE & set(json.loads(printed))
