"""What a running attempt does to its invocation. Source: shared/spec/lifecycle.md, 3.3; service-protocol.md, section 6."""

from perdure.base.ids import InvocationId
from perdure.model.invocation import Pin, Status
from perdure.model.journal import AttemptError, ErrorBehavior, EventType, Output, RunProposal
from perdure.model.result import Failure
from services.invoker.machine import futures
from services.invoker.machine.commands.refusal import CommandRefused, error_of
from services.invoker.machine.commands.table import COMMANDS
from services.invoker.machine.events import (
    AttemptEnded,
    AttemptFailed,
    AttemptItem,
    AttemptProgressed,
    AttemptSuspended,
    BuiltInCalled,
    CallResolved,
    CommandSent,
    RetryDue,
)
from services.invoker.machine.lifecycle.complete import complete
from services.invoker.machine.step import AckCommand, FailAttempt, RetryAttempt
from services.invoker.machine.turn import Turn
from services.invoker.machine.view import Live

NO_OUTPUT = AttemptError(500, "the handler ended without an output", "RT0012")


def progressed(turn: Turn, event: AttemptProgressed) -> None:
    """Journal what the attempt sent, in order, until something breaks a rule."""
    live = _running(turn, event.invocation_id, event.attempt)
    if live is None or live.is_failing:
        return
    _pin(live, event.pin)
    for item in event.items:
        error = _apply_item(turn, live, item)
        if error is not None:
            _fail(turn, live, error)
            return


def suspended(turn: Turn, event: AttemptSuspended) -> None:
    """Suspend, unless what the handler awaits is there already: then run again at once."""
    live = _running(turn, event.invocation_id, event.attempt)
    if live is None or live.is_failing:
        return
    live.record.timings = event.timings
    assert live.journal is not None, "the journal of a running attempt is in memory"
    if live.pause_requested:
        pause(turn, live, None)
        return
    leaves = futures.resolved_leaves(live.journal)
    if futures.resolve(event.awaiting, leaves) is not futures.Resolution.PENDING:
        live.failures = live.failed_attempts = 0
        turn.start_attempt(live)
    else:
        live.record.awaiting = futures.shrink(event.awaiting, leaves)
        turn.rest(live)
        turn.set_status(live, Status.SUSPENDED)


def ended(turn: Turn, event: AttemptEnded) -> None:
    """Complete with the last output in the journal."""
    live = _running(turn, event.invocation_id, event.attempt)
    if live is None or live.is_failing:
        return
    live.record.timings = event.timings
    assert live.journal is not None, "the journal of a running attempt is in memory"
    output = next((entry for entry in reversed(live.journal) if isinstance(entry, Output)), None)
    if output is None:
        _fail(turn, live, NO_OUTPUT)
    else:
        complete(turn, live, output.result)


def failed(turn: Turn, event: AttemptFailed) -> None:
    """Back off and try again, or end as the policy or the error says."""
    live = _running(turn, event.invocation_id, event.attempt)
    if live is None:
        return
    error = event.error
    is_repeated = live.failures_since_entry > 0 and live.last_failure is not None and _is_same(error, live.last_failure)
    live.failures_since_entry += 1
    live.failed_attempts += 1
    live.last_failure = error
    live.is_open = False
    live.record.timings = event.timings
    if live.pause_requested or error.behavior is ErrorBehavior.PAUSE:
        pause(turn, live, error)
    elif error.behavior is ErrorBehavior.FAIL:
        complete(turn, live, Failure(error.code, error.message))
    else:
        _back_off(turn, live, event, is_repeated=is_repeated)


def retry_due(turn: Turn, event: RetryDue) -> None:
    """Start the next attempt after the delay."""
    live = _running(turn, event.invocation_id, event.attempt)
    if live is not None and live.next_retry_at_ms is not None:
        turn.start_attempt(live)


def pause(turn: Turn, live: Live, error: AttemptError | None) -> None:
    """Leave an invocation to a person, because of an error or by hand; it keeps its key."""
    turn.note_event(live, EventType.PAUSED, error)
    live.record.retry_attempts = live.failures
    turn.rest(live)
    turn.set_status(live, Status.PAUSED)


def _back_off(turn: Turn, live: Live, event: AttemptFailed, *, is_repeated: bool) -> None:
    error = event.error
    delay_ms = error.next_retry_delay_ms
    if delay_ms is None:
        live.failures += 1
        if event.policy.is_exhausted(live.failures):
            if event.policy.pauses_on_max_attempts:
                pause(turn, live, error)
            else:
                complete(turn, live, Failure(error.code, error.message))
            return
        delay_ms = event.policy.delay_ms(live.failures, event.jitter)
    if not is_repeated:
        turn.note_event(live, EventType.TRANSIENT_ERROR, error)
    live.next_retry_at_ms = turn.now_ms + delay_ms
    turn.step.touched.add(turn.view.number)
    turn.step.after_commit.append(RetryAttempt(turn.view.number, live.id, live.attempt, delay_ms))


def _running(turn: Turn, invocation_id: InvocationId, attempt: int) -> Live | None:
    live = turn.view.lives.get(invocation_id)
    if live is None or live.attempt != attempt or live.record.status is not Status.INVOKED or live.has_ended:
        return None
    return live


def _is_same(error: AttemptError, other: AttemptError) -> bool:
    """Whether a failure is a repetition that need not be told again."""
    return (error.code, error.message, error.related_command_index, error.related_command_name) == (
        other.code,
        other.message,
        other.related_command_index,
        other.related_command_name,
    )


def _pin(live: Live, pin: Pin) -> None:
    if live.record.pin is None:
        live.record.pin = pin


def _apply_item(turn: Turn, live: Live, item: AttemptItem) -> AttemptError | None:
    """Apply one item; return why the attempt must fail, if it must."""
    if isinstance(item, RunProposal):
        COMMANDS[RunProposal](turn, live, item)
        return None
    if not isinstance(item, (CommandSent, CallResolved, BuiltInCalled)):
        return item.error
    command = item.command
    index = live.record.command_count
    try:
        rule = COMMANDS[BuiltInCalled if isinstance(item, BuiltInCalled) else type(command)]
        rule(turn, live, command if isinstance(item, CommandSent) else item)
    except CommandRefused as refusal:
        return error_of(refusal, command, index)
    if item.wants_ack:
        turn.step.after_commit.append(AckCommand(live.id, live.attempt, index))
    return None


def _fail(turn: Turn, live: Live, error: AttemptError) -> None:
    live.is_failing = True
    turn.step.touched.add(turn.view.number)
    turn.step.after_commit.append(FailAttempt(live.id, live.attempt, error))
