"""One event's turn at a partition: the primitives that commands and lifecycle steps are written in."""

import msgspec

from perdure.base.ids import InvocationId, partition_of
from perdure.bus.messages import Completed, OwnerReply
from perdure.model.invocation import CallSink, IngressSink, InvocationRecord, Status
from perdure.model.journal import (
    AttemptError,
    Command,
    Completion,
    CompletionType,
    Entry,
    EventType,
    JournalEvent,
    Notification,
    StoredEntry,
)
from perdure.model.mail import CompletionMail, Mail
from perdure.model.result import Outcome, Result
from perdure.model.target import Target
from perdure.model.timer import VALUES, Timer, TimerKind
from services.invoker.machine.step import Forward, Reply, StartAttempt, Step, StopAttempt, Traced
from services.invoker.machine.view import Live, PartitionView

_encode_entry = msgspec.msgpack.Encoder().encode
encode_record = msgspec.msgpack.Encoder().encode


class Turn:
    """The view, the time and the step of the event that is being applied."""

    __slots__ = ("keys", "now_ms", "step", "view")

    def __init__(self, view: PartitionView, now_ms: int, step: Step) -> None:
        self.view = view
        self.keys = view.keys
        self.now_ms = now_ms
        self.step = step

    # Records.

    def create(self, invocation_id: InvocationId, record: InvocationRecord, journal: list[Entry]) -> Live:
        """Put a new invocation into the view, with its first entries."""
        live = Live(invocation_id, self.view.number, record, [])
        self.view.lives[invocation_id] = live
        self.count(record, +1)
        for entry in journal:
            self.append(live, entry)
        return live

    def recall(self, invocation_id: InvocationId, record: InvocationRecord) -> Live:
        """Put a completed invocation into the view that was read from the store, so that whoever asks next meets what becomes of it."""
        live = Live(invocation_id, self.view.number, record, None)
        self.view.lives[invocation_id] = live
        del self.view.found[invocation_id]
        return live

    def touch(self, live: Live) -> None:
        """Note that the record changed; it is encoded once, when the batch is sealed."""
        live.record.modified_at_ms = self.now_ms
        if self.step.dirty.get(live.id) is not live:
            self.step.dirty[live.id] = live
            live.pending_writes += 1
        self.step.touched.add(self.view.number)

    def set_status(self, live: Live, status: Status) -> None:
        """Move an invocation to another status, counters included."""
        if live.record.status is not status:
            self.count(live.record, -1)
            live.record.status = status
            self.count(live.record, +1)
        self.touch(live)

    def put_completed(self, invocation_id: InvocationId, record: InvocationRecord) -> None:
        """Write the record of a completed invocation."""
        self.put_value(self.keys.invocation(invocation_id), encode_record(record))

    def count(self, record: InvocationRecord, delta: int) -> None:
        """Change the number of invocations by service, handler and status; written when the batch is sealed."""
        target = record.target
        counted = (self.view.number, target.service, target.handler, record.status)
        self.step.counts[counted] = self.step.counts.get(counted, 0) + delta
        self.step.touched.add(self.view.number)

    def put(self, key: bytes, value: bytes | None) -> None:
        """Write or clear a small row."""
        self.step.writes[key] = value
        self.step.touched.add(self.view.number)

    def put_value(self, key: bytes, value: bytes | None, *, was_wide: bool = False) -> None:
        """Write or clear a value of any size."""
        self.step.put_value(key, value, was_wide=was_wide)
        self.step.touched.add(self.view.number)

    # Journal.

    def append(self, live: Live, entry: Entry) -> int:
        """Journal an entry; return its index."""
        record = live.record
        index = record.journal_length
        record.journal_length = index + 1
        self.put_value(self.keys.entry(live.id, index), _encode_entry(StoredEntry(self.now_ms, entry)))
        if live.journal is not None:
            live.journal.append(entry)
        elif record.status is Status.INVOKED:
            live.tail.append(entry)
        self.touch(live)
        return index

    def append_command(self, live: Live, command: Command) -> int:
        """Journal a command of the running attempt; return its command index."""
        entry_index = self.append(live, command)
        index = live.record.command_count
        if self.step.traced is not None:
            self.step.traced.append(Traced(live, self.now_ms, entry_index, index, command))
        live.record.command_count = index + 1
        self.note_progress(live)
        return index

    def note_progress(self, live: Live) -> None:
        """Forget the failures before what the attempt did now."""
        live.failures_since_entry = 0
        live.last_failure = None

    def complete(self, live: Live, completion_type: CompletionType, completion_id: int, result: Result) -> None:
        """Journal the answer to a command of an invocation of this partition, in the step of the command itself."""
        self.notify(live, Completion(completion_type, completion_id, result))

    def notify(self, live: Live, notification: Notification, *, as_ack: bool = False) -> None:
        """Journal a notification and forward it to the open attempt; waking is the caller's part."""
        index = self.append(live, notification)
        if self.step.traced is not None:
            self.step.traced.append(Traced(live, self.now_ms, index, live.record.command_count, notification))
        if live.record.status is Status.INVOKED:
            self.step.after_commit.append(Forward(live.id, live.attempt, index, notification, as_ack))

    def note_event(self, live: Live, event_type: EventType, error: AttemptError | None) -> None:
        """Keep what happened beside the journal."""
        record = live.record
        event = JournalEvent(event_type, self.now_ms, record.journal_length - 1, error)
        self.put_value(self.keys.event(live.id, record.event_count), _encode_entry(event))
        record.event_count += 1
        self.touch(live)

    def drop_journal(self, invocation_id: InvocationId, record: InvocationRecord) -> None:
        """Remove all entries and events of a journal."""
        keys = [self.keys.entry(invocation_id, index) for index in range(record.journal_length)]
        keys += [self.keys.event(invocation_id, index) for index in range(record.event_count)]
        for key in keys:
            self.step.writes.pop(key, None)
            self.step.wide.pop(key, None)
        self.step.cleared.append(self.keys.journal(invocation_id))
        if record.event_count:
            self.step.cleared.append(self.keys.events_of(invocation_id))
        record.journal_length = record.event_count = 0
        self.step.touched.add(self.view.number)

    def end(self, live: Live, result: Outcome) -> None:
        """Note that an invocation is over."""
        live.has_ended = True
        if self.step.traced is not None:
            self.step.traced.append(Traced(live, self.now_ms, live.record.journal_length, live.record.command_count, result))

    # Attempts.

    def start_attempt(self, live: Live) -> None:
        """Let an invocation run: it becomes (or stays) invoked, and a new attempt begins."""
        self.set_status(live, Status.INVOKED)
        live.record.awaiting = None
        live.attempt += 1
        live.is_open = False
        live.is_failing = False
        live.next_retry_at_ms = None
        if live.record.running_at_ms is None:
            live.record.running_at_ms = self.now_ms
        self.step.after_commit.append(StartAttempt(self.view.number, live.id, live.attempt))

    def stop_attempt(self, live: Live) -> None:
        """Give up the present attempt, whatever it is doing."""
        self.step.after_commit.append(StopAttempt(live.id, live.attempt))
        live.attempt += 1
        live.is_open = False

    def rest(self, live: Live) -> None:
        """Forget what only a running attempt needs."""
        live.journal = None
        live.tail = []
        live.failures = live.failed_attempts = live.failures_since_entry = 0
        live.last_failure = None
        live.awaiting_on = None
        live.is_open = False
        live.pause_requested = False
        live.next_retry_at_ms = None

    # Timers.

    def arm(self, timer: Timer) -> None:
        """Write a timer and keep it in memory if it is near."""
        self.put(self.keys.timer(timer.at_ms, timer.invocation_id, timer.number), VALUES[timer.kind])
        self.view.arm(timer)

    def disarm(self, at_ms: int, invocation_id: InvocationId, index: int) -> None:
        """Clear the row of a timer; if it still fires from memory, its row and target tell that it is void."""
        self.put(self.keys.timer(at_ms, invocation_id, index), None)

    def start_later(self, live: Live, at_ms: int, index: int) -> None:
        """Arm the start of a scheduled invocation."""
        self.arm(Timer(at_ms, live.id, index, TimerKind.START))

    # Answers.

    def reply(self, reply_subject: str, reply: OwnerReply) -> None:
        """Answer a request once the step has committed."""
        self.step.touched.add(self.view.number)  # so that no one answers who has lost the partition
        self.step.after_commit.append(Reply(reply_subject, reply))

    def send(self, to: InvocationId, mail: Mail) -> None:
        """Send a message to another invocation, whatever partition it lives in."""
        self.step.outbox.append((partition_of(to, self.view.partitions), mail))

    def answer(
        self, sink: IngressSink | CallSink, result: Outcome, *, expires_at_ms: int | None = None, target: Target | None = None
    ) -> None:
        """Give a result to one that waits for it; `target` tells one that may know only the id whose result it is."""
        if isinstance(sink, IngressSink):
            self.reply(sink.reply_subject, Completed(sink.request_id, result, expires_at_ms, target=target if sink.wants_target else None))
            return
        kind = CompletionType.ATTACH_INVOCATION if sink.is_attach else CompletionType.CALL
        self.send(sink.caller_id, CompletionMail(sink.caller_id, kind, sink.completion_id, result))
