"""The rules that every history of commits, replies and notifications must obey, whatever the workload and the faults.

The history is what the store committed, in order; a checker never trusts what a process says of itself.
"""

from typing import Any, Final

import msgspec

from perdure.base.ids import InvocationId, format_invocation_id, partition_of
from perdure.codec.service_protocol import messages_pb2 as pb
from perdure.model.invocation import InvocationRecord, Status
from perdure.model.journal import Call, ClearAllState, ClearState, Completion, Entry, OneWayCall, Output, SetState, Signal, StoredEntry
from perdure.model.lease import Lease, decode_lease
from perdure.model.result import Failure, Outcome
from perdure.model.target import HandlerType
from perdure.sim.endpoint import Observer
from perdure.sim.loop import EPOCH_MS
from perdure.sim.store import Commit
from perdure.store.keyspace import Keyspace, unpack
from tests.simulation.lifecycle_rules import ALREADY_INVOKED, ENDED_UNSTARTED, KILLED, LifecycleRules

_decode_record = msgspec.msgpack.Decoder(InvocationRecord).decode
_decode_entry = msgspec.msgpack.Decoder(StoredEntry).decode
_HOLDS_THE_LOCK: Final = (Status.INVOKED, Status.SUSPENDED, Status.PAUSED)
_TIMER_INDEX_OF_RETENTION: Final = 1 << 40

_SHORT_RETENTION_END_MS: Final = EPOCH_MS + 3_600_000
"""Completions whose retention ends before are to be gone when all is at rest."""

ObjectKey = tuple[int, str, str]
"""partition, service, key"""


