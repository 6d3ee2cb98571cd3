"""The rows of one partition, read once in key order; what is wrong with a row by itself is found on the way.

Held in memory: the record of each invocation, and a summary of its journal. Source: `perdure.store.keyspace`.
"""

import struct
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import msgspec

from perdure.base.ids import InvocationId
from perdure.model.invocation import InvocationRecord
from perdure.model.journal import Completion, CompletionType, Input, JournalEvent, Sleep, StoredEntry
from perdure.model.lease import decode_lease
from perdure.model.mail import decode as decode_mail
from perdure.model.promise import PromiseRecord
from perdure.model.state import StateMutation
from perdure.model.timer import TimerKind
from perdure.store.chunks import ahead_of
from perdure.store.keyspace import Keyspace, unpack
from perdure.upkeep.findings import Damage, Finding
from perdure.upkeep.pieces import Assembly, Incomplete, Stray

Parts = tuple[Any, ...]  # Any: texts, numbers and bytes, as the kind of the key says
_Take = Callable[[Parts, bytes], None]

_MAIL_TAIL_BYTES: Final = 10 + 4
_INLINE: Final = 0
_decode_record: Final = msgspec.msgpack.Decoder(InvocationRecord).decode
_decode_entry: Final = msgspec.msgpack.Decoder(StoredEntry).decode
_decode_event: Final = msgspec.msgpack.Decoder(JournalEvent).decode
_decode_promise: Final = msgspec.msgpack.Decoder(PromiseRecord).decode
_decode_mutation: Final = msgspec.msgpack.Decoder(StateMutation).decode
_decode_keys: Final = msgspec.msgpack.Decoder(list[bytes]).decode
_decode_any: Final = msgspec.msgpack.Decoder().decode


class Journal:
    """What is kept of a journal while its rows go by."""

    __slots__ = ("begins_with_input", "length", "next_index", "slept")

    def __init__(self) -> None:
        self.length = 0
        self.next_index = 0
        self.begins_with_input = False
        self.slept: dict[int, int] = {}
        """completion id -> when, of sleeps that are not over"""


