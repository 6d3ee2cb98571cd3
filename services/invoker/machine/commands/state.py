"""State of a virtual object or workflow: written when the command is journaled, never undone.

Source: shared/spec/lifecycle.md, section 7; shared/spec/service-protocol.md, 5.3 and 5.8.
"""

from perdure.base.limits import ROW_KEY_BYTES_MAX, VALUE_BYTES_MAX
from perdure.model.journal import (
    ClearAllState,
    ClearState,
    CompletionType,
    GetEagerState,
    GetEagerStateKeys,
    GetLazyState,
    GetLazyStateKeys,
    SetState,
)
from perdure.model.result import StateKeys, Success, Void
from services.invoker.machine.commands.refusal import CommandRefused
from services.invoker.machine.turn import Turn
from services.invoker.machine.view import CachedState, Live


def apply_get_lazy_state(turn: Turn, live: Live, command: GetLazyState) -> None:
    """Journal a read and answer it at once."""
    value = _readable(turn, live).entries.get(command.key)
    turn.append_command(live, command)
    turn.complete(live, CompletionType.GET_LAZY_STATE, command.completion_id, Void() if value is None else Success(value))


def apply_get_lazy_state_keys(turn: Turn, live: Live, command: GetLazyStateKeys) -> None:
    """Journal a listing of names and answer it at once, in byte order."""
    names = tuple(sorted(_readable(turn, live).entries))
    turn.append_command(live, command)
    turn.complete(live, CompletionType.GET_LAZY_STATE_KEYS, command.completion_id, StateKeys(names))


def apply_get_eager_state(turn: Turn, live: Live, command: GetEagerState | GetEagerStateKeys) -> None:
    """Journal a read that the SDK answered from the state it was sent."""
    _readable(turn, live)
    turn.append_command(live, command)


def apply_set_state(turn: Turn, live: Live, command: SetState) -> None:
    """Write one entry."""
    state = _writable(turn, live)
    row = _row(turn, live, command.key)
    if len(row) > ROW_KEY_BYTES_MAX:
        raise CommandRefused(f"the name of the state, {len(command.key)} bytes, is too long for the store", "RT0017")
    turn.append_command(live, command)
    before = state.entries.get(command.key)
    state.entries[command.key] = command.value
    turn.put_value(row, command.value, was_wide=_is_wide(before))


def apply_clear_state(turn: Turn, live: Live, command: ClearState) -> None:
    """Remove one entry."""
    state = _writable(turn, live)
    turn.append_command(live, command)
    before = state.entries.pop(command.key, None)
    if before is not None:
        turn.put_value(_row(turn, live, command.key), None, was_wide=_is_wide(before))


def apply_clear_all_state(turn: Turn, live: Live, command: ClearAllState) -> None:
    """Remove every entry of the key."""
    state = _writable(turn, live)
    turn.append_command(live, command)
    for name, before in state.entries.items():
        turn.put_value(_row(turn, live, name), None, was_wide=_is_wide(before))
    state.entries.clear()


def _is_wide(value: bytes | None) -> bool:
    return value is not None and len(value) > VALUE_BYTES_MAX


def _readable(turn: Turn, live: Live) -> CachedState:
    target = live.record.target
    if not target.handler_type.reads_state or target.key is None:
        raise CommandRefused("unsupported entry type, this service type doesn't have state access", "RT0017")
    state = turn.view.states[target.service, target.key]
    assert state.pins > 0, "the state of a running attempt stays in memory"
    return state


def _writable(turn: Turn, live: Live) -> CachedState:
    state = _readable(turn, live)
    if not live.record.target.handler_type.writes_state:
        raise CommandRefused("unsupported entry type, this handler type cannot write state", "RT0017")
    turn.step.states.add(state)
    return state


def _row(turn: Turn, live: Live, name: bytes) -> bytes:
    target = live.record.target
    assert target.key is not None
    return turn.keys.state(target.service, target.key, name)
