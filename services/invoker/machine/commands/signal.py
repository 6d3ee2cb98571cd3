"""Signals to other invocations, awakeables among them. Source: shared/spec/service-protocol.md, 5.7."""

from perdure.base.ids import InvalidId, parse_awakeable_id, parse_invocation_id
from perdure.model.journal import CompleteAwakeable, SendSignal
from perdure.model.mail import SignalMail
from services.invoker.machine.commands.refusal import CommandRefused
from services.invoker.machine.turn import Turn
from services.invoker.machine.view import Live


def apply_send_signal(turn: Turn, live: Live, command: SendSignal) -> None:
    """Journal and send a signal; nothing tells whether somebody is there to take it."""
    try:
        target_id = parse_invocation_id(command.target_invocation_id)
    except InvalidId as reason:
        raise CommandRefused(f"invalid invocation id {command.target_invocation_id}: {reason}", "RT0017") from None
    turn.append_command(live, command)
    turn.send(target_id, SignalMail(target_id, command.signal_index, command.signal_name, command.result))


def apply_complete_awakeable(turn: Turn, live: Live, command: CompleteAwakeable) -> None:
    """Journal and send the result of an awakeable."""
    try:
        target_id, index = parse_awakeable_id(command.awakeable_id)
    except InvalidId as reason:
        raise CommandRefused(f"invalid awakeable id {command.awakeable_id}: {reason}", "RT0012") from None
    turn.append_command(live, command)
    turn.send(target_id, SignalMail(target_id, index, None, command.result))
