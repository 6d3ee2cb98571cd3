"""The partition machine: one synchronous object that takes events and the time, and fills a step.

Dispatch is by the type of the event; the rules are in `commands/` and `lifecycle/`, one file each.
"""

from collections import deque
from collections.abc import Mapping
from typing import assert_never

from perdure.base.ids import InvocationId
from perdure.base.limits import VALUE_BYTES_MAX
from perdure.bus.messages import Attach, GetOutput, Invoke, MutateState, Operate, OperateMany, SendSignalTo
from perdure.model.invocation import InvocationRecord, Status
from perdure.model.journal import Entry
from perdure.model.mail import (
    AttachMail,
    CompletionMail,
    InvokeMail,
    KillMail,
    Mail,
    OutputMail,
    SignalMail,
)
from perdure.model.target import HandlerType
from perdure.model.timer import TimerKind
from services.invoker.machine.events import (
    AttemptEnded,
    AttemptFailed,
    AttemptProgressed,
    AttemptSuspended,
    Event,
    MailReceived,
    OperationAdvanced,
    RequestReceived,
    RetryDue,
    TimerFired,
)
from services.invoker.machine.lifecycle import admit, attempt, mutate, notify, operate, operate_many, output
from services.invoker.machine.step import ContinueOperation, Step
from services.invoker.machine.turn import Turn, encode_record
from services.invoker.machine.view import CachedState, Live, ObjectKey, PartitionView, WaitingMutation


class PartitionMachine:
    """The state of one partition and the rules that change it."""

    def __init__(self, view: PartitionView) -> None:
        self.view = view

    def apply(self, event: Event, now_ms: int, step: Step) -> None:
        """Apply one event. What `lookups_of` and `journals_of` name for it must have been put into the view before."""
        turn = Turn(self.view, now_ms, step)
        if isinstance(event, RequestReceived):
            _apply_request(turn, event)
        elif isinstance(event, AttemptProgressed):
            attempt.progressed(turn, event)
        elif isinstance(event, AttemptEnded):
            attempt.ended(turn, event)
        elif isinstance(event, MailReceived):
            if event.mail_key:
                turn.put(event.mail_key, None)
            if event.body_key:
                turn.put_value(event.body_key, None, was_wide=True)
            _apply_mail(turn, event.mail)
        elif isinstance(event, AttemptSuspended):
            attempt.suspended(turn, event)
        elif isinstance(event, AttemptFailed):
            attempt.failed(turn, event)
        elif isinstance(event, RetryDue):
            attempt.retry_due(turn, event)
        elif isinstance(event, TimerFired):
            notify.timer_fired(turn, event.timer)
        elif isinstance(event, OperationAdvanced):
            operate_many.advance(turn, event)
        else:
            assert_never(event)

    def needs_reads(self, event: Event) -> bool:
        """Whether something must be read from the store before `event` is applied."""
        if isinstance(event, (AttemptProgressed, AttemptEnded)):
            return False
        return bool(self.lookups_of(event) or self.journals_of(event) or self.states_of(event))

    def lookups_of(self, event: Event) -> tuple[InvocationId, ...]:
        """Return the invocations whose completed records must be looked up in the store before `event` is applied."""
        if isinstance(event, OperationAdvanced):
            return tuple(invocation_id for invocation_id in event.invocation_ids if invocation_id not in self.view.lives)
        invocation_id = _addressed(event, self.view)
        return () if invocation_id is None or invocation_id in self.view.lives else (invocation_id,)

    def journals_of(self, event: Event) -> tuple[InvocationId, ...]:
        """Return the invocations whose journals must be read from the store before `event` is applied."""
        wanted: tuple[InvocationId, ...] = ()
        if isinstance(event, RequestReceived):
            if isinstance(event.request, Operate) and event.request.action in {"kill", "restart_as_new"}:
                wanted = (event.request.invocation_id,)
        elif isinstance(event, MailReceived):
            if isinstance(event.mail, KillMail):
                wanted = (event.mail.invocation_id,)
        elif isinstance(event, OperationAdvanced):
            operation = self.view.operations.get(event.operation_id)
            wanted = event.invocation_ids if operation is not None and operation.action == "kill" else ()
        return tuple(invocation_id for invocation_id in wanted if not self._has_journal(invocation_id)) if wanted else ()

    def states_of(self, event: Event) -> tuple[ObjectKey, ...]:
        """Return the objects whose state must be read from the store before `event` is applied."""
        if not isinstance(event, RequestReceived) or not isinstance(event.request, MutateState):
            return ()
        object_key = (event.request.service, event.request.key)
        return () if object_key in self.view.states else (object_key,)

    def _has_journal(self, invocation_id: InvocationId) -> bool:
        live = self.view.lives.get(invocation_id)
        return live is not None and live.journal is not None

    def journal_loaded(self, live: Live, entries: list[Entry]) -> None:
        """Take the journal of an invocation as it was when its attempt was started; what came since follows."""
        live.journal = entries + live.tail
        live.tail = []

    def load(self, invocation_id: InvocationId, record: InvocationRecord, *, is_wide: bool = False) -> None:
        """Take an unfinished invocation from the store, at takeover; `restore` follows once all are there."""
        live = self.view.lives[invocation_id] = Live(invocation_id, self.view.number, record, None)
        live.is_wide = is_wide

    def load_mutation(self, object_key: ObjectKey, waiting: WaitingMutation, state: CachedState) -> None:
        """Take a waiting mutation from the store, at takeover, with the state that it is for."""
        self.view.inboxes.setdefault(object_key, deque()).append(waiting)
        self.view.mutations_waiting += 1
        self.view.states.setdefault(object_key, state).pins += 1

    def restore(self, now_ms: int, step: Step) -> None:
        """Rebuild locks and inboxes from the invocations, and start what was running."""
        view = self.view
        self._restore_inboxes()
        turn = Turn(view, now_ms, step)
        for live in view.lives.values():
            if live.record.status is Status.INVOKED:
                turn.start_attempt(live)
        for operation_id in view.operations:
            step.after_commit.append(ContinueOperation(view.number, operation_id))

    def _restore_inboxes(self) -> None:
        view = self.view
        waiting: list[tuple[int, ObjectKey, InvocationId | WaitingMutation]] = []
        for object_key, mutations in view.inboxes.items():
            waiting += [(each.sequence, object_key, each) for each in mutations if isinstance(each, WaitingMutation)]
        for live in view.lives.values():
            target, record = live.record.target, live.record
            if target.handler_type is not HandlerType.EXCLUSIVE or target.key is None:
                continue
            if record.status is Status.INBOXED:
                assert record.inbox_sequence is not None
                waiting.append((record.inbox_sequence, (target.service, target.key), live.id))
            elif record.status is not Status.SCHEDULED:
                holder = view.locks.setdefault((target.service, target.key), live.id)
                assert holder == live.id, "an object has one holder"
        view.inboxes.clear()
        for sequence, object_key, one in sorted(waiting, key=lambda each: each[0]):
            view.inboxes.setdefault(object_key, deque()).append(one)
            view.inbox_sequence = max(view.inbox_sequence, sequence)


