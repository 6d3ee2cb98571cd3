"""Workflows: `run` once per key, durable promises, shared handlers beside it."""

from tests.e2e.conftest import Services


def test_a_workflow_waits_for_its_promise_and_keeps_its_result(services: Services, tag: str) -> None:
    suite, path = services.suite, services.path
    running = suite.send(path("Approval", tag, "run"), "loan")
    services.endpoint.wait_for_effect(tag, "opened")
    assert suite.result(path("Approval", tag, "name_of")) == "loan"
    assert suite.call(f"/restate/workflow{path('Approval', tag)}/output", method="GET").status_code == 470
    assert suite.result(path("Approval", tag, "decide"), "granted") is None
    assert suite.attach(running).json() == "loan granted"
    assert suite.result(f"/restate/workflow{path('Approval', tag)}/attach", method="GET") == "loan granted"
    assert suite.result(f"/restate/workflow{path('Approval', tag)}/output", method="GET") == "loan granted"


def test_a_workflow_runs_once_per_key(services: Services, tag: str) -> None:
    suite, path = services.suite, services.path
    running = suite.send(path("Approval", tag, "run"), "first")
    services.endpoint.wait_for_effect(tag, "opened")
    second = suite.call(path("Approval", tag, "run"), "second")
    assert (second.status_code, second.json()["source"]) == (409, "invocation")
    repeat = suite.call(path("Approval", tag, "run", "send"), "third")
    assert (repeat.status_code, repeat.json()) == (202, {"invocationId": running, "status": "PreviouslyAccepted"})
    suite.result(path("Approval", tag, "decide"), "granted")
    assert suite.attach(running).json() == "first granted"
    assert suite.call(path("Approval", tag, "run"), "fourth").status_code == 409
    assert services.endpoint.effects(tag) == ["opened"]


def test_a_promise_may_be_resolved_before_the_workflow_runs(services: Services, tag: str) -> None:
    suite, path = services.suite, services.path
    suite.result(path("Approval", tag, "decide"), "granted")
    assert suite.result(path("Approval", tag, "run"), "early") == "early granted"


def test_an_idempotency_key_is_refused_for_run(services: Services, tag: str) -> None:
    response = services.suite.call(services.path("Approval", tag, "run"), "loan", headers={"idempotency-key": tag})
    assert (response.status_code, response.json()["source"]) == (400, "ingress")
