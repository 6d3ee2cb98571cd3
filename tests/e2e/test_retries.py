"""Failed attempts: what is seen of them, when they are repeated, and what is done after the last one; the real server does the same."""

import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from perdure.codec.service_protocol import messages_pb2 as pb
from tests.e2e.processes import eventually
from tests.e2e.scripted import Script, serving
from tests.e2e.suite import Suite

NEVER = {"retryPolicyInitialInterval": 3_600_000}
SOON = {"retryPolicyInitialInterval": 10, "retryPolicyExponentiationFactor": 1.0, "retryPolicyMaxAttempts": 3}
SCRIPTS = {
    "plain": Script(pb.Error(code=500, message="broken", stacktrace="at line 7"), options=NEVER),
    "mismatch": Script(pb.Error(code=570, message="another journal"), options=NEVER),
    "violation": Script(pb.Error(code=571, message="unheard of"), options=NEVER),
    "related": Script(
        pb.Error(code=500, message="broken", related_command_index=3, related_command_name="charge", related_command_type=0x0411),
        options=NEVER,
    ),
    "delayed": Script(
        pb.Error(code=500, message="not yet", next_retry_delay=20), attempts_failing=5, options={**NEVER, "retryPolicyMaxAttempts": 2}
    ),
    "killed": Script(pb.Error(code=501, message="for good"), options={**SOON, "retryPolicyOnMaxAttempts": "KILL"}),
    "paused": Script(pb.Error(code=500, message="for good"), options={**SOON, "retryPolicyOnMaxAttempts": "PAUSE"}),
    "silent": Script(silent_s=3.0, options={**NEVER, "abortTimeout": 200}),
}


class Scripted(NamedTuple):
    suite: Suite
    service: str
    attempts: dict[str, int]

    def send(self, handler: str) -> str:
        return self.suite.send(f"/{self.service}/{handler}")

    def row(self, invocation: str) -> dict[str, Any]:
        """Return what SQL shows of an invocation."""
        return self.suite.rows(f"select * from sys_invocation where id = '{invocation}'")[0]

    def failed(self, invocation: str) -> dict[str, Any]:
        return eventually(lambda: row if (row := self.row(invocation)).get("last_failure") else None, "an attempt has failed")


@pytest.fixture(scope="module")
def scripted(suite: Suite) -> Iterator[Scripted]:
    service = f"Scripted{uuid.uuid4().hex[:6]}"
    with serving(service, SCRIPTS) as (url, attempts):
        suite.register(url, use_http_11=True)
        yield Scripted(suite, service, attempts)


@pytest.mark.parametrize(
    ("handler", "text", "code"),
    [
        ("plain", "[500 Internal] broken\nat line 7", "RT0007"),
        ("mismatch", "[570 Journal mismatch] another journal", "RT0016"),
        ("violation", "[571 Protocol violation] unheard of", "RT0012"),
    ],
)
def test_a_failure_is_shown_with_its_code(scripted: Scripted, handler: str, text: str, code: str) -> None:
    row = scripted.failed(scripted.send(handler))
    assert (row["status"], row["last_failure"], row["last_failure_error_code"]) == ("backing-off", text, code)


def test_a_failure_is_shown_with_its_command(scripted: Scripted) -> None:
    row = scripted.failed(scripted.send("related"))
    shown = [row[f"last_failure_related_command_{part}"] for part in ("index", "name", "type")]
    assert shown == [3, "charge", "Run"]


def test_a_delay_that_the_handler_asks_for_replaces_the_policy_and_uses_none_of_its_attempts(scripted: Scripted) -> None:
    assert scripted.suite.attach(scripted.send("delayed")).json() == "done"
    assert scripted.attempts["delayed"] == 6


def test_the_last_attempt_may_end_the_invocation(scripted: Scripted) -> None:
    answer = scripted.suite.attach(scripted.send("killed"))
    assert (answer.status_code, answer.json()["message"]) == (501, "for good")
    assert scripted.attempts["killed"] == 3


def test_the_last_attempt_may_pause_the_invocation(scripted: Scripted) -> None:
    invocation = scripted.send("paused")
    eventually(lambda: scripted.row(invocation)["status"] == "paused", "it is paused")
    assert scripted.attempts["paused"] == 3
    scripted.suite.http.patch(f"{scripted.suite.admin_url}/invocations/{invocation}/resume")
    eventually(lambda: scripted.attempts["paused"] == 6, "a resumed one has all its attempts again")


def test_a_deployment_that_says_nothing_is_given_up(scripted: Scripted) -> None:
    row = scripted.failed(scripted.send("silent"))
    assert "'abort timeout' (200ms) fired." in row["last_failure"]
    assert row["last_failure_error_code"] == "RT0001"
