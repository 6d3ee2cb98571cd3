"""Awakeables, signals, sleeps and side effects awaited one by one, together, and against each other."""

from typing import Any

import httpx
import pytest

from tests.e2e.contract.conftest import Contract
from tests.e2e.processes import eventually

SERVICE = "VirtualObjectCommandInterpreter"


def awakeable(name: str) -> dict[str, Any]:
    return {"type": "createAwakeable", "awakeableKey": name}


def signal(name: str) -> dict[str, Any]:
    return {"type": "createSignal", "signalName": name}


def sleep(ms: int) -> dict[str, Any]:
    return {"type": "sleep", "timeoutMillis": ms}


def returns(value: str) -> dict[str, Any]:
    return {"type": "runReturns", "value": value}


def throws(reason: str) -> dict[str, Any]:
    return {"type": "runThrowTerminalException", "reason": reason}


def of(how: str, *commands: dict[str, Any]) -> dict[str, Any]:
    return {"commands": [{"type": how, "commands": list(commands)}]}


def one(command: dict[str, Any]) -> dict[str, Any]:
    return {"commands": [{"type": "awaitOne", "command": command}]}


def start(contract: Contract, key: str, program: dict[str, Any]) -> str:
    return contract.send(SERVICE, key, "interpretCommands", body=program)


def complete(contract: Contract, key: str, name: str, **how: str) -> None:
    """Resolve an awakeable with `value`, or reject it with `reason`, through a shared handler of its owner, once it exists."""
    eventually(lambda: contract.result(SERVICE, key, "hasAwakeable", body=name), f"awakeable {name} of {key}")
    contract.result(SERVICE, key, "resolveAwakeable" if "value" in how else "rejectAwakeable", body={"awakeableKey": name, **how})


def give(contract: Contract, invocation_id: str, name: str, **how: str) -> None:
    """Send a named signal: `value` or `reason`."""
    request = {"invocationId": invocation_id, "signalName": name, **how}
    contract.result("TestUtilsService", "resolveSignal" if "value" in how else "rejectSignal", body=request)


