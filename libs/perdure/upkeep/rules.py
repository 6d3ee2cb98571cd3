"""The rules that the rows of one partition keep among each other after each commit."""

from collections import Counter
from typing import Final

from perdure.base.ids import InvocationId, format_invocation_id, partition_of
from perdure.model.invocation import InvocationRecord, Status
from perdure.model.target import HandlerType
from perdure.model.timer import EXPIRE_INDEX, START_INDEX
from perdure.upkeep.findings import Damage, Finding
from perdure.upkeep.rows import Journal, PartitionRows

_HOLDS_LOCK: Final = {Status.INVOKED, Status.SUSPENDED, Status.PAUSED}


def judge(rows: PartitionRows) -> list[Finding]:
    """Return everything that is wrong with a partition, once all its rows were taken."""
    _Judge(rows).judge()
    return sorted(rows.findings)


class _Judge:
    def __init__(self, rows: PartitionRows) -> None:
        self._rows = rows

    def judge(self) -> None:
        for invocation_id, record in self._rows.unfinished.items():
            self._judge_unfinished(invocation_id, record)
        for invocation_id, record in self._rows.completed.items():
            self._judge_completed(invocation_id, record)
        self._judge_journals()
        self._judge_locks()
        self._judge_inbox()
        self._judge_counts()
        for body in self._rows.bodies ^ self._rows.bodies_of_mail:
            self._rows.report(Damage.MAIL_BODY_WRONG, ("mailbody", body), "a message and its body are not both there")

    def _judge_unfinished(self, invocation_id: InvocationId, record: InvocationRecord) -> None:
        self._judge_record(invocation_id, record)
        if record.status is Status.COMPLETED:
            self._report_of(Damage.WRONG_STATUS, invocation_id, "it is completed, but kept with those that are not")
        if record.status is Status.SCHEDULED and not self._has_timer(record.execution_at_ms, invocation_id, START_INDEX):
            self._report_of(Damage.TIMER_MISSING, invocation_id, "it is scheduled, and nothing will start it")
        journal = self._rows.journals.get(invocation_id)
        for completion_id, at_ms in journal.slept.items() if journal is not None else ():
            if not self._has_timer(at_ms, invocation_id, completion_id):
                self._report_of(Damage.TIMER_MISSING, invocation_id, f"it sleeps (completion {completion_id}), and nothing will wake it")
        self._judge_place(invocation_id, record)

    def _judge_place(self, invocation_id: InvocationId, record: InvocationRecord) -> None:
        """An exclusive invocation that began holds the lock; one that waits is in the inbox."""
        target = record.target
        if target.handler_type is not HandlerType.EXCLUSIVE:
            return
        assert target.key is not None
        if record.status in _HOLDS_LOCK and self._rows.locks.get((target.service, target.key)) != invocation_id:
            self._report_of(Damage.LOCK_MISSING, invocation_id, "it runs without the lock of its object")
        if record.status is Status.INBOXED and invocation_id not in self._rows.inbox:
            self._report_of(Damage.INBOX_WRONG, invocation_id, "it waits for its object, and is not in the inbox")

    def _judge_completed(self, invocation_id: InvocationId, record: InvocationRecord) -> None:
        self._judge_record(invocation_id, record)
        if invocation_id in self._rows.unfinished:
            self._report_of(Damage.DOUBLE_RECORD, invocation_id, "it is kept as completed and as unfinished")
        if record.status is not Status.COMPLETED or record.result is None or record.completed_at_ms is None:
            self._report_of(Damage.WRONG_STATUS, invocation_id, f"it is {record.status.name.lower()}, but kept with completed ones")
            return
        if not self._has_timer(record.completed_at_ms + record.completion_retention_ms, invocation_id, EXPIRE_INDEX):
            self._report_of(Damage.TIMER_MISSING, invocation_id, "nothing will remove it when its retention ends")

    def _judge_record(self, invocation_id: InvocationId, record: InvocationRecord) -> None:
        if len(invocation_id) != 24 or partition_of(invocation_id, self._rows.partitions) != self._rows.number:
            self._report_of(Damage.WRONG_PARTITION, invocation_id, f"its id belongs elsewhere than to partition {self._rows.number}")
        journal = self._rows.journals.get(invocation_id, Journal())
        if journal.length != record.journal_length:
            text = f"its record counts {record.journal_length} entries, its journal holds {journal.length}"
            self._report_of(Damage.JOURNAL_GAP, invocation_id, text)
        elif record.journal_length and not journal.begins_with_input:
            self._report_of(Damage.JOURNAL_GAP, invocation_id, "its journal does not begin with the input")
        if self._rows.events[invocation_id] > record.event_count:
            text = f"its record counts {record.event_count} events, and there are {self._rows.events[invocation_id]}"
            self._report_of(Damage.JOURNAL_GAP, invocation_id, text)

    def _judge_journals(self) -> None:
        known = self._rows.unfinished.keys() | self._rows.completed.keys()
        for invocation_id in (self._rows.journals.keys() | self._rows.events.keys()) - known:
            self._report_of(Damage.JOURNAL_ORPHAN, invocation_id, "a journal whose invocation is not there")

    def _judge_locks(self) -> None:
        for (service, key), invocation_id in self._rows.locks.items():
            record = self._rows.unfinished.get(invocation_id)
            if record is None or (record.target.service, record.target.key) != (service, key) or record.status not in _HOLDS_LOCK:
                text = f"it is held by {_text_of(invocation_id)}, which does not run there: the object is stuck"
                self._rows.report(Damage.LOCK_WRONG, ("lock", service, key), text)

    def _judge_inbox(self) -> None:
        for invocation_id, (service, key, sequence) in self._rows.inbox.items():
            record = self._rows.unfinished.get(invocation_id)
            place = ("inbox", service, key, sequence)
            if record is None or record.status is not Status.INBOXED or record.inbox_sequence != sequence:
                self._rows.report(Damage.INBOX_WRONG, place, f"it names {_text_of(invocation_id)}, which does not wait there")
            elif (service, key) not in self._rows.locks:
                self._rows.report(Damage.LOCK_MISSING, place, f"{_text_of(invocation_id)} waits for an object that nobody holds")

    def _judge_counts(self) -> None:
        counted: Counter[tuple[str, str, str]] = Counter()
        for record in (*self._rows.unfinished.values(), *self._rows.completed.values()):
            counted[record.target.service, record.target.handler, record.status.name.lower()] += 1
        for place in sorted(self._rows.counts.keys() | counted.keys()):
            if self._rows.counts.get(place, 0) != counted[place]:
                text = f"the counter says {self._rows.counts.get(place, 0)}, there are {counted[place]}"
                self._rows.report(Damage.COUNT_WRONG, ("count", *place), text)

    def _has_timer(self, at_ms: int | None, invocation_id: InvocationId, number: int) -> bool:
        return at_ms is not None and (at_ms, invocation_id, number) in self._rows.timers

    def _report_of(self, damage: Damage, invocation_id: InvocationId, message: str) -> None:
        self._rows.findings.append(Finding(damage, _text_of(invocation_id), message))


def _text_of(invocation_id: InvocationId) -> str:
    return format_invocation_id(invocation_id) if len(invocation_id) == 24 else invocation_id.hex()
