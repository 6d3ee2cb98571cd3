"""Failures of handlers: terminal ones reach the caller, others are retried until they stop."""

from tests.e2e.conftest import Services


def test_a_terminal_failure_reaches_the_caller_with_its_code(services: Services) -> None:
    response = services.suite.call(services.path("Failing", "refuse"), "no tea")
    assert (response.status_code, response.headers["x-restate-error-source"]) == (418, "invocation")
    assert response.json() == {"code": 418, "message": "no tea", "source": "invocation"}
    assert response.headers["x-restate-id"].startswith("inv_1")


def test_a_terminal_failure_carries_its_metadata(services: Services) -> None:
    response = services.suite.call(services.path("Failing", "refuse_with_metadata"), "no seat")
    assert (response.status_code, response.json()["metadata"]) == (409, {"reason": "full"})


def test_a_callees_terminal_failure_is_raised_in_its_caller(services: Services) -> None:
    assert services.suite.result(services.path("Caller", "call_refused"), "no tea") == "418 no tea"


def test_an_ordinary_exception_is_retried_without_repeating_journaled_steps(services: Services, tag: str) -> None:
    assert services.suite.result(services.path("Failing", "stumble"), {"tag": tag, "times": 3}) == 4
    effects = services.endpoint.effects(tag)
    assert (effects.count("step"), effects.count("attempt")) == (1, 4)


def test_a_step_with_a_limit_of_attempts_gives_up_with_a_terminal_failure(services: Services, tag: str) -> None:
    assert services.suite.result(services.path("Failing", "step_gives_up"), tag).startswith("gave up")
    assert services.endpoint.effects(tag) == ["try"] * 3