def failure(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["message"]


@pytest.mark.parametrize(("command", "outcome"), [(sleep(10), "sleep"), (returns("done"), "done")])
def test_what_completes_by_itself_gives_its_result(contract: Contract, key: str, command: dict[str, Any], outcome: str) -> None:
    assert contract.result(SERVICE, key, "interpretCommands", body=one(command)) == outcome
    assert contract.result(SERVICE, key, "getResults") == [outcome]


def test_an_awakeable_is_resolved_by_a_handler(contract: Contract, key: str) -> None:
    waiting = start(contract, key, one(awakeable("a")))
    complete(contract, key, "a", value="gold")
    assert contract.suite.attach(waiting).json() == "gold"


def test_an_awakeable_is_rejected_by_a_handler(contract: Contract, key: str) -> None:
    waiting = start(contract, key, one(awakeable("a")))
    complete(contract, key, "a", reason="too late")
    assert failure(contract.suite.attach(waiting)) == (500, "too late")


@pytest.mark.parametrize(("how", "body", "outcome"), [("resolve", "gold", (200, "gold")), ("reject", b"too late", (500, "too late"))])
def test_an_awakeable_is_completed_over_http(contract: Contract, key: str, how: str, body: Any, outcome: tuple[int, str]) -> None:
    waiting = contract.send("Beyond", "waitForWord", body=key)
    contract.endpoint.wait_for_effect_count(key, 1)
    awakeable_id = contract.endpoint.effects(key)[0]
    assert contract.suite.call(f"/restate/awakeables/{awakeable_id}/{how}", body).status_code == 202
    answer = contract.suite.attach(waiting)
    assert (answer.status_code, answer.json() if how == "resolve" else answer.json()["message"]) == outcome


def test_a_handler_completes_an_awakeable_of_its_own(contract: Contract, key: str) -> None:
    program = of("awaitAny", awakeable("a"), sleep(1))
    program["commands"] += [{"type": "resolveAwakeable", "awakeableKey": "a", "value": "x"}]
    assert contract.result(SERVICE, key, "interpretCommands", body=program) == ""
    assert contract.result(SERVICE, key, "getResults") == ["sleep", ""]


def test_a_time_out_comes_before_an_awakeable_that_nobody_completes(contract: Contract, key: str) -> None:
    assert contract.result(SERVICE, key, "interpretCommands", body=of("awaitAny", awakeable("a"), sleep(50))) == "sleep"
    program = {"commands": [{"type": "awaitAwakeableOrTimeout", "awakeableKey": "b", "timeoutMillis": 50}]}
    answer = contract.call(SERVICE, key, "interpretCommands", body=program)
    assert answer.status_code == 500
    assert "await-timeout" in answer.json()["message"]


def test_an_awakeable_comes_before_its_time_out(contract: Contract, key: str) -> None:
    program = {"commands": [{"type": "awaitAwakeableOrTimeout", "awakeableKey": "a", "timeoutMillis": 3_600_000}]}
    waiting = start(contract, key, program)
    complete(contract, key, "a", value="in time")
    assert contract.suite.attach(waiting).json() == "in time"


def test_the_first_success_passes_over_failures(contract: Contract, key: str) -> None:
    commands = (awakeable("a0"), throws("t0"), awakeable("a1"), throws("t1"), awakeable("a2"))
    waiting = start(contract, key, of("awaitAnySuccessful", *commands))
    complete(contract, key, "a2", reason="no")
    complete(contract, key, "a1", value="yes")
    assert contract.suite.attach(waiting).json() == "yes"


def test_where_all_fail_the_first_success_is_a_failure(contract: Contract, key: str) -> None:
    answer = contract.call(SERVICE, key, "interpretCommands", body=of("awaitFirstSucceededOrAllFailed", throws("a"), throws("b")))
    assert failure(answer) in [(500, "a"), (500, "b")]


def test_a_named_signal_gives_its_value(contract: Contract, key: str) -> None:
    waiting = start(contract, key, one(signal("word")))
    give(contract, waiting, "word", value="hello")
    assert contract.suite.attach(waiting).json() == "hello"


def test_a_rejected_signal_raises_its_reason(contract: Contract, key: str) -> None:
    waiting = start(contract, key, one(signal("word")))
    give(contract, waiting, "word", reason="boom")
    assert failure(contract.suite.attach(waiting)) == (500, "boom")


def test_a_signal_that_comes_before_it_is_awaited_is_kept(contract: Contract, key: str) -> None:
    program = {"commands": [*one(awakeable("a"))["commands"], *one(signal("word"))["commands"]]}
    waiting = start(contract, key, program)
    give(contract, waiting, "word", value="early")
    complete(contract, key, "a", value="go on")
    assert contract.suite.attach(waiting).json() == "early"


def test_all_results_come_in_the_order_of_the_commands(contract: Contract, key: str) -> None:
    waiting = start(contract, key, of("awaitAllSucceededOrFirstFailed", returns("r"), signal("s"), sleep(10)))
    give(contract, waiting, "s", value="v")
    assert contract.suite.attach(waiting).json() == "r|v|sleep"


def test_the_first_failure_fails_all(contract: Contract, key: str) -> None:
    answer = contract.call(SERVICE, key, "interpretCommands", body=of("awaitAllSucceededOrFirstFailed", throws("no"), sleep(10)))
    assert failure(answer) == (500, "no")


def test_all_outcomes_are_waited_for(contract: Contract, key: str) -> None:
    waiting = start(contract, key, of("awaitAllCompleted", signal("s0"), signal("s1"), throws("t"), sleep(10)))
    give(contract, waiting, "s1", reason="no")
    give(contract, waiting, "s0", value="yes")
    assert contract.suite.attach(waiting).json() == "ok:yes|err:no|err:t|ok:sleep"


def test_the_first_signal_decides(contract: Contract, key: str) -> None:
    waiting = start(contract, key, of("awaitFirstCompleted", signal("s0"), signal("s1"), signal("s2")))
    give(contract, waiting, "s1", value="first")
    assert contract.suite.attach(waiting).json() == "first"


def test_a_side_effect_comes_before_a_signal_that_nobody_gives(contract: Contract, key: str) -> None:
    assert contract.result(SERVICE, key, "interpretCommands", body=of("awaitFirstCompleted", signal("s"), returns("run"))) == "run"


def test_concurrent_sleeps_end_together(contract: Contract) -> None:
    contract.result("TestUtilsService", "sleepConcurrently", body=[30 + number for number in range(20)])
