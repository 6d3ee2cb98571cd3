"""Terminal errors, attempts that fail and are repeated, and side effects with a policy of their own."""

import pytest

from tests.e2e.contract.conftest import Contract

METADATA = {"reason": "full", "shelf": "3"}


@pytest.mark.parametrize("handler", ["terminallyFailingCall", "callTerminallyFailingCall", "terminallyFailingSideEffect"])
def test_a_terminal_error_reaches_the_caller(contract: Contract, key: str, handler: str) -> None:
    for _ in range(2):
        answer = contract.call("Failing", key, handler, body={"errorMessage": "my error"})
        assert (answer.status_code, answer.json()["message"]) == (500, "my error")
        assert "metadata" not in answer.json()


@pytest.mark.parametrize("handler", ["terminallyFailingCall", "callTerminallyFailingCall", "terminallyFailingSideEffect"])
def test_metadata_of_a_terminal_error_reaches_the_caller(contract: Contract, key: str, handler: str) -> None:
    if contract.protocol_version < 6:
        pytest.skip("SDKs refuse metadata before version 6")
    answer = contract.call("Failing", key, handler, body={"errorMessage": "my error", "metadata": METADATA})
    assert (answer.status_code, answer.json()["message"], answer.json()["metadata"]) == (500, "my error", METADATA)


def test_a_failing_attempt_is_repeated_until_it_succeeds(contract: Contract, key: str) -> None:
    assert contract.result("Failing", key, "failingCallWithEventualSuccess") == 4


def test_a_step_runs_once_however_often_its_handler_fails(contract: Contract, key: str) -> None:
    assert contract.result("Beyond", "stumble", body={"tag": key, "steps": 3, "times": 3}) == 4
    assert contract.endpoint.effects(key) == ["step-0", "step-1", "step-2"]


def test_a_handler_says_itself_when_to_try_again(contract: Contract, key: str) -> None:
    invocation = contract.send("Beyond", "tryLater", body={"tag": key, "delayMillis": 3_600_000})
    row = contract.wait_for_status(invocation, "backing-off")
    assert row["next_retry_at"] > row["last_start_at"]
    assert row["last_attempt_deployment_id"] == contract.deployment_id, "though it is not pinned yet"
    assert row["retry_count"] == 1, "whatever does not count against the policy"
    assert contract.endpoint.effects(key) == ["attempt"]
    assert contract.operate(invocation, "resume").status_code == 200
    assert contract.suite.attach(invocation).json() == 2


def test_a_handler_is_given_up_where_its_policy_kills(contract: Contract, key: str) -> None:
    answer = contract.call("Beyond", "giveUp", body=key)
    assert answer.status_code == 500
    assert "never" in answer.json()["message"]
    assert contract.endpoint.effects(key) == ["attempt"] * 3


def test_a_side_effect_is_tried_until_it_succeeds(contract: Contract, key: str) -> None:
    assert contract.result("Failing", key, "sideEffectSucceedsAfterGivenAttempts", body=3) == 3


@pytest.mark.parametrize("attempts", [1, 3])
def test_a_side_effect_gives_up_when_its_policy_says_so(contract: Contract, key: str, attempts: int) -> None:
    assert contract.result("Failing", key, "sideEffectFailsAfterGivenAttempts", body=attempts) == attempts


def test_a_side_effect_that_was_acknowledged_is_not_run_again(contract: Contract, request: pytest.FixtureRequest) -> None:
    executed = contract.result("TestUtilsService", "countExecutedSideEffects", body=3)
    assert 0 <= executed <= 3
    if "stream" in request.node.name:
        assert executed == 3
