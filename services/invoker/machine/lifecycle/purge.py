"""The end of retention, by time or by hand. Source: shared/spec/lifecycle.md, 3.5 and 4.4."""

from perdure.base.ids import InvocationId
from perdure.model.invocation import InvocationRecord, Status
from perdure.model.target import HandlerType
from services.invoker.machine.lifecycle.complete import remove
from services.invoker.machine.lifecycle.output import find
from services.invoker.machine.turn import Turn
from services.invoker.machine.view import Live


def expire(turn: Turn, invocation_id: InvocationId) -> None:
    """Remove a completed invocation whose retention has ended; its record was looked up before."""
    existing = find(turn, invocation_id)
    if existing is None:
        return
    record = existing.record if isinstance(existing, Live) else existing
    if record.status is Status.COMPLETED and record.completed_at_ms is not None:
        ends_at_ms = record.completed_at_ms + record.completion_retention_ms
        if ends_at_ms <= turn.now_ms:
            purge(turn, invocation_id, existing)


def expire_journal(turn: Turn, invocation_id: InvocationId) -> None:
    """Remove the journal of a completed invocation whose own retention has ended."""
    existing = find(turn, invocation_id)
    record = existing.record if isinstance(existing, Live) else existing
    if record is not None and record.status is Status.COMPLETED and record.journal_length:
        purge_journal(turn, invocation_id, record)


def purge(turn: Turn, invocation_id: InvocationId, existing: Live | InvocationRecord) -> None:
    """Remove record and journal; for the run of a workflow its state and promises too."""
    record = existing.record if isinstance(existing, Live) else existing
    turn.put_value(turn.keys.invocation(invocation_id), None, was_wide=True)
    remove(turn, existing if isinstance(existing, Live) else turn.recall(invocation_id, existing))
    target = record.target
    if target.handler_type is HandlerType.WORKFLOW and target.key is not None:
        _forget_workflow(turn, target.service, target.key)


def purge_journal(turn: Turn, invocation_id: InvocationId, record: InvocationRecord) -> None:
    """Remove the journal and keep the result."""
    turn.drop_journal(invocation_id, record)
    turn.put_completed(invocation_id, record)


def _forget_workflow(turn: Turn, service: str, key: str) -> None:
    turn.step.clear_prefix(turn.keys.state_of(service, key))
    turn.step.clear_prefix(turn.keys.promises_of(service, key))
    state = turn.view.states.get((service, key))
    if state is not None:
        state.entries.clear()
        state.promises.clear()
        turn.step.states.add(state)
