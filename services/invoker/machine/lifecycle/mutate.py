"""Changes of state from outside: in the order of the inbox, between invocations. Source: shared/spec/lifecycle.md, section 7."""

import base64
import hashlib
from collections import deque
from collections.abc import Mapping
from typing import Final

import msgspec

from perdure.base.limits import VALUE_BYTES_MAX
from perdure.bus.messages import Accepted, MutateState, Overloaded
from perdure.model.state import StateMutation
from services.invoker.machine.turn import Turn
from services.invoker.machine.view import ObjectKey, WaitingMutation

MUTATIONS_WAITING_MAX: Final = 1_000
"""Mutations that wait in all inboxes of a partition; the states that they are for stay in memory."""

_encode = msgspec.msgpack.Encoder().encode


def mutate(turn: Turn, reply_subject: str, request: MutateState) -> None:
    """Apply a mutation now, or let it wait behind all that holds or awaits the object; workflows and shared handlers hold nothing."""
    view = turn.view
    object_key = (request.service, request.key)
    if object_key not in view.locks:
        apply_mutation(turn, object_key, request.mutation)
    elif view.mutations_waiting >= MUTATIONS_WAITING_MAX:
        turn.reply(reply_subject, Overloaded(request.request_id))
        return
    else:
        view.inbox_sequence += 1
        waiting = WaitingMutation(view.inbox_sequence, request.mutation)
        view.inboxes.setdefault(object_key, deque()).append(waiting)
        view.mutations_waiting += 1
        view.states[object_key].pins += 1
        turn.put_value(turn.keys.mutation(*object_key, waiting.sequence), _encode(request.mutation))
    turn.reply(reply_subject, Accepted(request.request_id))


def apply_waiting(turn: Turn, object_key: ObjectKey) -> None:
    """Apply the mutations that are first in an inbox."""
    view = turn.view
    inbox = view.inboxes.get(object_key)
    while inbox and isinstance(waiting := inbox[0], WaitingMutation):
        inbox.popleft()
        view.mutations_waiting -= 1
        view.states[object_key].pins -= 1
        turn.put_value(turn.keys.mutation(*object_key, waiting.sequence), None, was_wide=True)
        apply_mutation(turn, object_key, waiting.mutation)
    if inbox is not None and not inbox:
        del view.inboxes[object_key]


def apply_mutation(turn: Turn, object_key: ObjectKey, mutation: StateMutation) -> None:
    """Replace all state of a key, unless it is not what the mutation expects."""
    state = turn.view.states[object_key]
    if mutation.version is not None and mutation.version != version_of(state.entries):
        return
    turn.step.states.add(state)
    entries = dict(mutation.entries)
    for name, before in state.entries.items():
        if name not in entries:
            turn.put_value(turn.keys.state(*object_key, name), None, was_wide=len(before) > VALUE_BYTES_MAX)
    for name, value in entries.items():
        was_wide = len(state.entries.get(name, b"")) > VALUE_BYTES_MAX
        turn.put_value(turn.keys.state(*object_key, name), value, was_wide=was_wide)
    state.entries.clear()
    state.entries.update(entries)


def version_of(entries: Mapping[bytes, bytes]) -> str:
    """Return what clients know a state by: 43 characters."""
    digest = hashlib.sha256()
    for number, (name, value) in enumerate(sorted(entries.items())):
        digest.update(b"%b\x01%b\x02%b\x03" % (number.to_bytes(8, "big"), name, value))
    return base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()
