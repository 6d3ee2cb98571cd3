"""Idempotent repeats, attach and output by id and by idempotency key."""

from tests.e2e.conftest import Services


def test_a_repeat_with_the_same_key_gets_the_first_result(services: Services, tag: str) -> None:
    suite, add = services.suite, services.path("Counter", tag, "add")
    key = {"idempotency-key": tag}
    first = suite.call(add, 5, headers=key)
    repeat = suite.call(add, 100, headers=key)
    assert (first.json(), repeat.json()) == (5, 5)
    assert first.headers["x-restate-id"] == repeat.headers["x-restate-id"]
    assert "idempotency-expires" not in first.headers
    assert repeat.headers["idempotency-expires"].endswith("+00:00")
    assert suite.result(services.path("Counter", tag, "get")) == 5


def test_a_repeated_send_says_that_it_was_accepted_before(services: Services, tag: str) -> None:
    suite, add = services.suite, services.path("Counter", tag, "add", "send")
    answers = [suite.call(add, 1, headers={"idempotency-key": tag}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202] * 3
    assert [answer.json()["status"] for answer in answers] == ["Accepted", "PreviouslyAccepted", "PreviouslyAccepted"]
    assert suite.attach(answers[0].json()["invocationId"]).json() == 1
    assert suite.result(services.path("Counter", tag, "get")) == 1


def test_a_failure_is_repeated_too(services: Services, tag: str) -> None:
    answers = [services.suite.call(services.path("Failing", "refuse"), "no", headers={"idempotency-key": tag}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [418, 418]
    assert answers[0].json() == answers[1].json()


def test_output_is_not_ready_until_the_invocation_completes(services: Services, tag: str) -> None:
    suite = services.suite
    waiting = suite.send(services.path("Holder", "hold"), tag, headers={"idempotency-key": tag})
    services.endpoint.wait_for_effect_count(tag, 1)
    by_id = suite.call(f"/restate/invocation/{waiting}/output", method="GET")
    by_key = suite.call("/restate/invocation" + services.path("Holder", "hold", tag, "output"), method="GET")
    assert (by_id.status_code, by_key.status_code) == (470, 470)
    suite.call(f"/restate/awakeables/{services.endpoint.effects(tag)[0]}/resolve", "x")
    assert suite.call("/restate/invocation" + services.path("Holder", "hold", tag, "attach"), method="GET").json() == "resolved x"
    output = suite.call(f"/restate/output/{waiting}", method="GET")
    assert (output.status_code, output.json()) == (200, "resolved x")
    assert "idempotency-expires" in output.headers


def test_attach_by_id_waits_for_the_result(services: Services, tag: str) -> None:
    suite = services.suite
    waiting = suite.send(services.path("Sleeper", "nap"), {"tag": tag, "ms": 200})
    assert suite.attach(waiting).json() == "rested"


def test_attach_and_output_take_a_target_in_the_body(services: Services, tag: str) -> None:
    suite = services.suite
    suite.result(services.path("Counter", tag, "add"), 3, headers={"idempotency-key": tag})
    target = {"target": "idempotentInvocation", "service": services.prefix + "Counter", "key": tag, "handler": "add", "idempotencyKey": tag}
    assert suite.result("/restate/attach", target) == 3
    assert suite.result("/restate/output", target) == 3


def test_lookup_computes_the_id_of_an_idempotent_call(services: Services, tag: str) -> None:
    suite = services.suite
    target = {"target": "idempotentInvocation", "service": services.prefix + "Greeter", "handler": "greet", "idempotencyKey": tag}
    looked_up = suite.result("/restate/lookup", target)["invocationId"]
    answer = suite.call(services.path("Greeter", "greet"), "Ada", headers={"idempotency-key": tag})
    assert answer.headers["x-restate-id"] == looked_up


def test_what_was_never_invoked_is_not_found(services: Services, tag: str) -> None:
    suite = services.suite
    attach = suite.call("/restate/invocation" + services.path("Greeter", "greet", tag, "attach"), method="GET")
    output = suite.call("/restate/invocation" + services.path("Greeter", "greet", tag, "output"), method="GET")
    assert (attach.status_code, attach.json()["source"]) == (404, "invocation")
    assert (output.status_code, output.json()["source"]) == (404, "ingress")
