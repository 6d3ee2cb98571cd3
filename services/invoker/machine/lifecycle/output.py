"""Finding an invocation, waiting for its result, reading it. Source: shared/spec/lifecycle.md, 5.2."""

from perdure.base.ids import InvocationId
from perdure.bus.messages import Attach, Completed, GetOutput, NotFound, NotReady
from perdure.model.invocation import CallSink, IngressSink, InvocationRecord, Status
from perdure.model.journal import CompletionType
from perdure.model.mail import AttachMail, CompletionMail, OutputMail
from perdure.model.result import Failure, Result, Void
from services.invoker.machine.turn import Turn
from services.invoker.machine.view import Live

NOT_FOUND = Failure(404, "not found")


def find(turn: Turn, invocation_id: InvocationId) -> Live | InvocationRecord | None:
    """Return an invocation: from memory if it has not ended, else what was read from the store for this event."""
    live = turn.view.lives.get(invocation_id)
    if live is None:
        return turn.view.found.get(invocation_id)
    return None if live.is_removed else live


def answer_when_completed(turn: Turn, existing: Live | InvocationRecord, sink: IngressSink | CallSink) -> None:
    """Give the stored result at once, or let the sink wait (once)."""
    record = existing.record if isinstance(existing, Live) else existing
    if record.status is Status.COMPLETED:
        assert record.result is not None
        turn.answer(sink, record.result, expires_at_ms=_expires_at_ms(record), target=record.target)
        return
    assert isinstance(existing, Live), "what has not ended is in memory"
    if isinstance(sink, IngressSink):
        if not any(_is_same_request(sink, waiting) for waiting in existing.waiting):
            existing.waiting.append(sink)
    elif sink not in record.sinks:
        record.sinks = [*record.sinks, sink]
        turn.touch(existing)


def attach_request(turn: Turn, reply_subject: str, request: Attach) -> None:
    """Let an ingress request wait for an invocation."""
    existing = find(turn, request.invocation_id)
    if existing is None:
        turn.reply(reply_subject, NotFound(request.request_id))
    else:
        answer_when_completed(turn, existing, IngressSink(reply_subject, request.request_id, wants_target=True))


def output_request(turn: Turn, reply_subject: str, request: GetOutput) -> None:
    """Answer an ingress request with the result, if there is one."""
    existing = find(turn, request.invocation_id)
    if existing is None:
        turn.reply(reply_subject, NotFound(request.request_id))
        return
    record = existing.record if isinstance(existing, Live) else existing
    if record.status is Status.COMPLETED and record.result is not None:
        turn.reply(reply_subject, Completed(request.request_id, record.result, _expires_at_ms(record), target=record.target))
    else:
        turn.reply(reply_subject, NotReady(request.request_id))


def attach_mail(turn: Turn, mail: AttachMail) -> None:
    """Let another invocation wait for this one."""
    existing = find(turn, mail.invocation_id)
    if existing is None:
        turn.answer(mail.sink, NOT_FOUND)
    else:
        answer_when_completed(turn, existing, mail.sink)


def output_mail(turn: Turn, mail: OutputMail) -> None:
    """Answer another invocation with the result, or with nothing while there is none."""
    existing = find(turn, mail.invocation_id)
    result: Result = NOT_FOUND
    if existing is not None:
        record = existing.record if isinstance(existing, Live) else existing
        result = record.result if record.status is Status.COMPLETED and record.result is not None else Void()
    sink = mail.sink
    turn.send(sink.caller_id, CompletionMail(sink.caller_id, CompletionType.GET_INVOCATION_OUTPUT, sink.completion_id, result))


def _is_same_request(one: IngressSink, other: IngressSink) -> bool:
    return one.request_id == other.request_id and one.reply_subject == other.reply_subject


def _expires_at_ms(record: InvocationRecord) -> int | None:
    if record.completed_at_ms is None:
        return None
    return record.completed_at_ms + record.completion_retention_ms
