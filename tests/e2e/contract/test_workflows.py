"""Workflows: one run for each key, shared handlers beside it, and promises."""

from tests.e2e.contract.conftest import Contract
from tests.e2e.processes import eventually


def attach(contract: Contract, service: str, key: str) -> tuple[int, object]:
    answer = contract.suite.call(f"/restate/workflow{contract.path(service, key)}/attach", method="GET")
    return answer.status_code, answer.json()


def test_a_promise_lets_the_run_go_on(contract: Contract, key: str) -> None:
    service = "BlockAndWaitWorkflow"
    started = contract.call(service, key, "run", "send", body="in").json()
    assert started["status"] == "Accepted"
    eventually(lambda: contract.result(service, key, "getState") == "in", "the run has set its state")
    contract.result(service, key, "unblock", body="out")
    assert attach(contract, service, key) == (200, "out")
    again = contract.call(service, key, "run", "send", body="other").json()
    assert (again["status"], again["invocationId"]) == ("PreviouslyAccepted", started["invocationId"])
    assert contract.result(service, key, "getState") == "in"


def test_a_second_run_is_a_conflict(contract: Contract, key: str) -> None:
    contract.send("BlockAndWaitWorkflow", key, "run", body="in")
    answer = contract.call("BlockAndWaitWorkflow", key, "run", body="in")
    assert (answer.status_code, answer.json()["message"]) == (409, "the workflow method was already invoked")
    contract.result("BlockAndWaitWorkflow", key, "unblock", body="out")
    assert contract.call("BlockAndWaitWorkflow", key, "run", body="in").status_code == 409


def test_a_promise_is_seen_by_peek_and_wait_once_it_is_resolved(contract: Contract, key: str) -> None:
    assert contract.result("PromiseWorkflow", key, "peek") is None
    waiting = contract.send("PromiseWorkflow", key, "wait")
    running = contract.send("PromiseWorkflow", key, "run")
    contract.result("PromiseWorkflow", key, "resolve", body="open")
    assert contract.suite.attach(waiting).json() == "open"
    assert contract.suite.attach(running).json() == "open"
    assert contract.result("PromiseWorkflow", key, "peek") == "open"
    assert contract.result("PromiseWorkflow", key, "wait") == "open"


def test_a_rejected_promise_fails_whoever_waits(contract: Contract, key: str) -> None:
    running = contract.send("PromiseWorkflow", key, "run")
    contract.result("PromiseWorkflow", key, "reject", body="shut")
    answer = contract.suite.attach(running)
    assert (answer.status_code, answer.json()["message"]) == (500, "shut")
    for handler in ("peek", "wait"):
        assert contract.call("PromiseWorkflow", key, handler).json()["message"] == "shut"


def test_a_promise_is_completed_once(contract: Contract, key: str) -> None:
    contract.result("PromiseWorkflow", key, "resolve", body="open")
    for handler in ("resolve", "reject"):
        answer = contract.call("PromiseWorkflow", key, handler, body="again")
        assert (answer.status_code, answer.json()["message"]) == (409, "promise was already completed")
    assert contract.result("PromiseWorkflow", key, "peek") == "open"
