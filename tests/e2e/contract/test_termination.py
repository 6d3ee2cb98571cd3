"""Cancelling and killing: what is interrupted, what is freed, and what the callers see."""

import pytest

from tests.e2e.contract.conftest import Contract
from tests.e2e.processes import eventually

OPERATIONS = ["CALL", "SLEEP", "AWAKEABLE"]


def unlock(contract: Contract, key: str) -> None:
    eventually(lambda: contract.result("AwakeableHolder", key, "hasAwakeable"), f"awakeable of {key} is held")
    contract.result("AwakeableHolder", key, "unlock", body="go on")


def wait_until_blocked(contract: Contract, key: str, operation: str) -> None:
    """Wait until the holder's word has come and what follows is journaled; `CALL` puts an invocation into its own inbox."""
    blocking = f"target_service_key = '{key}' AND target_handler_name = 'block'"
    if operation == "CALL":
        statement = f"SELECT id FROM sys_invocation WHERE {blocking} AND status = 'pending'"
    else:
        [invocation] = contract.rows(f"SELECT id FROM sys_invocation WHERE {blocking}")
        entry_type = {"SLEEP": "Command: Sleep", "AWAKEABLE": "Notification: Signal"}[operation]
        statement = f"SELECT index FROM sys_journal WHERE id = '{invocation['id']}' AND entry_type = '{entry_type}'"
    eventually(lambda: contract.rows(statement), f"{operation} of {key} blocks")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operator_cancels_a_tree_of_calls(contract: Contract, key: str, operation: str) -> None:
    root = contract.send("CancelTestRunner", key, "startTest", body=operation)
    unlock(contract, key)
    wait_until_blocked(contract, key, operation)
    assert contract.operate(root, "cancel").status_code == 202
    assert contract.suite.attach(root).status_code == 200
    assert contract.result("CancelTestRunner", key, "verifyTest") is True
    contract.result("CancelTestBlockingService", key, "isUnlocked")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_handler_cancels_a_tree_of_calls(contract: Contract, key: str, operation: str) -> None:
    request = contract.proxied("CancelTestRunner", key, "startTest", message=f'"{operation}"'.encode())
    root = contract.result("Proxy", "oneWayCall", body=request)
    unlock(contract, key)
    wait_until_blocked(contract, key, operation)
    contract.result("TestUtilsService", "cancelInvocation", body=root)
    assert contract.suite.attach(root).status_code == 200
    assert contract.result("CancelTestRunner", key, "verifyTest") is True
    contract.result("CancelTestBlockingService", key, "isUnlocked")


def test_a_cancelled_invocation_ends_with_409(contract: Contract, key: str) -> None:
    waiting = contract.send("Beyond", "waitForWord", body=key)
    contract.endpoint.wait_for_effect_count(key, 1)
    assert contract.operate(waiting, "cancel").status_code == 202
    assert contract.suite.attach(waiting).status_code == 409
    assert contract.operate(waiting, "cancel").status_code == 409


@pytest.mark.parametrize("command", [{"type": "createSignal", "signalName": "s"}, {"type": "sleep", "timeoutMillis": 3_600_000}])
def test_cancelling_interrupts_whatever_is_awaited(contract: Contract, key: str, command: dict[str, object]) -> None:
    program = {"commands": [{"type": "awaitAny", "commands": [command, {"type": "createAwakeable", "awakeableKey": "a"}]}]}
    waiting = contract.send("VirtualObjectCommandInterpreter", key, "interpretCommands", body=program)
    eventually(lambda: contract.result("VirtualObjectCommandInterpreter", key, "hasAwakeable", body="a"), "it waits")
    contract.operate(waiting, "cancel")
    assert contract.suite.attach(waiting).status_code == 409


def test_cancelling_interrupts_the_wait_for_a_promise(contract: Contract, key: str) -> None:
    running = contract.send("BlockAndWaitWorkflow", key, "run", body="in")
    eventually(lambda: contract.result("BlockAndWaitWorkflow", key, "getState") == "in", "it runs")
    contract.operate(running, "cancel")
    assert contract.suite.attach(running).status_code == 409


def test_cancelling_interrupts_the_wait_for_an_invocation(contract: Contract, key: str) -> None:
    waiting = contract.send("Beyond", "waitForWord", body=key)
    attached = contract.send("Beyond", "attach", body=waiting)
    contract.endpoint.wait_for_effect_count(key, 1)
    contract.wait_for_status(attached, "running", "suspended")
    contract.operate(attached, "cancel")
    assert contract.suite.attach(attached).status_code == 409
    contract.suite.call(f"/restate/awakeables/{contract.endpoint.effects(key)[0]}/resolve", "still here")
    assert contract.suite.attach(waiting).json() == "still here"


def test_killing_frees_every_lock_of_a_tree_of_calls(contract: Contract, key: str) -> None:
    root = contract.send("KillTestRunner", key, "startCallTree")
    unlock(contract, key)
    statement = f"SELECT id FROM sys_invocation WHERE target_service_key = '{key}' AND target_handler_name = 'recursiveCall'"
    eventually(lambda: len(contract.rows(f"{statement} AND status = 'pending'")) == 1, "the recursive call waits in the inbox")
    assert contract.operate(root, "kill").status_code == 200
    answer = contract.suite.attach(root)
    assert (answer.status_code, answer.json()["message"]) == (409, "killed")
    contract.result("KillTestSingleton", key, "isUnlocked")
    eventually(lambda: not contract.rows(f"{statement} AND status != 'completed'"), "nothing of the tree goes on")