def seal_counts(views: Mapping[int, PartitionView], step: Step) -> None:
    """Write the counters that a batch changed, once per batch; nothing is written for what came and went within it."""
    for (number, service, handler, status), difference in step.counts.items():
        if difference:
            view = views[number]
            key = view.keys.count(service, handler, status.name.lower())
            value = view.counts.get(key, 0) + difference
            view.counts[key] = value
            view.totals[status] += difference
            step.writes[key] = value.to_bytes(8, "little", signed=True) if value else None


def seal(view: PartitionView, live: Live, step: Step) -> None:
    """Write the record of a changed invocation, once per batch."""
    if not live.has_ended:
        raw = encode_record(live.record)
        step.put_value(view.keys.unfinished(live.id), raw, was_wide=live.is_wide)
        live.is_wide = len(raw) > VALUE_BYTES_MAX
        return
    if view.lives.get(live.id, live) is live:
        step.put_value(view.keys.unfinished(live.id), None, was_wide=live.is_wide)
    if not live.is_removed:
        step.put_value(view.keys.invocation(live.id), encode_record(live.record))


def _apply_request(turn: Turn, event: RequestReceived) -> None:
    request, reply_subject = event.request, event.reply_subject
    if event.blob_prefix:
        turn.step.cleared.append(event.blob_prefix)
        turn.step.touched.add(turn.view.number)
    if isinstance(request, Invoke):
        admit.admit_request(turn, reply_subject, request)
    elif isinstance(request, Attach):
        output.attach_request(turn, reply_subject, request)
    elif isinstance(request, GetOutput):
        output.output_request(turn, reply_subject, request)
    elif isinstance(request, SendSignalTo):
        notify.signal_requested(turn, reply_subject, request)
    elif isinstance(request, Operate):
        operate.operate(turn, reply_subject, request, event.new_uuid)
    elif isinstance(request, OperateMany):
        operate_many.accept(turn, reply_subject, request, event.new_uuid)
    elif isinstance(request, MutateState):
        mutate.mutate(turn, reply_subject, request)
    else:
        assert_never(request)


def _apply_mail(turn: Turn, mail: Mail) -> None:
    if isinstance(mail, InvokeMail):
        admit.admit_mail(turn, mail)
    elif isinstance(mail, CompletionMail):
        notify.completion_arrived(turn, mail)
    elif isinstance(mail, SignalMail):
        notify.signal_arrived(turn, mail)
    elif isinstance(mail, AttachMail):
        output.attach_mail(turn, mail)
    elif isinstance(mail, OutputMail):
        output.output_mail(turn, mail)
    elif isinstance(mail, KillMail):
        operate.kill_child(turn, mail)
    else:
        assert_never(mail)


def _addressed(event: Event, view: PartitionView) -> InvocationId | None:
    """Return the invocation that an event addresses, if it may be a completed one."""
    if isinstance(event, RequestReceived):
        request = event.request
        is_certain_to_be_new = isinstance(request, Invoke) and request.is_fresh and request.invocation_id not in view.ended
        if is_certain_to_be_new or isinstance(request, (SendSignalTo, OperateMany, MutateState)):
            return None
        return request.invocation_id
    if isinstance(event, MailReceived):
        mail = event.mail
        needs = mail.is_deterministic if isinstance(mail, InvokeMail) else isinstance(mail, (AttachMail, OutputMail))
        return mail.invocation_id if needs else None
    if isinstance(event, TimerFired) and event.timer.kind in {TimerKind.EXPIRE, TimerKind.EXPIRE_JOURNAL}:
        return event.timer.invocation_id
    return None
