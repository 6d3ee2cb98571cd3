"""Output, run and sleep. Source: shared/spec/service-protocol.md, 5.3 and 5.6."""

from perdure.model.journal import Completion as CompletionEntry
from perdure.model.journal import CompletionType, Input, Output, Run, RunProposal, Sleep
from perdure.model.timer import Timer, TimerKind
from services.invoker.machine.commands.refusal import CommandRefused
from services.invoker.machine.turn import Turn
from services.invoker.machine.view import Live


def apply_input(_turn: Turn, _live: Live, _command: Input) -> None:
    """Refuse: the input is the server's to write."""
    raise CommandRefused("a deployment cannot send an input", "RT0012")


def apply_output(turn: Turn, live: Live, command: Output) -> None:
    """Journal a result; the last one counts when the attempt ends."""
    turn.append_command(live, command)


def apply_run(turn: Turn, live: Live, command: Run) -> None:
    """Journal that a side effect begins; its result comes as a proposal."""
    turn.append_command(live, command)


def apply_proposal(turn: Turn, live: Live, proposal: RunProposal) -> None:
    """Journal the result of a side effect; the attempt goes on only once it is durable."""
    completion = CompletionEntry(CompletionType.RUN, proposal.completion_id, proposal.result)
    turn.notify(live, completion, as_ack=proposal.wants_ack)
    turn.note_progress(live)


def apply_sleep(turn: Turn, live: Live, command: Sleep) -> None:
    """Journal a sleep and arm its timer; one that is already due fires on the next tick."""
    turn.append_command(live, command)
    turn.arm(Timer(command.wake_up_at_ms, live.id, command.completion_id, TimerKind.SLEEP))
