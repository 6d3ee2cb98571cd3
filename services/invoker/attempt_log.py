"""Log lines of attempts, all with the same context; it is not worked out for what nobody prints."""

import logging
from typing import Final

import structlog
from structlog.typing import FilteringBoundLogger

from perdure.base.ids import format_invocation_id
from perdure.base.trace import parse_traceparent
from perdure.model.journal import AttemptError
from perdure.process.spans import short_name
from services.invoker.attempt import Attempt
from services.invoker.machine.view import Live
from services.invoker.plan import Outcome

REASON_CHARACTERS_MAX: Final = 1_000


class AttemptLog:
    """A failure is a warning: it heals, or the invocation ends or pauses, which others tell; many are worth a look."""

    def __init__(self) -> None:
        self._log: FilteringBoundLogger = structlog.get_logger("perdure.invoker").bind()

    def started(self, attempt: Attempt) -> None:
        """Tell that an attempt is open."""
        if self._log.is_enabled_for(logging.DEBUG):
            self._of(attempt).debug("attempt_started")

    def closed(self, attempt: Attempt) -> None:
        """Tell how an attempt ended."""
        if attempt.outcome is Outcome.FAILED and attempt.error is not None:
            self._of(attempt).warning("attempt_failed", **_facts(attempt.error))
        elif self._log.is_enabled_for(logging.DEBUG):
            self._of(attempt).debug("attempt_closed", outcome=str(attempt.outcome), duration_ms=round(attempt.duration_s * 1_000))

    def refused(self, partition: int, live: Live, error: AttemptError) -> None:
        """Tell that no deployment can be asked."""
        pin = live.record.pin
        deployment_id = None if pin is None else pin.deployment_id
        self._bound(partition, live, live.attempt, deployment_id, None).warning("attempt_failed", **_facts(error))

    def _of(self, attempt: Attempt) -> FilteringBoundLogger:
        trace_id = None if attempt.context is None else attempt.context.trace_id
        return self._bound(attempt.partition, attempt.live, attempt.number, attempt.plan.deployment.id, trace_id)

    def _bound(self, partition: int, live: Live, number: int, deployment_id: str | None, trace_id: int | None) -> FilteringBoundLogger:
        log = self._log.bind(
            invocation_id=format_invocation_id(live.id),
            target=short_name(live.record.target),
            partition=partition,
            deployment_id=deployment_id,
            attempt=number,
        )
        if trace_id is None and live.record.traceparent is not None:
            context = parse_traceparent(live.record.traceparent)
            trace_id = None if context is None else context.trace_id
        return log if trace_id is None else log.bind(trace_id=f"{trace_id:032x}")


def _facts(error: AttemptError) -> dict[str, object]:
    facts: dict[str, object] = {"error_code": error.doc_code, "code": error.code, "reason": error.message[:REASON_CHARACTERS_MAX]}
    if error.related_command_index is not None:
        facts |= {"command_index": error.related_command_index, "command_type": error.related_command_type}
    return facts
