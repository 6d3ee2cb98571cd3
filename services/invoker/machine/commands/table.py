"""Everything that an attempt can ask for: one row per command."""

from collections.abc import Callable
from typing import Any, Final

from perdure.model import journal
from services.invoker.machine.commands import attach, basic, call, promise, signal, state
from services.invoker.machine.events import BuiltInCalled
from services.invoker.machine.turn import Turn
from services.invoker.machine.view import Live

COMMANDS: Final[dict[type, Callable[[Turn, Live, Any], None]]] = {  # Any: each row takes its own command
    journal.Input: basic.apply_input,
    journal.Output: basic.apply_output,
    journal.Run: basic.apply_run,
    journal.RunProposal: basic.apply_proposal,
    journal.Sleep: basic.apply_sleep,
    journal.GetLazyState: state.apply_get_lazy_state,
    journal.GetLazyStateKeys: state.apply_get_lazy_state_keys,
    journal.GetEagerState: state.apply_get_eager_state,
    journal.GetEagerStateKeys: state.apply_get_eager_state,
    journal.SetState: state.apply_set_state,
    journal.ClearState: state.apply_clear_state,
    journal.ClearAllState: state.apply_clear_all_state,
    journal.Call: call.apply_call,
    journal.OneWayCall: call.apply_one_way_call,
    BuiltInCalled: call.apply_built_in,
    journal.SendSignal: signal.apply_send_signal,
    journal.CompleteAwakeable: signal.apply_complete_awakeable,
    journal.AttachInvocation: attach.apply_attach,
    journal.GetInvocationOutput: attach.apply_get_output,
    journal.GetPromise: promise.apply_get_promise,
    journal.PeekPromise: promise.apply_peek_promise,
    journal.CompletePromise: promise.apply_complete_promise,
}
"""Calls take the event around the command, `CallResolved` or `BuiltInCalled`, everything else the command itself."""
