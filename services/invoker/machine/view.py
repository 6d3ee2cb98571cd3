"""What an owner keeps in memory of a partition: unfinished invocations, locks, inboxes, near timers, recently used state."""

import heapq
from collections import OrderedDict, deque
from typing import Final

import msgspec

from perdure.base.ids import InvocationId
from perdure.bus.messages import InvocationFilter
from perdure.model.invocation import IngressSink, InvocationRecord, Status
from perdure.model.journal import AttemptError, Entry, Future
from perdure.model.promise import PromiseRecord
from perdure.model.state import StateMutation
from perdure.model.timer import Timer
from perdure.store.keyspace import PartitionKeys

ENDED_MAX: Final = 2_048
ObjectKey = tuple[str, str]
"""service, key"""


class OperationRecord(msgspec.Struct, array_like=True):
    """An action on all invocations that match a filter. `after` is the last id that it has dealt with; they go in order of ids."""

    action: str
    filter: InvocationFilter
    deployment: str | None = None
    after: bytes = b""


class WaitingMutation(msgspec.Struct, frozen=True):
    """A change of state that waits in an inbox; it keeps the object's state in memory."""

    sequence: int
    mutation: StateMutation


class Live:
    """An invocation in memory.

    Attributes:
        journal: All entries, or None where they must be read from the store first.
        tail: Entries appended while the journal was not in memory.
        waiting: Ingress requests that wait for the result: reply subject and request id.
        attempt: Number of the present attempt; results of others do not count.
        is_open: Whether the attempt has an exchange with its deployment.
        is_failing: The attempt broke a rule; what it still sends is dropped.
        has_ended: It is completed or removed; it leaves memory once that has committed.
        is_removed: It leaves no row behind.
        is_wide: Its record, as last written, is too large for one row.
        failures: Failed attempts of this stretch that count against the policy; `failed_attempts` with all others, `failures_since_entry`
            those since the journal grew.
        last_failure: Why the last attempt failed, until the handler makes progress.
        awaiting_on: What the handler said it waits for, where its protocol tells.
        durable_length: Entries that are known to be committed.
        pending_writes: Batches with a change of the record that have not committed.
        pause_requested: The next suspension or failure of the attempt becomes a pause.
        traced: What whoever traces it keeps of it; nothing to the rules.
    """

    __slots__ = (
        "attempt",
        "awaiting_on",
        "durable_length",
        "failed_attempts",
        "failures",
        "failures_since_entry",
        "has_ended",
        "id",
        "is_failing",
        "is_open",
        "is_removed",
        "is_wide",
        "journal",
        "last_deployment_id",
        "last_failure",
        "last_server",
        "last_start_at_ms",
        "next_retry_at_ms",
        "partition",
        "pause_requested",
        "pending_writes",
        "record",
        "tail",
        "traced",
        "waiting",
    )

    def __init__(self, invocation_id: InvocationId, partition: int, record: InvocationRecord, journal: list[Entry] | None) -> None:
        self.id = invocation_id
        self.partition = partition
        self.record = record
        self.journal = journal
        self.tail: list[Entry] = []
        self.waiting: list[IngressSink] = []
        self.attempt = 0
        self.is_open = False
        self.is_failing = False
        self.has_ended = False
        self.is_removed = False
        self.is_wide = False
        self.failures = 0
        self.failed_attempts = 0
        self.failures_since_entry = 0
        self.durable_length = record.journal_length
        self.pending_writes = 0
        self.pause_requested = False
        self.traced: object | None = None
        self.last_failure: AttemptError | None = None
        self.last_start_at_ms: int | None = None
        self.next_retry_at_ms: int | None = None
        self.last_server: str | None = None
        self.awaiting_on: Future | None = None
        self.last_deployment_id: str | None = None


class CachedState:
    """All state and promises of one object or workflow. Leaves memory only when no attempt pins it and its writes have committed."""

    __slots__ = ("entries", "pending_writes", "pins", "promises")

    def __init__(self, entries: dict[bytes, bytes], promises: dict[str, PromiseRecord]) -> None:
        self.entries = entries
        self.promises = promises
        self.pins = 0
        self.pending_writes = 0


class PartitionView:
    """The memory of one partition's owner; a coherent cache of the store, ahead of it by what is not committed yet."""

    def __init__(self, number: int, partitions: int, keys: PartitionKeys) -> None:
        self.number = number
        self.partitions = partitions
        self.keys = keys
        self.lives: dict[InvocationId, Live] = {}
        self.locks: dict[ObjectKey, InvocationId] = {}
        self.inboxes: dict[ObjectKey, deque[InvocationId | WaitingMutation]] = {}
        self.mutations_waiting = 0
        self.inbox_sequence = 0
        self.timers: list[Timer] = []
        self.timer_horizon_ms = 0
        """Timers before this time are in memory; later ones are only in the store."""
        self.armed: set[Timer] = set()
        """Timers in memory, and fired ones until that has committed: so that none is taken from the store again."""
        self.states: OrderedDict[ObjectKey, CachedState] = OrderedDict()
        self.found: dict[InvocationId, InvocationRecord] = {}
        """Completed records that were read from the store for the event at hand."""
        self.journals: dict[InvocationId, list[Entry]] = {}
        """Journals that were read from the store for the event at hand."""
        self.lookups: dict[InvocationId, int] = {}
        """Ids that are being looked up; an invocation that ends meanwhile stays in memory."""
        self.ended: OrderedDict[InvocationId, None] = OrderedDict()
        """The last invocations that ended and left memory: a request for one that claims to be new is a repetition."""
        self.operations: dict[bytes, OperationRecord] = {}
        self.counts: dict[bytes, int] = {}
        self.totals: list[int] = [0] * len(Status)
        """Status -> number of invocations, the sum of `counts`."""

    def arm(self, timer: Timer) -> None:
        """Keep a timer in memory if it is near."""
        if timer.at_ms < self.timer_horizon_ms and timer not in self.armed:
            self.armed.add(timer)
            heapq.heappush(self.timers, timer)

    def next_timer_at_ms(self) -> int | None:
        """Return when the next timer in memory is due."""
        return self.timers[0].at_ms if self.timers else None

    def due(self, now_ms: int) -> list[Timer]:
        """Take the timers whose time has come, in order."""
        timers: list[Timer] = []
        while self.timers and self.timers[0].at_ms <= now_ms:
            timers.append(heapq.heappop(self.timers))
        return timers

    def forget(self, live: Live) -> None:
        """Drop an ended invocation from memory, unless a look-up is under way or a write is not committed."""
        if live.has_ended and not live.pending_writes and live.id not in self.lookups and self.lives.get(live.id) is live:
            del self.lives[live.id]
            if not live.is_removed:
                self.ended[live.id] = None
            if len(self.ended) > ENDED_MAX:
                self.ended.popitem(last=False)