class Journal:
    """What is known of one journal: its entries, the completion ids it announced and those that were answered."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.announced: set[int] = set()
        self.completed: set[int] = set()

    @property
    def output(self) -> Outcome | None:
        return next((entry.result for entry in reversed(self.entries) if isinstance(entry, Output)), None)


class History(Observer):
    """Judge commits as they happen, replies as they arrive, and the end."""

    def __init__(self, keyspace: Keyspace, partitions: int) -> None:
        self.violations: list[str] = []
        self.commits = 0
        self.rows = 0
        self.journals: dict[InvocationId, Journal] = {}
        self.unfinished: dict[InvocationId, InvocationRecord] = {}
        self.completed: dict[InvocationId, InvocationRecord] = {}
        self.removed: set[InvocationId] = set()
        """Invocations that were scheduled or inboxed when their record went: cancelled or killed, if nothing completed them."""
        self.acknowledged: dict[InvocationId, str] = {}
        """Sends that a client was told are accepted, and calls that it was given a result of."""
        self.state: dict[tuple[str, str, str], bytes] = {}
        self._state_ever: set[tuple[str, str, bytes, bytes]] = set()
        self._partitions = partitions
        self._root = len(keyspace.root)
        self._leases: dict[int, Lease] = {}
        self._owner_of_epoch: dict[tuple[int, int], str] = {}
        self._locks: dict[ObjectKey, InvocationId] = {}
        self._inboxes: dict[ObjectKey, dict[int, InvocationId]] = {}
        self._inboxed_now: set[int] = set()
        """Sequence numbers (which a partition gives once) that the commit at hand put into inboxes."""
        self._counts: dict[tuple[str, str, str], dict[int, int]] = {}
        self._mail: dict[bytes, int] = {}
        self.timers: set[tuple[Any, ...]] = set()
        self._retained: list[tuple[InvocationId, InvocationRecord]] = []
        """Completions that the commit at hand wrote or removed."""
        self.lifecycle = LifecycleRules(self)
        self._mail_prefixes = {partition: keyspace.partition(partition).mail for partition in range(partitions)}

    # While it runs.

    def on_commit(self, commit: Commit) -> None:
        """Take in one commit and check it against all before it."""
        self.commits += 1
        self.rows += len(commit.writes)
        rows = [(self._parts(key), key, value) for key, value in commit.writes.items()]
        touched = [(parts, key, value) for parts, key, value in rows if parts is not None]
        for (partition, *kind), _, value in touched:
            if kind[0] == "lease":
                self._take_lease(commit.client, partition, value)
        self._check_owner(commit, touched)
        journaled: list[tuple[InvocationId, Entry]] = []
        ended: set[InvocationId] = set()
        changed: list[InvocationId] = []
        freed: dict[ObjectKey, dict[int, InvocationId | None]] = {}
        self._inboxed_now.clear()
        self._retained.clear()
        held = dict(self._locks)
        # What is cleared goes first: an id may end its retention and run anew in one commit.
        for (partition, *parts), _, value in sorted(touched, key=lambda row: row[2] is not None):
            self._take_row(partition, parts, value, journaled, ended, changed, freed)
        self._check_locks([row for row in touched if row[0][1] == "lock"], ended, freed)
        held = {object_key: holder for object_key, holder in held.items() if holder not in ended}
        self._check_states([row for row in touched if row[0][1] == "state"], journaled, held)
        for invocation in changed:
            self._check_holder(invocation)
        self.lifecycle.conclude_commit(journaled, changed, self._retained)

    def on_reply(self, invocation: InvocationId, outcome: Outcome) -> None:
        """Check the result that a client was given: it must be durable, and the one in the journal."""
        record = self.completed.get(invocation)
        name = format_invocation_id(invocation)
        if isinstance(outcome, Failure) and outcome.message == ALREADY_INVOKED:
            return
        if invocation in self.removed and outcome in ENDED_UNSTARTED:
            return
        self.acknowledged[invocation] = "result"
        if self.lifecycle.had_result(invocation, outcome):
            return
        if record is None:
            self.violate(f"a client was told the result of {name}, which is not durable")
        elif record.result != outcome:
            self.violate(f"a client was told {outcome} of {name}, the store says {record.result}")

    def on_accepted(self, invocation: InvocationId) -> None:
        """Check that what a client was told is accepted is durable."""
        self.acknowledged[invocation] = "accepted"
        if invocation not in self.unfinished and invocation not in self.completed and invocation not in self.removed:
            self.violate(f"a client was told that {format_invocation_id(invocation)} is accepted, and it is not durable")

    def on_start(self, target: str, start: pb.Start) -> None:
        """Check that what an attempt begins with is durable: the invocation, its journal, its state."""
        invocation = InvocationId(start.id)
        name = format_invocation_id(invocation)
        journal = self.journals.get(invocation)
        if journal is None or len(journal.entries) < start.known_entries:
            self.violate(f"an attempt of {name} began with {start.known_entries} entries, which are not durable")
        service = target.partition("/")[0]
        for entry in start.state_map:
            if (service, start.key, entry.key, entry.value) not in self._state_ever:
                self.violate(f"an attempt of {name} began with state {entry.key!r} = {entry.value!r}, which is not durable")

    def on_notification(self, invocation: InvocationId, notification: pb.Notification) -> None:
        """Check that what a handler is told is durable."""
        journal = self.journals.get(invocation)
        if notification.WhichOneof("id") == "completion_id":
            is_known = journal is not None and notification.completion_id in journal.completed
        else:
            is_known = journal is not None and any(
                isinstance(entry, Signal) and entry.signal_index == notification.signal_id for entry in journal.entries
            )
        if not is_known:
            self.violate(f"a handler was told {notification} in {format_invocation_id(invocation)}, and it is not durable")

    def is_at_rest(self) -> bool:
        """Return whether nothing is left to do: all ended, all mail read, no timers but those of retention."""
        due = [timer for timer in self.timers if timer[-1] < _TIMER_INDEX_OF_RETENTION or timer[0] < _SHORT_RETENTION_END_MS]
        return not self.unfinished and not any(self._mail.values()) and not due

    # At the end.

    def conclude(self) -> list[str]:
        """Return everything that is wrong, once all is at rest."""
        self.violations += self.leftovers()
        for key, count in self._mail.items():
            if count:
                self.violate(f"mail {key!r} was never read")
        for object_key, holder in self._locks.items():
            self.violate(f"the lock of {object_key} is still held by {format_invocation_id(holder)}")
        for object_key, waiting in self._inboxes.items():
            if waiting:
                self.violate(f"the inbox of {object_key} still holds {waiting}")
        for invocation, what in self.acknowledged.items():
            if invocation not in self.completed and invocation not in self.removed | self.lifecycle.expired:
                self.violate(f"{format_invocation_id(invocation)}, {what}, is lost")
        self._check_outputs()
        self._check_counts()
        self.lifecycle.conclude()
        for at_ms, invocation, _ in self.timers:
            if at_ms < _SHORT_RETENTION_END_MS:
                self.violate(f"the retention of {format_invocation_id(invocation)} is over, and it is still there")
        return self.violations

    def leftovers(self) -> list[str]:
        """Return the invocations that have not ended."""
        return [
            f"{format_invocation_id(invocation)} ({record.target.service}/{record.target.handler}) never ended: {record.status.name}"
            for invocation, record in self.unfinished.items()
        ]

    def _check_outputs(self) -> None:
        for invocation, record in self.completed.items():
            journal = self.journals.get(invocation)
            if journal is not None and journal.output != record.result and record.result != KILLED:
                self.violate(f"{format_invocation_id(invocation)} journaled {journal.output} and completed with {record.result}")

    def _check_counts(self) -> None:
        scanned: dict[tuple[str, str, str], int] = {}
        for record in [*self.unfinished.values(), *self.completed.values()]:
            key = (record.target.service, record.target.handler, record.status.name.lower())
            scanned[key] = scanned.get(key, 0) + 1
        counted = {key: total for key, by_partition in self._counts.items() if (total := sum(by_partition.values()))}
        if counted != scanned:
            self.violate(f"the counters say {counted}, a scan says {scanned}")

    # Rows.

    def _parts(self, key: bytes) -> tuple[Any, ...] | None:
        """Return (partition, kind, ...) of a partition's row; None for what is outside of partitions."""
        for partition, prefix in self._mail_prefixes.items():
            if key.startswith(prefix):
                return (partition, "mail", key)
        parts = unpack(key)
        return parts[2:] if len(parts) > 2 and parts[1] == "p" else None

    def _take_lease(self, client: str, partition: int, value: bytes | None) -> None:
        if value is None:
            return
        lease = decode_lease(value)
        before = self._leases.get(partition)
        if before is not None and lease.epoch < before.epoch:
            self.violate(f"the epoch of partition {partition} went back from {before} to {lease}")
        if before is not None and lease.epoch == before.epoch and lease.owner not in (before.owner, ""):
            self.violate(f"partition {partition} has two owners in one epoch: {before} and {lease}")
        if lease.owner:
            first = self._owner_of_epoch.setdefault((partition, lease.epoch), lease.owner)
            if first != lease.owner:
                self.violate(f"epoch {lease.epoch} of partition {partition} belonged to {first}, then to {lease.owner}")
        self._leases[partition] = lease

    def _check_owner(self, commit: Commit, rows: list[tuple[tuple[Any, ...], bytes, bytes | None]]) -> None:
        for (partition, kind, *_), _, value in rows:
            if kind == "lease" or (kind == "mail" and value is not None):
                continue
            lease = self._leases.get(partition)
            if lease is None or lease.owner != commit.client:
                self.violate(f"{commit.client} wrote {kind} of partition {partition}, whose lease is {lease}")
                return

    def _take_row(
        self,
        partition: int,
        parts: list[Any],
        value: bytes | None,
        journaled: list[tuple[InvocationId, Entry]],
        ended: set[InvocationId],
        changed: list[InvocationId],
        freed: dict[ObjectKey, dict[int, InvocationId | None]],
    ) -> None:
        kind = parts[0]
        if kind == "journal":
            self._take_entry(InvocationId(parts[1]), parts[2], value, journaled)
        elif kind == "live":
            self._take_unfinished(partition, InvocationId(parts[1]), value, ended, changed)
        elif kind == "inv":
            self._take_completed(InvocationId(parts[1]), value)
        elif kind == "inbox":
            self._take_inbox(partition, parts, value, freed)
        elif kind == "mail":
            self._take_mail(parts[1], value)
        elif kind == "promise":
            self.lifecycle.on_promise(*parts[1:], None if value is None else _whole(value))
        elif kind == "timer":
            timer = tuple(parts[1:])
            if value is None:
                self.timers.discard(timer)
            else:
                self.timers.add(timer)
        elif kind == "count":
            service, handler, status = parts[1:]
            count = 0 if value is None else int.from_bytes(value, "little", signed=True)
            self._counts.setdefault((service, handler, status), {})[partition] = count

    def _take_entry(self, invocation: InvocationId, index: int, value: bytes | None, journaled: list[tuple[InvocationId, Entry]]) -> None:
        if value is None:
            self.journals.pop(invocation, None)
            return
        journal = self.journals.setdefault(invocation, Journal())
        entry = _decode_entry(_whole(value)).entry
        name = format_invocation_id(invocation)
        if index != len(journal.entries):
            self.violate(f"entry {index} of {name} follows {len(journal.entries)} entries: {entry}")
        journaled.append((invocation, entry))
        self.lifecycle.on_entry(invocation, entry)
        journal.entries.append(entry)
        for completion_id in _announced(entry):
            if completion_id in journal.announced:
                self.violate(f"{name} journaled completion id {completion_id} twice: {entry}")
            journal.announced.add(completion_id)
        if isinstance(entry, Completion):
            if entry.completion_id in journal.completed:
                self.violate(f"completion {entry.completion_id} of {name} was journaled twice: {entry}")
            if entry.completion_id not in journal.announced:
                self.violate(f"completion {entry.completion_id} of {name} has no command: {entry}")
            journal.completed.add(entry.completion_id)
        if isinstance(entry, Output) and sum(isinstance(one, Output) for one in journal.entries) > 1:
            self.violate(f"{name} journaled two outputs")

    def _take_unfinished(
        self, partition: int, invocation: InvocationId, value: bytes | None, ended: set[InvocationId], changed: list[InvocationId]
    ) -> None:
        if value is None:
            ended.add(invocation)
            self.lifecycle.on_ended(invocation)
            record = self.unfinished.pop(invocation, None)
            if record is not None and record.status in (Status.SCHEDULED, Status.INBOXED):
                self.removed.add(invocation)
            return
        if partition != partition_of(invocation, self._partitions):
            self.violate(f"{format_invocation_id(invocation)} is in partition {partition}")
        if invocation in self.completed:
            self.violate(f"{format_invocation_id(invocation)} runs again after its completion")
        self.unfinished[invocation] = _decode_record(_whole(value))
        changed.append(invocation)

    def _take_completed(self, invocation: InvocationId, value: bytes | None) -> None:
        before = self.completed.get(invocation)
        if value is None:
            self.completed.pop(invocation, None)
            if before is not None:
                self._retained.append((invocation, before))
            return
        record = _decode_record(_whole(value))
        self._retained.append((invocation, record))
        self.lifecycle.on_completed(invocation, record)
        if before is not None and before.result != record.result:
            self.violate(f"the result of {format_invocation_id(invocation)} changed from {before.result} to {record.result}")
        self.completed[invocation] = record

    def _take_inbox(
        self, partition: int, parts: list[Any], value: bytes | None, freed: dict[ObjectKey, dict[int, InvocationId | None]]
    ) -> None:
        _, service, key, sequence = parts
        inbox = self._inboxes.setdefault((partition, service, key), {})
        if value is None:
            freed.setdefault((partition, service, key), {})[sequence] = inbox.pop(sequence, None)
            return
        if inbox and sequence <= max(inbox):
            self.violate(f"inbox {service}/{key} got {sequence} behind {max(inbox)}")
        inbox[sequence] = InvocationId(value)
        self._inboxed_now.add(sequence)

    def _take_mail(self, key: bytes, value: bytes | None) -> None:
        if value is not None:
            self._mail[key] = 1
        elif self._mail.get(key) == 1:
            self._mail[key] = 0
        else:
            self.violate(f"mail {key!r} was removed without being there")

    # Rules about several rows of one commit.

    def _check_locks(
        self,
        rows: list[tuple[tuple[Any, ...], bytes, bytes | None]],
        ended: set[InvocationId],
        freed: dict[ObjectKey, dict[int, InvocationId | None]],
    ) -> None:
        for (partition, _, service, key), _, value in rows:
            object_key = (partition, service, key)
            before = self._locks.pop(object_key, None)
            if value is not None:
                self._locks[object_key] = InvocationId(value)
            if before is not None and before not in ended and before != value:
                self.violate(f"the lock of {object_key} left {format_invocation_id(before)}, which has not ended")
            if value is not None and value != before:
                self._check_turn(object_key, InvocationId(value), freed.get(object_key, {}))

    def _check_turn(self, object_key: ObjectKey, holder: InvocationId, freed: dict[int, InvocationId | None]) -> None:
        """Check that a lock did not pass by one that waited before the commit and still waits after it."""
        passed_by = self._inboxes.get(object_key, {}).keys() - self._inboxed_now
        if not passed_by:
            return
        sequences = [sequence for sequence, invocation in freed.items() if invocation == holder]
        if not sequences or min(sequences) > min(passed_by):
            waiting = self._inboxes[object_key][min(passed_by)]
            self.violate(f"{format_invocation_id(holder)} got the lock of {object_key} before {format_invocation_id(waiting)}")

    def _check_states(
        self,
        rows: list[tuple[tuple[Any, ...], bytes, bytes | None]],
        journaled: list[tuple[InvocationId, Entry]],
        held: dict[ObjectKey, InvocationId],
    ) -> None:
        """Check that each change of state has its command, or was asked for from outside; `held` are objects that nobody let go."""
        for (partition, _, service, key, name), _, stored in rows:
            value = None if stored is None else _whole(stored)
            if value is None:
                self.state.pop((service, key, name.decode()), None)
            else:
                self.state[service, key, name.decode()] = value
                self._state_ever.add((service, key, name, value))
            if any(self._explains(invocation, entry, (partition, service, key), name, value) for invocation, entry in journaled):
                continue
            what = f"state {service}/{key}/{name!r} became {value!r}"
            if not self._is_purged(service, key) and not self.lifecycle.explains_state(service, key, name, value):
                self.violate(f"{what} without a command that says so")
            elif (partition, service, key) in held:
                self.violate(f"{what} from outside while {format_invocation_id(held[partition, service, key])} holds the object")

    def _is_purged(self, service: str, key: str) -> bool:
        """Whether the commit at hand removed the run of a workflow, and its state with it."""
        return any(
            (record.target.service, record.target.key) == (service, key) and invocation not in self.completed
            for invocation, record in self._retained
        )

    def _explains(self, invocation: InvocationId, entry: Entry, object_key: ObjectKey, name: bytes, value: bytes | None) -> bool:
        partition, service, key = object_key
        record = self.unfinished.get(invocation) or self.completed.get(invocation)
        if record is None or (record.target.service, record.target.key) != (service, key):
            return False
        if partition != partition_of(invocation, self._partitions):
            return False
        if isinstance(entry, SetState):
            return entry.key == name and value == entry.value
        return value is None and (isinstance(entry, ClearAllState) or (isinstance(entry, ClearState) and entry.key == name))

    def _check_holder(self, invocation: InvocationId) -> None:
        record = self.unfinished.get(invocation)
        if record is None or record.target.handler_type is not HandlerType.EXCLUSIVE or record.status not in _HOLDS_THE_LOCK:
            return
        assert record.target.key is not None
        object_key = (partition_of(invocation, self._partitions), record.target.service, record.target.key)
        if self._locks.get(object_key) != invocation:
            self.violate(f"{format_invocation_id(invocation)} is {record.status.name} without the lock of {object_key}")

    def violate(self, what: str) -> None:
        self.violations.append(f"commit {self.commits}: {what}")


def _whole(value: bytes) -> bytes:
    assert value[0] == 0, "simulated values fit a row"
    return value[1:]


def _announced(entry: Entry) -> list[int]:
    """Return the completion ids that a command announces."""
    if isinstance(entry, Call):
        return [entry.invocation_id_completion_id, entry.completion_id]
    if isinstance(entry, OneWayCall):
        return [entry.invocation_id_completion_id]
    if isinstance(entry, Completion | Signal):
        return []
    completion_id = getattr(entry, "completion_id", None)
    return [] if completion_id is None else [completion_id]
