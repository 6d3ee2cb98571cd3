"""Cancel: a signal to what runs, the end of what has not begun. Source: shared/spec/lifecycle.md, 3.3 and 5.6."""

from perdure.base.ids import CANCEL_SIGNAL
from perdure.model.invocation import Status
from perdure.model.journal import Signal
from perdure.model.result import Failure, Void
from perdure.model.timer import START_INDEX
from services.invoker.machine.lifecycle.complete import remove
from services.invoker.machine.turn import Turn
from services.invoker.machine.view import Live

CANCELED = Failure(409, "canceled")
CANCEL = Signal(CANCEL_SIGNAL, None, Void())


def cancel(turn: Turn, live: Live) -> str:
    """Cancel an invocation that has not ended; return `done` or `appended`."""
    if live.record.status in {Status.SCHEDULED, Status.INBOXED}:
        end_unstarted(turn, live, CANCELED)
        return "done"
    turn.notify(live, CANCEL)
    if live.record.status in {Status.SUSPENDED, Status.PAUSED}:
        turn.start_attempt(live)
    return "appended"


def end_unstarted(turn: Turn, live: Live, failure: Failure) -> None:
    """End an invocation that never ran; it leaves no row, whatever its retention."""
    record = live.record
    if record.status is Status.SCHEDULED:
        assert record.execution_at_ms is not None
        turn.disarm(record.execution_at_ms, live.id, START_INDEX)
    else:
        _leave_inbox(turn, live)
    for sink in [*live.waiting, *record.sinks]:
        turn.answer(sink, failure)
    live.waiting = []
    record.sinks = []
    turn.end(live, failure)
    remove(turn, live)


def _leave_inbox(turn: Turn, live: Live) -> None:
    target, sequence = live.record.target, live.record.inbox_sequence
    assert target.key is not None
    assert sequence is not None
    object_key = (target.service, target.key)
    inbox = turn.view.inboxes[object_key]
    inbox.remove(live.id)
    if not inbox:
        del turn.view.inboxes[object_key]
    turn.put(turn.keys.inbox(*object_key, sequence), None)
