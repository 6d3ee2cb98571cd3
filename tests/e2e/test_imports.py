"""What a process imports at start, in the environment that is shipped."""

import json
import subprocess

import pytest

from tests.e2e.processes import REPOSITORY
from tests.e2e.suite import ROLES

IMPORTED_LATE = {
    "datafusion",
    "pyarrow",
    "aiohttp",
    "rich",
    "grpc",
    "jwt",
    "botocore",
    "confluent_kafka",
    "opentelemetry",
    "google.auth",
    "requests",
}


LATE_IN_THE_INGRESS = {"google.protobuf", "services.ingress.rpc.dispatch"}


@pytest.mark.parametrize("role", ROLES)
def test_what_is_not_on_the_way_of_a_call_is_not_imported_at_start(role: str) -> None:
    program = f"import json, sys; import services.{role}.app; print(json.dumps(sorted(sys.modules)))"
    python = REPOSITORY / ".venv/bin/python"
    printed = subprocess.run([python, "-c", program], capture_output=True, text=True, check=True).stdout
    late = IMPORTED_LATE | LATE_IN_THE_INGRESS if role == "ingress" else IMPORTED_LATE
    assert not late & set(json.loads(printed))
