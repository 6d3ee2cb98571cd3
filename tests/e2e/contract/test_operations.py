"""What operators do beyond ending an invocation: pause, resume, restart as new, purge; and journals that do not match."""

import json

import pytest

from tests.e2e.contract.conftest import Contract
from tests.e2e.processes import eventually

HANDLERS = ["eitherSleepOrCall", "callDifferentMethod", "backgroundInvokeWithDifferentTargets", "setDifferentKey"]


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_handler_that_goes_another_way_is_paused_and_goes_on_when_resumed(contract: Contract, key: str, handler: str) -> None:
    invocation = contract.send("NonDeterministic", key, handler)
    contract.wait_for_status(invocation, "paused")
    assert contract.result("Counter", key, "get") == 0
    [event] = contract.rows(f"SELECT event_json FROM sys_journal_events WHERE id = '{invocation}' AND event_type = 'Paused'")
    failure = json.loads(event["event_json"])["last_failure"]
    assert (failure["error_code"], failure["restate_doc_error_code"]) == (570, "RT0016")
    assert contract.operate(invocation, "resume").status_code == 200
    contract.wait_for_status(invocation, "completed", "paused")
    contract.operate(invocation, "kill")


def test_a_paused_invocation_keeps_what_arrives_and_goes_on_when_resumed(contract: Contract, key: str) -> None:
    invocation = contract.send("Beyond", "tryLater", body={"tag": key, "delayMillis": 3_600_000})
    contract.wait_for_status(invocation, "backing-off")
    assert contract.operate(invocation, "pause").status_code in (200, 202)
    contract.wait_for_status(invocation, "paused")
    assert contract.operate(invocation, "resume").status_code == 200
    assert contract.suite.attach(invocation).json() == 2


def test_an_invocation_that_did_nothing_yet_is_pinned_to_no_deployment(contract: Contract, key: str) -> None:
    waits = {"type": "awaitOne", "command": {"type": "createSignal", "signalName": "never"}}
    waiting = contract.send("VirtualObjectCommandInterpreter", key, "interpretCommands", body={"commands": [waits]})
    status = "running" if contract.prefix.endswith("Stream") else "suspended"
    assert contract.wait_for_status(waiting, status).get("pinned_deployment_id") is None
    assert contract.operate(waiting, "kill").status_code == 200


def test_an_invocation_shows_when_it_was_to_start(contract: Contract) -> None:
    sent = contract.send("Beyond", "drawTwice?delay=10ms")
    assert contract.suite.attach(sent).status_code == 200
    assert contract.row(sent).get("scheduled_start_at")


def test_a_paused_invocation_can_be_killed(contract: Contract, key: str) -> None:
    invocation = contract.send("NonDeterministic", key, "setDifferentKey")
    contract.wait_for_status(invocation, "paused")
    assert contract.operate(invocation, "kill").status_code == 200
    assert contract.suite.attach(invocation).json()["message"] == "killed"


def test_an_invocation_is_restarted_from_its_input(contract: Contract, key: str) -> None:
    original = contract.send("Counter", key, "add", body=2)
    assert contract.suite.attach(original).json() == {"oldValue": 0, "newValue": 2}
    answer = contract.operate(original, "restart-as-new")
    assert answer.status_code == 200, answer.text
    restarted = answer.json()["new_invocation_id"]
    assert contract.suite.attach(restarted).json() == {"oldValue": 2, "newValue": 4}
    assert contract.row(restarted)["restarted_from"] == original


def test_an_invocation_is_restarted_from_a_prefix_of_its_journal(contract: Contract, key: str) -> None:
    original = contract.send("Beyond", "stumble", body={"tag": key, "steps": 2, "times": 0})
    assert contract.suite.attach(original).json() == 1
    answer = contract.operate(original, "restart-as-new", **{"from": "2"})
    if contract.protocol_version < 6:
        assert answer.status_code == 422
        return
    assert contract.suite.attach(answer.json()["new_invocation_id"]).json() == 2
    assert contract.endpoint.effects(key) == ["step-0", "step-1", "step-1"]


def test_a_restarted_invocation_draws_random_values_of_its_own(contract: Contract) -> None:
    original = contract.send("Beyond", "drawTwice")
    drawn = contract.suite.attach(original).json()
    restarted = contract.operate(original, "restart-as-new").json()["new_invocation_id"]
    assert set(contract.suite.attach(restarted).json()).isdisjoint(drawn)


def test_an_invocation_without_journal_is_not_restarted(contract: Contract, key: str) -> None:
    original = contract.send("Counter", key, "add", body=2, headers={"idempotency-key": key})
    assert contract.suite.attach(original).status_code == 200
    assert contract.suite.http.patch(f"{contract.suite.admin_url}/invocations/{original}/purge-journal").status_code == 200
    eventually(lambda: contract.operate(original, "restart-as-new").status_code == 410, "its journal is gone")
    row = contract.row(original)
    assert (row["journal_size"], row["journal_commands_size"]) == (0, 0)
    assert contract.suite.attach(original).json() == {"oldValue": 0, "newValue": 2}


def test_what_still_runs_is_not_restarted(contract: Contract, key: str) -> None:
    waiting = contract.send("Beyond", "waitForWord", body=key)
    contract.endpoint.wait_for_effect_count(key, 1)
    assert contract.operate(waiting, "restart-as-new").status_code == 409
    assert contract.operate(waiting, "purge").status_code == 409
    assert contract.operate(waiting, "kill").status_code == 200


def test_a_purged_workflow_can_run_again(contract: Contract, key: str) -> None:
    for word in ("first", "second"):
        running = contract.send("PromiseWorkflow", key, "run")
        contract.result("PromiseWorkflow", key, "resolve", body=word)
        assert contract.suite.attach(running).json() == word
        assert contract.operate(running, "purge").status_code == 200
        eventually(lambda: contract.result("PromiseWorkflow", key, "peek") is None, "the promise is gone")


def replace_state(contract: Contract, key: str, value: int, **version: str) -> None:
    """Ask for another state of a counter; the answer says only that this was noted."""
    body = {"object_key": key, "new_state": {"counter": list(str(value).encode())}, **version}
    url = f"{contract.suite.admin_url}/services/{contract.prefix}Counter/state"
    assert contract.suite.http.post(url, json=body).status_code == 202


def test_state_is_replaced_from_outside_where_the_version_is_the_one_told(contract: Contract, key: str) -> None:
    contract.result("Counter", key, "add", body=1)
    replace_state(contract, key, 40)
    eventually(lambda: contract.result("Counter", key, "get") == 40, "the state is replaced")
    replace_state(contract, key, 50, version="tDqA04Lj3_qJ-PgNPTecXDGZgpwy6jm2Ni2BYqJIthM")
    assert contract.result("Counter", key, "add", body=2) == {"oldValue": 40, "newValue": 42}
