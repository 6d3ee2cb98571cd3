"""The end of an invocation. Source: shared/spec/lifecycle.md, 3.4 and 4.4."""

from perdure.model.invocation import Status
from perdure.model.result import Outcome
from perdure.model.target import HandlerType
from perdure.model.timer import EXPIRE_INDEX, EXPIRE_JOURNAL_INDEX, Timer, TimerKind
from services.invoker.machine.lifecycle.mutate import apply_waiting
from services.invoker.machine.turn import Turn
from services.invoker.machine.view import Live, WaitingMutation


def complete(turn: Turn, live: Live, result: Outcome) -> None:
    """Give the result to all that wait, keep it for its retention, and let the next one have the key."""
    record = live.record
    for waiting in live.waiting:
        turn.answer(waiting, result, target=record.target)
    for sink in record.sinks:
        turn.answer(sink, result)
    live.waiting = []
    record.sinks = []
    record.result = result
    record.completed_at_ms = turn.now_ms
    record.awaiting = None
    turn.rest(live)
    turn.end(live, result)
    if record.completion_retention_ms > 0:
        turn.set_status(live, Status.COMPLETED)
        _retain(turn, live)
    else:
        remove(turn, live)
    release_lock(turn, live)


def remove(turn: Turn, live: Live) -> None:
    """Let an invocation leave no row behind."""
    turn.count(live.record, -1)
    live.has_ended = True
    live.is_removed = True
    turn.touch(live)
    turn.drop_journal(live.id, live.record)


def release_lock(turn: Turn, live: Live) -> None:
    """Pass the lock of an object to the next in its inbox, or free it."""
    target = live.record.target
    if target.handler_type is not HandlerType.EXCLUSIVE or target.key is None:
        return
    object_key = (target.service, target.key)
    if turn.view.locks.get(object_key) != live.id:
        return
    if object_key in turn.view.inboxes:
        apply_waiting(turn, object_key)
    inbox = turn.view.inboxes.get(object_key)
    if not inbox:
        del turn.view.locks[object_key]
        turn.put(turn.keys.lock(*object_key), None)
        return
    successor_id = inbox.popleft()
    assert not isinstance(successor_id, WaitingMutation), "those that are first have been applied"
    successor = turn.view.lives[successor_id]
    if not inbox:
        del turn.view.inboxes[object_key]
    turn.view.locks[object_key] = successor.id
    turn.put(turn.keys.lock(*object_key), successor.id)
    assert successor.record.inbox_sequence is not None
    turn.put(turn.keys.inbox(*object_key, successor.record.inbox_sequence), None)
    successor.record.inbox_sequence = None
    turn.start_attempt(successor)


def _retain(turn: Turn, live: Live) -> None:
    record = live.record
    if record.journal_retention_ms == 0:
        turn.drop_journal(live.id, record)
    elif record.journal_retention_ms < record.completion_retention_ms:
        at_ms = turn.now_ms + record.journal_retention_ms
        turn.arm(Timer(at_ms, live.id, EXPIRE_JOURNAL_INDEX, TimerKind.EXPIRE_JOURNAL))
    turn.arm(Timer(turn.now_ms + record.completion_retention_ms, live.id, EXPIRE_INDEX, TimerKind.EXPIRE))
