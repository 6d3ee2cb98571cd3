"""Durable promises of a workflow. Source: shared/spec/lifecycle.md, 5.5."""

import msgspec

from perdure.base.limits import ROW_KEY_BYTES_MAX
from perdure.model.journal import CompletePromise, CompletionType, GetPromise, PeekPromise
from perdure.model.mail import CompletionMail
from perdure.model.promise import PromiseRecord
from perdure.model.result import Failure, Result, Void
from services.invoker.machine.commands.refusal import CommandRefused
from services.invoker.machine.turn import Turn
from services.invoker.machine.view import Live

ALREADY_COMPLETED = Failure(409, "promise was already completed")
_encode = msgspec.msgpack.Encoder().encode


def apply_get_promise(turn: Turn, live: Live, command: GetPromise) -> None:
    """Answer with the result, or wait for it."""
    promise = _promise(turn, live, command.key)
    turn.append_command(live, command)
    if promise.result is not None:
        turn.complete(live, CompletionType.GET_PROMISE, command.completion_id, promise.result)
        return
    promise.listeners = [*promise.listeners, (live.id, command.completion_id)]
    _store(turn, live, command.key, promise)


def apply_peek_promise(turn: Turn, live: Live, command: PeekPromise) -> None:
    """Answer with the result, or with nothing if there is none yet."""
    promise = _promise(turn, live, command.key)
    turn.append_command(live, command)
    turn.complete(live, CompletionType.PEEK_PROMISE, command.completion_id, promise.result or Void())


def apply_complete_promise(turn: Turn, live: Live, command: CompletePromise) -> None:
    """Complete a promise once and answer all that wait; a second completion is a conflict and changes nothing."""
    promise = _promise(turn, live, command.key)
    turn.append_command(live, command)
    answer: Result = ALREADY_COMPLETED
    if promise.result is None:
        answer = Void()
        promise.result = command.result
        for listener_id, completion_id in promise.listeners:
            mail = CompletionMail(listener_id, CompletionType.GET_PROMISE, completion_id, command.result)
            turn.send(listener_id, mail)
        promise.listeners = []
        _store(turn, live, command.key, promise)
    turn.complete(live, CompletionType.COMPLETE_PROMISE, command.completion_id, answer)


def _promise(turn: Turn, live: Live, name: str) -> PromiseRecord:
    target = live.record.target
    if not target.is_workflow or target.key is None:
        raise CommandRefused("unsupported entry type, only Workflow services support it", "RT0017")
    if len(turn.keys.promise(target.service, target.key, name)) > ROW_KEY_BYTES_MAX:
        raise CommandRefused(f"the name of the promise, {len(name)} characters, is too long for the store", "RT0017")
    state = turn.view.states[target.service, target.key]
    assert state.pins > 0, "the promises of a running attempt stay in memory"
    turn.step.states.add(state)
    return state.promises.setdefault(name, PromiseRecord())


def _store(turn: Turn, live: Live, name: str, promise: PromiseRecord) -> None:
    target = live.record.target
    assert target.key is not None
    turn.put_value(turn.keys.promise(target.service, target.key, name), _encode(promise))
