"""Attach to another invocation, or read its output. Source: shared/spec/service-protocol.md, 5.3 and 5.9."""

from perdure.base.ids import InvalidId, InvocationId, idempotent_invocation_id, parse_invocation_id, workflow_invocation_id
from perdure.model.invocation import CallSink
from perdure.model.journal import AttachInvocation, AttachTarget, GetInvocationOutput, IdempotentTarget, WorkflowTarget
from perdure.model.mail import AttachMail, OutputMail
from services.invoker.machine.commands.refusal import CommandRefused
from services.invoker.machine.turn import Turn
from services.invoker.machine.view import Live


def apply_attach(turn: Turn, live: Live, command: AttachInvocation) -> None:
    """Wait for the result of another invocation."""
    target_id = _resolve(command.target)
    turn.append_command(live, command)
    turn.send(target_id, AttachMail(target_id, CallSink(live.id, command.completion_id, is_attach=True)))


def apply_get_output(turn: Turn, live: Live, command: GetInvocationOutput) -> None:
    """Read the result of another invocation, if there is one."""
    target_id = _resolve(command.target)
    turn.append_command(live, command)
    turn.send(target_id, OutputMail(target_id, CallSink(live.id, command.completion_id)))


def _resolve(target: AttachTarget) -> InvocationId:
    if isinstance(target, WorkflowTarget):
        return workflow_invocation_id(target.workflow, target.key)
    if isinstance(target, IdempotentTarget):
        return idempotent_invocation_id(target.service, target.key, target.handler, target.idempotency_key)
    try:
        return parse_invocation_id(target.invocation_id)
    except InvalidId as reason:
        raise CommandRefused(f"invalid invocation id {target.invocation_id}: {reason}", "RT0017") from None
