"""Arrival of an invocation: deduplicate, journal the input, then schedule, queue or start it.

Source: shared/spec/lifecycle.md, sections 3.2 and 4.2.
"""

from collections import deque

from perdure.base.version import SOFTWARE_VERSION
from perdure.bus.messages import Accepted, Completed, Invoke
from perdure.model.invocation import CallSink, IngressSink, InvocationRecord, Source, Status
from perdure.model.journal import Input
from perdure.model.mail import InvokeMail
from perdure.model.result import Failure
from perdure.model.target import HandlerType
from perdure.model.timer import START_INDEX
from services.invoker.machine.lifecycle.output import answer_when_completed, find
from services.invoker.machine.turn import Turn
from services.invoker.machine.view import Live

ALREADY_INVOKED = Failure(409, "the workflow method was already invoked")


def admit_request(turn: Turn, reply_subject: str, request: Invoke) -> None:
    """Admit an invocation for an ingress process, or find the one that is already there."""
    source = Source(kind="ingress", request=(reply_subject, request.request_id))
    existing = find(turn, request.invocation_id)
    if existing is not None:
        _repeat_request(turn, reply_subject, request, existing)
        return
    live = _create(turn, request, source)
    if request.wants_result:
        live.waiting.append(IngressSink(reply_subject, request.request_id))
    else:
        turn.reply(reply_subject, Accepted(request.request_id, request.execution_at_ms))


def admit_mail(turn: Turn, mail: InvokeMail) -> None:
    """Admit an invocation that a handler called, or find the one that is already there."""
    existing = find(turn, mail.invocation_id)
    if existing is None:
        live = _create(turn, mail, mail.source)
        if mail.sink is not None:
            live.record.sinks = [mail.sink]
    elif mail.sink is not None:
        if mail.target.handler_type is HandlerType.WORKFLOW:
            turn.answer(mail.sink, ALREADY_INVOKED)
        else:
            answer_when_completed(turn, existing, mail.sink)


def _create(turn: Turn, request: Invoke | InvokeMail, source: Source) -> Live:
    target = request.target
    has_time = request.execution_at_ms is not None
    record = InvocationRecord(
        target=target,
        status=Status.SCHEDULED if has_time else Status.INVOKED,
        created_at_ms=turn.now_ms,
        modified_at_ms=turn.now_ms,
        source=source,
        idempotency_key=request.idempotency_key,
        execution_at_ms=request.execution_at_ms,
        completion_retention_ms=request.completion_retention_ms,
        journal_retention_ms=request.journal_retention_ms,
        command_count=1,
        traceparent=request.traceparent,
        created_by=SOFTWARE_VERSION,
        tracestate=request.tracestate,
        starts_trace=isinstance(request, InvokeMail) and request.starts_trace,
    )
    live = turn.create(request.invocation_id, record, [Input(request.body, request.headers)])
    if request.execution_at_ms is not None:
        record.scheduled_at_ms = turn.now_ms
        live.journal = None
        turn.start_later(live, request.execution_at_ms, START_INDEX)
    else:
        run_or_queue(turn, live)
    return live


def run_or_queue(turn: Turn, live: Live) -> None:
    """Start an invocation, or let it wait for the lock of its object."""
    target = live.record.target
    if target.handler_type is not HandlerType.EXCLUSIVE:
        turn.start_attempt(live)
        return
    assert target.key is not None, "an exclusive handler has a key"
    object_key = (target.service, target.key)
    view = turn.view
    if object_key not in view.locks:
        view.locks[object_key] = live.id
        turn.put(turn.keys.lock(*object_key), live.id)
        turn.start_attempt(live)
        return
    view.inbox_sequence += 1
    live.record.inbox_sequence = view.inbox_sequence
    live.record.inboxed_at_ms = turn.now_ms
    view.inboxes.setdefault(object_key, deque()).append(live.id)
    turn.put(turn.keys.inbox(*object_key, view.inbox_sequence), live.id)
    turn.set_status(live, Status.INBOXED)


def _repeat_request(turn: Turn, reply_subject: str, request: Invoke, existing: Live | InvocationRecord) -> None:
    record = existing.record if isinstance(existing, Live) else existing
    same_request = record.source.request == (reply_subject, request.request_id)
    if not request.wants_result:
        is_ahead = same_request or record.status is Status.SCHEDULED
        turn.reply(reply_subject, Accepted(request.request_id, record.execution_at_ms if is_ahead else None, is_new=same_request))
    elif request.target.handler_type is HandlerType.WORKFLOW and not same_request:
        turn.reply(reply_subject, Completed(request.request_id, ALREADY_INVOKED))
    else:
        sink: IngressSink | CallSink = IngressSink(reply_subject, request.request_id)
        answer_when_completed(turn, existing, sink)
