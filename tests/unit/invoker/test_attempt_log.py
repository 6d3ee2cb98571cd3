"""What the log says of attempts, and with which context."""

import logging
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from perdure.base.trace import TraceContext
from perdure.model.journal import AttemptError
from perdure.model.target import HandlerType
from services.invoker.attempt_log import REASON_CHARACTERS_MAX, AttemptLog
from services.invoker.plan import Outcome
from tests.unit.invoker.builders import Machine, a_target

CONTEXT = {"target": "Svc/{key}/handle", "partition": 3, "attempt": 1, "deployment_id": "dp_1"}


@pytest.fixture
def at_level(request: pytest.FixtureRequest) -> Any:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(request.param))
    yield
    structlog.reset_defaults()


at_info = pytest.mark.parametrize("at_level", [logging.INFO], indirect=True)
at_debug = pytest.mark.parametrize("at_level", [logging.DEBUG], indirect=True)


def an_attempt(outcome: Outcome, error: AttemptError | None = None, *, context: TraceContext | None = None, **options: Any) -> Any:
    return SimpleNamespace(
        partition=3,
        live=Machine().running(1, a_target(HandlerType.EXCLUSIVE), **options),
        number=1,
        plan=SimpleNamespace(deployment=SimpleNamespace(id="dp_1")),
        outcome=outcome,
        error=error,
        context=context,
        duration_s=0.25,
    )


def lines_of(attempt: Any) -> list[dict[str, Any]]:
    with capture_logs() as lines:
        log = AttemptLog()
        log.started(attempt)
        log.closed(attempt)
    return [dict(line) for line in lines]


@at_info
@pytest.mark.usefixtures("at_level")
def test_a_failed_attempt_is_a_warning_with_its_context_and_reason() -> None:
    error = AttemptError(500, "x" * 2 * REASON_CHARACTERS_MAX, "RT0007", related_command_index=2, related_command_type="run")
    (line,) = lines_of(an_attempt(Outcome.FAILED, error))
    assert line.pop("invocation_id").startswith("inv_1")
    facts = {"error_code": "RT0007", "code": 500, "reason": "x" * REASON_CHARACTERS_MAX, "command_index": 2, "command_type": "run"}
    assert line == {"event": "attempt_failed", "log_level": "warning", **CONTEXT, **facts}


@at_info
@pytest.mark.usefixtures("at_level")
def test_the_trace_is_named_where_there_is_one_whether_or_not_it_is_told() -> None:
    error = AttemptError(500, "broken", "RT0007")
    caller = TraceContext(0xA1, 0xB2, is_sampled=True)
    (told,) = lines_of(an_attempt(Outcome.FAILED, error, context=TraceContext(0xC3, 0xD4, is_sampled=True)))
    (passed_on,) = lines_of(an_attempt(Outcome.FAILED, error, traceparent=caller.traceparent))
    assert (told["trace_id"], passed_on["trace_id"]) == (f"{0xC3:032x}", f"{0xA1:032x}")


@at_info
@pytest.mark.usefixtures("at_level")
def test_what_went_well_is_not_in_the_log() -> None:
    assert lines_of(an_attempt(Outcome.ENDED)) == []


@at_debug
@pytest.mark.usefixtures("at_level")
def test_at_debug_every_attempt_is_in_the_log() -> None:
    started, closed = lines_of(an_attempt(Outcome.SUSPENDED))
    assert started["event"] == "attempt_started"
    assert (closed["event"], closed["outcome"], closed["duration_ms"]) == ("attempt_closed", "suspended", 250)


@at_info
@pytest.mark.usefixtures("at_level")
def test_an_attempt_without_deployment_fails_in_the_log_too() -> None:
    with capture_logs() as lines:
        AttemptLog().refused(3, Machine().running(1), AttemptError(500, "no deployment was found", "RT0011"))
    assert [(line["event"], line["deployment_id"], line["error_code"]) for line in lines] == [("attempt_failed", None, "RT0011")]