class PartitionRows:
    """What the rows of a partition say.

    Attributes:
        findings: Rows that cannot be read, are not whole, or are of no known kind; gaps in journals.
        inbox: Waiting invocation -> service, key, sequence.
        timers: When, whose, number.
        bodies: Ids of bodies of large messages; `bodies_of_mail` are those that messages name.
    """

    def __init__(self, number: int, partitions: int, keyspace: Keyspace) -> None:
        self.number = number
        self.partitions = partitions
        self._keys = keyspace.partition(number)
        self.findings: list[Finding] = []
        self._assembly = Assembly()
        self._strays: list[Stray] = []
        self._written_ahead: list[bytes] = []
        self._plain: dict[object, _Take] = {
            "lease": self._take_lease,
            "batch": self._take_batch,
            "lock": self._take_lock,
            "inbox": self._take_inbox,
            "timer": self._take_timer,
            "operation": self._take_operation,
            "count": self._take_count,
        }
        self._chunks: dict[object, _Take] = {
            "live": self._take_unfinished,
            "inv": self._take_completed,
            "journal": self._take_entry,
            "event": self._take_event,
            "state": self._take_state,
            "promise": self._take_promise,
            "mailbody": self._take_mail_body,
            "mutation": self._take_mutation,
            "writing": self._take_writing,
        }
        self.unfinished: dict[InvocationId, InvocationRecord] = {}
        self.completed: dict[InvocationId, InvocationRecord] = {}
        self.journals: dict[InvocationId, Journal] = {}
        self.events: Counter[InvocationId] = Counter()
        self.locks: dict[tuple[str, str], InvocationId] = {}
        self.inbox: dict[InvocationId, tuple[str, str, int]] = {}
        self.timers: set[tuple[int, InvocationId, int]] = set()
        self.counts: dict[tuple[str, str, str], int] = {}
        self.bodies: set[bytes] = set()
        self.bodies_of_mail: set[bytes] = set()

    def take(self, key: bytes, value: bytes) -> None:
        """Take the next row of the partition."""
        if key.startswith(self._keys.mail):
            self._whole(self._take_mail, ("mail", key[len(self._keys.mail) :]), value)
            return
        parts = self._parts_of(key)
        kind = parts[0] if parts else None
        if kind in self._plain:
            self._whole(self._plain[kind], parts, value)
        elif kind in self._chunks:
            self._chunked(self._chunks[kind], key, value)
        else:
            self.report(Damage.UNKNOWN_KEY, parts or (key,), "no kind of row has such a key")

    def finish(self) -> None:
        """Say that no row follows."""
        self._settle()
        expected = (self._keys.mail_bodies, *self._written_ahead)  # bodies of messages are written ahead by other partitions
        for stray in self._strays:
            if not stray.key.startswith(expected):
                self._report_incomplete(stray)

    # Rows.

    def _whole(self, take: _Take, parts: Parts, value: bytes) -> None:
        self._settle()
        try:
            take(parts, value)
        except (msgspec.MsgspecError, ValueError, TypeError, IndexError) as error:
            self.report(Damage.UNREADABLE, parts, f"the row cannot be read: {error}")

    def _chunked(self, take: _Take, key: bytes, stored: bytes) -> None:
        try:
            complete = self._assembly.take(key, stored)
        except Stray as stray:
            self._strays.append(stray)
            return
        except Incomplete as error:
            self._report_incomplete(error)
            return
        if complete is None:
            return
        parts = self._parts_of(complete[0])
        try:
            take(parts, complete[1])
        except (msgspec.MsgspecError, ValueError, TypeError, IndexError) as error:
            self.report(Damage.UNREADABLE, parts, f"the value cannot be read: {error}")

    def _settle(self) -> None:
        try:
            self._assembly.finish()
        except Incomplete as error:
            self._report_incomplete(error)

    def _take_lease(self, _parts: Parts, value: bytes) -> None:
        decode_lease(value)

    def _take_batch(self, _parts: Parts, value: bytes) -> None:
        if not value:
            raise ValueError("it is empty")

    def _take_unfinished(self, parts: Parts, value: bytes) -> None:
        self.unfinished[InvocationId(parts[1])] = _decode_record(value)

    def _take_completed(self, parts: Parts, value: bytes) -> None:
        self.completed[InvocationId(parts[1])] = _decode_record(value)

    def _take_entry(self, parts: Parts, value: bytes) -> None:
        invocation_id, index = InvocationId(parts[1]), parts[2]
        journal = self.journals.setdefault(invocation_id, Journal())
        journal.length += 1
        if index != journal.next_index:
            self.report(Damage.JOURNAL_GAP, parts, f"entry {index} follows where entry {journal.next_index} should be")
        journal.next_index = index + 1
        match _decode_entry(value).entry:
            case Input() if index == 0:
                journal.begins_with_input = True
            case Sleep() as sleep:
                journal.slept[sleep.completion_id] = sleep.wake_up_at_ms
            case Completion(completion_type=CompletionType.SLEEP) as completion:
                journal.slept.pop(completion.completion_id, None)
            case _:
                pass

    def _take_event(self, parts: Parts, value: bytes) -> None:
        _decode_event(value)
        self.events[InvocationId(parts[1])] += 1

    def _take_state(self, parts: Parts, _value: bytes) -> None:
        _, _service, _key, _name = parts

    def _take_promise(self, parts: Parts, value: bytes) -> None:
        _, _service, _key, _name = parts
        _decode_promise(value)

    def _take_lock(self, parts: Parts, value: bytes) -> None:
        _, service, key = parts
        self.locks[service, key] = InvocationId(value)

    def _take_inbox(self, parts: Parts, value: bytes) -> None:
        _, service, key, sequence = parts
        self.inbox[InvocationId(value)] = (service, key, sequence)

    def _take_timer(self, parts: Parts, value: bytes) -> None:
        _, at_ms, invocation_id, number = parts
        TimerKind(value[0])
        self.timers.add((at_ms, InvocationId(invocation_id), number))

    def _take_operation(self, _parts: Parts, value: bytes) -> None:
        _decode_any(value)

    def _take_count(self, parts: Parts, value: bytes) -> None:
        _, service, handler, status = parts
        self.counts[service, handler, status] = int.from_bytes(value, "little", signed=True)

    def _take_mail(self, parts: Parts, value: bytes) -> None:
        if len(parts[1]) < _MAIL_TAIL_BYTES:
            raise ValueError("its key is too short")
        if value[0] == _INLINE:
            decode_mail(value[1:])
        else:
            self.bodies_of_mail.add(unpack(value[1 + len(self._keys.prefix) :])[1])  # pyright: ignore[reportArgumentType]

    def _take_mail_body(self, parts: Parts, value: bytes) -> None:
        self.bodies.add(parts[1])
        decode_mail(value)

    def _take_mutation(self, parts: Parts, value: bytes) -> None:
        _, _service, _key, _sequence = parts
        _decode_mutation(value)

    def _take_writing(self, parts: Parts, value: bytes) -> None:
        self._written_ahead += [ahead_of(key, parts[1]) for key in _decode_keys(value)]

    def report(self, damage: Damage, parts: Parts, message: str) -> None:
        """Note a finding at the row with these parts of its key."""
        place = "/".join(part.hex() if isinstance(part, bytes) else str(part) for part in parts)
        self.findings.append(Finding(damage, f"p/{self.number}/{place}", message))

    def _report_incomplete(self, error: Incomplete) -> None:
        self.report(Damage.PIECES_MISSING, self._parts_of(error.key), error.reason)

    def _parts_of(self, key: bytes) -> Parts:
        try:
            return unpack(key[len(self._keys.prefix) :])
        except (ValueError, IndexError, struct.error):
            return ()
