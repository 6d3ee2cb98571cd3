"""Awakeables completed over HTTP, suspension after the inactivity timeout, and resumption."""

import httpx
import pytest

from tests.e2e.conftest import Services
from tests.e2e.processes import eventually


def complete(services: Services, awakeable: str, how: str, body: object) -> httpx.Response:
    response = services.suite.call(f"/restate/awakeables/{awakeable}/{how}", body)
    assert (response.status_code, response.content) == (202, b"")
    return response


def awakeable_of(services: Services, tag: str) -> str:
    """Return the id that a handler has told under `tag`."""
    told = eventually(lambda: [line for line in services.endpoint.effects(tag) if "_1" in line], f"id of {tag}")
    return told[0].removeprefix("id ")


def test_a_resolved_awakeable_gives_its_value(services: Services, tag: str) -> None:
    waiting = services.suite.send(services.path("Holder", "hold"), tag)
    complete(services, awakeable_of(services, tag), "resolve", "gold")
    assert services.suite.attach(waiting).json() == "resolved gold"


def test_a_rejected_awakeable_raises_its_reason(services: Services, tag: str) -> None:
    waiting = services.suite.send(services.path("Holder", "hold"), tag)
    complete(services, awakeable_of(services, tag), "reject", b"too late")
    assert services.suite.attach(waiting).json() == "rejected too late"


def test_the_first_completion_of_an_awakeable_counts(services: Services, tag: str) -> None:
    waiting = services.suite.send(services.path("Holder", "hold"), tag)
    awakeable = awakeable_of(services, tag)
    complete(services, awakeable, "resolve", "first")
    complete(services, awakeable, "resolve", "second")
    complete(services, awakeable, "reject", b"third")
    assert services.suite.attach(waiting).json() == "resolved first"


def test_a_suspended_invocation_resumes_with_what_it_waited_for(services: Services, tag: str) -> None:
    waiting = services.suite.send(services.path("Patient", "await_long"), tag)
    awakeable = awakeable_of(services, tag)
    services.endpoint.wait_for_effect(tag, "end")
    assert services.suite.call(f"/restate/output/{waiting}", method="GET").status_code == 470
    complete(services, awakeable, "resolve", "late")
    assert services.suite.attach(waiting).json() == "late"
    effects = services.endpoint.effects(tag)
    assert effects.count("begin") >= 2
    assert effects.count(f"id {awakeable}") == 1


def test_a_sleep_beyond_the_inactivity_timeout_is_resumed_by_its_timer(services: Services, tag: str) -> None:
    assert services.suite.result(services.path("Patient", "nap_long"), tag) == "rested"
    assert services.endpoint.effects(tag).count("begin") >= 2


def test_a_caller_that_suspends_is_resumed_by_its_callee(services: Services, tag: str) -> None:
    result = services.suite.result(services.path("Patient", "call_sleeper"), {"tag": tag, "ms": 1_800})
    assert result == "rested"
    assert services.endpoint.effects(tag) == ["before", "after"]
    assert services.endpoint.effects(f"{tag}-caller").count("begin") >= 2


@pytest.mark.parametrize("awakeable", ["nonsense", "prom_1", "sign_1abc", "inv_1gdJBtdVEcM95mw1LLMMJY1Y0thJ9ugFGN"])
def test_what_is_not_an_awakeable_is_refused(services: Services, awakeable: str) -> None:
    response = services.suite.call(f"/restate/awakeables/{awakeable}/resolve", 1)
    assert response.status_code == 400
    assert response.headers["x-restate-error-source"] == "ingress"
