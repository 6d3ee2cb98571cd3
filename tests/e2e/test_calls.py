"""Calls between services: answered, one-way, delayed, to private services, and what the ingress tells about a send."""

from datetime import datetime

from tests.e2e.conftest import Services
from tests.e2e.processes import eventually


def test_a_greeting_comes_back_with_its_invocation_id(services: Services) -> None:
    response = services.suite.call(services.path("Greeter", "greet"), "Ada")
    assert (response.status_code, response.json()) == (200, "Hello Ada")
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-restate-id"].startswith("inv_1")


def test_request_headers_reach_the_handler(services: Services) -> None:
    assert services.suite.result(services.path("Greeter", "header"), "x-colour", headers={"X-Colour": "green"}) == "green"


def test_the_long_form_of_a_call_and_a_get_reach_the_same_handler(services: Services, tag: str) -> None:
    suite = services.suite
    assert suite.result("/restate/call" + services.path("Greeter", "greet"), "Bo") == "Hello Bo"
    assert suite.result(services.path("Counter", tag, "get"), method="GET") == 0


def test_a_handler_calls_an_object(services: Services, tag: str) -> None:
    suite, path = services.suite, services.path
    assert suite.result(path("Caller", "add_to"), {"key": tag, "amount": 2}) == 2
    assert suite.result(path("Caller", "add_to"), {"key": tag, "amount": 3}) == 5


def test_a_handler_has_many_calls_in_flight(services: Services, tag: str) -> None:
    keys = [f"{tag}-{number}" for number in range(10)] * 2
    results = services.suite.result(services.path("Caller", "add_to_all"), keys)
    assert sorted(results) == [1] * 10 + [2] * 10


def test_a_delayed_one_way_call_of_a_handler_is_made_once(services: Services, tag: str) -> None:
    suite, path = services.suite, services.path
    callee = suite.result(path("Caller", "add_later"), {"key": tag, "ms": 300})
    assert suite.attach(callee).json() == 1
    assert suite.result(path("Counter", tag, "get")) == 1


def test_a_send_is_accepted_and_runs(services: Services, tag: str) -> None:
    suite, path = services.suite, services.path
    response = suite.call(path("Counter", tag, "add", "send"), 1)
    assert response.status_code == 202
    assert response.json() == {"invocationId": response.headers["x-restate-id"], "status": "Accepted"}
    eventually(lambda: suite.result(path("Counter", tag, "get")) == 1, "the counter was added to")


def test_a_delayed_send_tells_when_it_will_run(services: Services, tag: str) -> None:
    suite, path = services.suite, services.path
    response = suite.call(path("Counter", tag, "add", "send?delay=1h"), 1)
    assert response.status_code == 202
    when = datetime.fromisoformat(response.json()["executionTime"][:26] + "+00:00")
    sent = datetime.strptime(response.headers["date"], "%a, %d %b %Y %H:%M:%S %Z").replace(tzinfo=when.tzinfo)
    assert 3_590 < (when - sent).total_seconds() < 3_610
    output = suite.call(f"/restate/output/{response.json()['invocationId']}", method="GET")
    assert output.status_code == 470


def test_a_private_service_is_reached_by_handlers_only(services: Services) -> None:
    suite, path = services.suite, services.path
    assert suite.result(path("Caller", "call_hidden"), "psst") == "psst"
    response = suite.call(path("Hidden", "whisper"), "psst")
    assert (response.status_code, response.json()["code"]) == (400, 400)
