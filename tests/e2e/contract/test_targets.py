"""Idempotency at the ingress, and attaching to an invocation or asking for its output in every form of a target."""

import httpx
import pytest

from tests.e2e.contract.conftest import Contract


def get(contract: Contract, path: str) -> httpx.Response:
    return contract.suite.call(path, method="GET")


def forms(contract: Contract, key: str, invocation_id: str) -> list[str]:
    """Return every path that names the addition to `key` with the idempotency key `once-{key}`, without its last part."""
    return [f"/restate/invocation/{invocation_id}", f"/restate/invocation{contract.path('Counter', key, 'add')}/once-{key}"]


def test_a_repeated_call_gives_the_first_result(contract: Contract, key: str) -> None:
    once = {"idempotency-key": f"once-{key}"}
    answers = [contract.call("Counter", key, "add", body=1, headers=once) for _ in range(2)]
    assert [answer.json() for answer in answers] == [{"oldValue": 0, "newValue": 1}] * 2
    assert answers[0].headers["x-restate-id"] == answers[1].headers["x-restate-id"]
    assert contract.result("Counter", key, "get") == 1


def test_a_repeated_send_is_told_so(contract: Contract, key: str) -> None:
    once = {"idempotency-key": f"once-{key}"}
    answers = [contract.call("Counter", key, "add", "send", body=1, headers=once).json() for _ in range(2)]
    assert [answer["status"] for answer in answers] == ["Accepted", "PreviouslyAccepted"]
    assert answers[0]["invocationId"] == answers[1]["invocationId"]
    assert contract.call("Counter", key, "add", body=1, headers=once).json() == {"oldValue": 0, "newValue": 1}


def test_an_idempotent_invocation_is_attached_to_in_every_form(contract: Contract, key: str) -> None:
    invocation_id = contract.send("Counter", key, "add", body=1, headers={"idempotency-key": f"once-{key}"})
    for form in forms(contract, key, invocation_id):
        answer = get(contract, f"{form}/attach")
        assert (answer.status_code, answer.json()) == (200, {"oldValue": 0, "newValue": 1})
        assert get(contract, f"{form}/output").json() == {"oldValue": 0, "newValue": 1}


def test_an_output_that_is_not_there_yet_is_told_from_an_unknown_invocation(contract: Contract, key: str) -> None:
    waiting = contract.send("Beyond", "waitForWord", body=key, headers={"idempotency-key": f"once-{key}"})
    for form in (f"/restate/invocation/{waiting}", f"/restate/invocation{contract.path('Beyond', 'waitForWord')}/once-{key}"):
        assert get(contract, f"{form}/output").status_code == 470
    assert get(contract, f"/restate/invocation{contract.path('Beyond', 'waitForWord')}/never-{key}/output").status_code == 404
    assert get(contract, f"/restate/invocation{contract.path('Beyond', 'waitForWord')}/never-{key}/attach").status_code == 404
    assert contract.operate(waiting, "kill").status_code == 200


def test_a_handler_attaches_to_what_another_has_started(contract: Contract, key: str) -> None:
    started = contract.result("Proxy", "oneWayCall", body=contract.proxied("Counter", key, "add", message=b"1"))
    assert contract.result("Beyond", "attach", body=started) == {"oldValue": 0, "newValue": 1}


def test_a_handler_waits_for_what_it_attaches_to(contract: Contract, key: str) -> None:
    waiting = contract.send("Beyond", "waitForWord", body=key)
    attached = contract.send("Beyond", "attach", body=waiting)
    contract.endpoint.wait_for_effect_count(key, 1)
    awakeable = contract.endpoint.effects(key)[0]
    assert contract.suite.call(f"/restate/awakeables/{awakeable}/resolve", "now").status_code == 202
    assert contract.suite.attach(attached).json() == "now"


@pytest.mark.parametrize("what", ["attach", "output"])
def test_a_workflow_is_named_by_its_key(contract: Contract, key: str, what: str) -> None:
    contract.send("BlockAndWaitWorkflow", key, "run", body="in")
    contract.result("BlockAndWaitWorkflow", key, "unblock", body="out")
    assert get(contract, f"/restate/workflow{contract.path('BlockAndWaitWorkflow', key)}/attach").json() == "out"
    answer = get(contract, f"/restate/workflow{contract.path('BlockAndWaitWorkflow', key)}/{what}")
    assert (answer.status_code, answer.json()) == (200, "out")


def test_a_workflow_that_never_ran_is_not_found(contract: Contract, key: str) -> None:
    for what in ("attach", "output"):
        assert get(contract, f"/restate/workflow{contract.path('BlockAndWaitWorkflow', key)}/{what}").status_code == 404
