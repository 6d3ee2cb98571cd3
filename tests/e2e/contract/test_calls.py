"""Calls and sends by handlers: values, order, delays, idempotency keys and headers."""

import json

from tests.e2e.contract.conftest import Contract
from tests.e2e.processes import eventually


def wait_for_count(contract: Contract, key: str, count: int) -> None:
    eventually(lambda: contract.result("Counter", key, "get") == count, f"counter {key} reaches {count}")


def test_a_call_gives_the_result_of_its_callee(contract: Contract) -> None:
    request = contract.proxied("TestUtilsService", "uppercaseEcho", message=b'"ping"')
    assert bytes(contract.result("Proxy", "call", body=request)) == b'"PING"'


def test_a_one_way_call_is_made(contract: Contract, key: str) -> None:
    callee = contract.result("Proxy", "oneWayCall", body=contract.proxied("Counter", key, "add", message=b"1"))
    assert contract.suite.attach(callee).json() == {"oldValue": 0, "newValue": 1}


def test_a_delayed_call_is_scheduled_and_then_made_once(contract: Contract, key: str) -> None:
    request = contract.proxied("Counter", key, "add", message=b"1", delayMillis=400)
    callee = contract.result("Proxy", "oneWayCall", body=request)
    assert contract.result("Counter", key, "get") == 0
    assert contract.suite.attach(callee).json() == {"oldValue": 0, "newValue": 1}
    assert contract.result("Counter", key, "get") == 1


def test_a_delay_does_not_hold_the_lock_of_the_object(contract: Contract, key: str) -> None:
    callee = contract.result("Proxy", "oneWayCall", body=contract.proxied("Counter", key, "add", message=b"1", delayMillis=3_600_000))
    assert contract.wait_for_status(callee, "scheduled")["target_service_key"] == key
    assert contract.result("Counter", key, "add", body=1) == {"oldValue": 0, "newValue": 1}
    assert contract.operate(callee, "cancel").status_code == 200


def test_a_send_with_a_delay_is_scheduled(contract: Contract, key: str) -> None:
    answer = contract.call("Counter", key, "add", "send?delay=1h", body=1).json()
    assert "executionTime" in answer
    assert contract.wait_for_status(answer["invocationId"], "scheduled")["target_service_key"] == key
    assert contract.operate(answer["invocationId"], "cancel").status_code == 200
    soon = contract.call("Counter", key, "add", "send?delay=100ms", body=2).json()["invocationId"]
    assert contract.suite.attach(soon).json() == {"oldValue": 0, "newValue": 2}


def test_calls_of_one_handler_to_one_object_arrive_in_order(contract: Contract, key: str) -> None:
    def many(item: int) -> dict[str, object]:
        request = contract.proxied("ListObject", key, "append", message=json.dumps(str(item)).encode())
        return {"proxyRequest": request, "oneWayCall": item % 3 == 0, "awaitAtTheEnd": item % 3 == 1}

    contract.result("Proxy", "manyCalls", body=[many(item) for item in range(12)])
    assert contract.result("ListObject", key, "get") == [str(item) for item in range(12)]


def test_calls_with_one_idempotency_key_are_made_once(contract: Contract, key: str) -> None:
    request = contract.proxied("Counter", key, "add", message=b"1", idempotencyKey=f"call-{key}")
    answers = [json.loads(bytes(contract.result("Proxy", "call", body=request))) for _ in range(3)]
    assert answers == [{"oldValue": 0, "newValue": 1}] * 3
    output = contract.suite.call(f"/restate/invocation{contract.path('Counter', key, 'add')}/call-{key}/output", method="GET")
    assert (output.status_code, output.json()) == (200, {"oldValue": 0, "newValue": 1})


def test_sends_with_one_idempotency_key_are_made_once(contract: Contract, key: str) -> None:
    request = contract.proxied("Counter", key, "add", message=b"1", idempotencyKey=f"send-{key}")
    callees = {contract.result("Proxy", "oneWayCall", body=request) for _ in range(3)}
    assert len(callees) == 1
    wait_for_count(contract, key, 1)


def test_headers_of_a_request_reach_the_handler(contract: Contract) -> None:
    seen = contract.result("TestUtilsService", "echoHeaders", headers={"x-colour": "green", "X-Shape": "round"})
    assert (seen["x-colour"], seen["x-shape"]) == ("green", "round")


def test_headers_of_a_call_reach_the_callee_and_those_of_the_caller_do_not(contract: Contract) -> None:
    seen = contract.result("Beyond", "callWithHeaders", body={"x-from": "caller"}, headers={"x-colour": "green"})
    assert seen["x-from"] == "caller"
    assert "x-colour" not in seen


def test_bytes_pass_as_they_are(contract: Contract) -> None:
    body = bytes(range(256)) * 10
    answer = contract.call("TestUtilsService", "rawEcho", body=body, headers={"content-type": "application/octet-stream"})
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, "application/octet-stream", body)


def test_an_empty_body_passes_as_it_is(contract: Contract) -> None:
    answer = contract.call("TestUtilsService", "rawEcho")
    assert (answer.status_code, answer.content) == (200, b"")


def test_random_values_are_the_same_in_every_attempt(contract: Contract) -> None:
    first, second = contract.result("Beyond", "drawTwice")
    other, _ = contract.result("Beyond", "drawTwice")
    assert len({first, second, other}) == 3
