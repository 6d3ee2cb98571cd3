"""Calls to other handlers, awaited or not. Source: shared/spec/lifecycle.md, 5.1; service-protocol.md, 5.3."""

from perdure.base.ids import InvocationId, format_invocation_id
from perdure.model.invocation import CallSink
from perdure.model.journal import Call, CompletionType, OneWayCall
from perdure.model.mail import InvokeMail
from perdure.model.result import InvocationIdResult
from services.invoker.machine.events import BuiltInCalled, CallResolved
from services.invoker.machine.turn import Turn
from services.invoker.machine.view import Live


def apply_call(turn: Turn, live: Live, resolved: CallResolved) -> None:
    """Journal a call, tell the caller the id of the callee, and send the invocation on its way."""
    command = resolved.command
    assert isinstance(command, Call)
    sink = CallSink(live.id, command.completion_id)
    _invoke(turn, live, resolved, command, sink, execution_at_ms=None)


def apply_one_way_call(turn: Turn, live: Live, resolved: CallResolved) -> None:
    """Journal a call that nobody awaits; with a time it is scheduled, even where that has passed."""
    command = resolved.command
    assert isinstance(command, OneWayCall)
    _invoke(turn, live, resolved, command, sink=None, execution_at_ms=command.invoke_at_ms or None)


def apply_built_in(turn: Turn, live: Live, called: BuiltInCalled) -> None:
    """Journal a call of a service of the server's own, and do and answer it at once. It has no callee."""
    command, mail = called.command, called.mail
    turn.append_command(live, command)
    if mail is not None:
        turn.send(mail.invocation_id, mail)
    if isinstance(command, Call):
        turn.complete(live, CompletionType.CALL, command.completion_id, called.answer)


def _invoke(
    turn: Turn, live: Live, resolved: CallResolved, command: Call | OneWayCall, sink: CallSink | None, execution_at_ms: int | None
) -> None:
    callee_id = InvocationId(command.callee_id)
    turn.append_command(live, command)
    id_result = InvocationIdResult(format_invocation_id(callee_id))
    turn.complete(live, CompletionType.CALL_INVOCATION_ID, command.invocation_id_completion_id, id_result)
    mail = InvokeMail(
        invocation_id=callee_id,
        target=resolved.target,
        body=command.parameter,
        headers=command.headers,
        source=resolved.source,
        sink=sink,
        idempotency_key=command.target.idempotency_key,
        execution_at_ms=execution_at_ms,
        completion_retention_ms=command.completion_retention_ms,
        journal_retention_ms=command.journal_retention_ms,
        traceparent=resolved.traceparent,
        tracestate=resolved.tracestate,
        starts_trace=resolved.starts_trace,
    )
    turn.send(callee_id, mail)
