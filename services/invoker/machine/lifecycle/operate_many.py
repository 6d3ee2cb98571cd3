"""An action on all invocations that match a filter, in bounded chunks, each an event of its own.

The operation is a row, so that it goes on after a change of owner; it deals with ids in order and notes the last one.
"""

from typing import Final

import msgspec

from perdure.base.ids import InvocationId
from perdure.bus.messages import InvocationFilter, Operate, Operated, OperateMany
from perdure.model.invocation import InvocationRecord
from services.invoker.machine.events import OperationAdvanced
from services.invoker.machine.lifecycle.operate import LIVE_ACTIONS, PURGE_ACTIONS, act
from services.invoker.machine.lifecycle.output import find
from services.invoker.machine.step import ContinueOperation
from services.invoker.machine.turn import Turn
from services.invoker.machine.view import Live, OperationRecord

CHUNK: Final = 100
"""Invocations that one event deals with."""

_encode = msgspec.msgpack.Encoder().encode


def accept(turn: Turn, reply_subject: str, request: OperateMany, operation_id: bytes) -> None:
    """Keep the operation and begin with it."""
    if request.action not in LIVE_ACTIONS and request.action not in PURGE_ACTIONS:
        turn.reply(reply_subject, Operated(request.request_id, "unsupported"))
        return
    operation = OperationRecord(request.action, request.filter, request.deployment)
    turn.view.operations[operation_id] = operation
    turn.put(turn.keys.operation(operation_id), _encode(operation))
    turn.reply(reply_subject, Operated(request.request_id, "accepted"))
    turn.step.after_commit.append(ContinueOperation(turn.view.number, operation_id))


def advance(turn: Turn, event: OperationAdvanced) -> None:
    """Deal with one chunk, then note how far it came, or that it is done."""
    operation = turn.view.operations.get(event.operation_id)
    if operation is None:
        return
    for invocation_id in event.invocation_ids:
        existing = find(turn, invocation_id)
        if existing is not None and matches(existing, operation.filter):
            act(turn, existing, Operate(0, invocation_id, operation.action, operation.deployment))
    if event.is_last:
        del turn.view.operations[event.operation_id]
        turn.put(turn.keys.operation(event.operation_id), None)
        return
    operation.after = bytes(event.invocation_ids[-1])
    turn.put(turn.keys.operation(event.operation_id), _encode(operation))
    turn.step.after_commit.append(ContinueOperation(turn.view.number, event.operation_id))


def matches(existing: Live | InvocationRecord, wanted: InvocationFilter) -> bool:
    """Whether a filter means an invocation."""
    record = existing.record if isinstance(existing, Live) else existing
    target = record.target
    return (
        (not wanted.services or target.service in wanted.services)
        and (not wanted.handlers or target.handler in wanted.handlers)
        and (not wanted.keys or target.key in wanted.keys)
        and (not wanted.statuses or record.status.name.lower() in wanted.statuses)
    )


def next_live(operation: OperationRecord, lives: dict[InvocationId, Live]) -> tuple[tuple[InvocationId, ...], bool]:
    """Return the next ids of unfinished invocations that match, and whether they are the last."""
    ids = sorted(
        invocation_id
        for invocation_id, live in lives.items()
        if invocation_id > operation.after and not live.has_ended and matches(live, operation.filter)
    )
    return tuple(ids[:CHUNK]), len(ids) <= CHUNK
