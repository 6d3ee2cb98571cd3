"""The owner of partitions: feeds events to their machines, commits what has gathered, then lets it out.

One commit is in flight at a time, for all partitions; events that arrive meanwhile gather for the next one. What nobody waits for lingers
a moment, for what comes behind it: mostly the end of the same attempt.
Source: architecture, rules 1, 4, 5 and 6; docs/decisions/0010.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from perdure.base.clock import Clock
from perdure.base.errors import LeaseLost
from perdure.base.ids import InvocationId, partition_of
from perdure.base.limits import TRANSACTION_BYTES_MAX, TRANSACTION_ROWS_MAX
from perdure.model.lease import Lease, encode_lease
from perdure.model.mail import Mail
from perdure.store.interface import Store
from perdure.store.keyspace import Keyspace
from services.invoker.batch import Batch
from services.invoker.machine.events import Event, MailReceived
from services.invoker.machine.machine import PartitionMachine, seal, seal_counts
from services.invoker.machine.step import Effect, Step
from services.invoker.machine.view import CachedState, Live, PartitionView
from services.invoker.meters import CommitMeters
from services.invoker.tracing import Tracer

LINGER_S: Final = 0.002
"""How long events without an effect, which nobody waits for, gather before they are committed by themselves."""

log = structlog.get_logger("perdure.invoker")


class Outlet(Protocol):
    """Carries out effects, after the commit."""

    def release(self, effects: list[Effect]) -> None: ...

    def ring(self, partitions: set[int]) -> None:
        """Tell the owners of these partitions that there is mail."""
        ...

    def stop_attempts(self, partition: int) -> None:
        """Give up all attempts of a partition: it is no longer ours."""
        ...


class OwnedPartition:
    """A partition that this process may write.

    Attributes:
        mail_after: The last mailbox row that was fed to the machine.
        own_mail: Messages from our own partitions that are in the mailbox, so that later ones do not overtake them.
        mail_in_lookup: Messages that wait for reads; those behind them wait as well, to keep their order.
        is_drained: Whether the mailbox has been empty since this process last took a partition.
        is_closing: It is being given away: nothing new is fed.
    """

    def __init__(self, machine: PartitionMachine, lease: Lease, lease_key: bytes) -> None:
        self.machine = machine
        self.view: PartitionView = machine.view
        self.lease = lease
        self.lease_key = lease_key
        self.lease_value = encode_lease(lease)
        self.mail_after: bytes | None = None
        self.own_mail = 0
        self.taken_at_batch = 0
        self.mail_in_lookup = 0
        self.is_drained = False
        self.is_closing = False


class Owner:
    """All partitions of one invoker, and the step that gathers for their next commit."""

    def __init__(
        self, *, invoker_id: str, store: Store, keyspace: Keyspace, clock: Clock, partition_count: int, tracer: Tracer | None = None
    ) -> None:
        self.invoker_id = invoker_id
        self.sender = invoker_id.encode()
        self.store = store
        self.keyspace = keyspace
        self.clock = clock
        self.partition_count = partition_count
        self.partitions: dict[int, OwnedPartition] = {}
        self.outlet: Outlet
        self.lookup: Callable[[int, Event], None]
        """Reads what an event needs from the store, then calls `apply`."""
        self.on_committed: Callable[[], None] = lambda: None
        self.on_lost: Callable[[], None] = lambda: None
        self.tracer = tracer
        self.adoptions = 0
        """Partitions taken so far."""
        self.lost = 0
        """Partitions that others have taken from us."""
        self.commits = CommitMeters()
        self._step = self._new_step()
        self._sealed: deque[Batch] = deque()
        self._batch_number = 0
        self._gathering_since_ms: int | None = None
        self._in_flight_since_ms: int | None = None
        self._committed_number = 0
        self._wake = asyncio.Event()
        self._lingering: asyncio.TimerHandle | None = None
        self._settlers: list[tuple[int, asyncio.Future[None]]] = []

    # Feeding.

    def feed(self, partition: int, event: Event) -> bool:
        """Apply an event, after reading what it needs; false if the partition is not (or no longer) ours."""
        owned = self.partitions.get(partition)
        if owned is None or owned.is_closing:
            return False
        machine = owned.machine
        is_mail = isinstance(event, MailReceived)
        if (is_mail and owned.mail_in_lookup) or machine.needs_reads(event):
            owned.mail_in_lookup += is_mail
            self.lookup(partition, event)
        else:
            self.apply(owned, event)
        return True

    def apply(self, owned: OwnedPartition, event: Event) -> None:
        """Apply an event whose needs are in the view."""
        now_ms = self.clock.now_ms()
        step = self._step
        if isinstance(event, MailReceived) and self._is_own_mail(owned, event.mail_key):
            assert owned.own_mail > 0
            owned.own_mail -= 1
        owned.machine.apply(event, now_ms, step)
        while step.outbox:
            self._route(step, now_ms)
        self.wake(now_ms)
        if step.size_bytes > TRANSACTION_BYTES_MAX or len(step.writes) + len(step.dirty) > TRANSACTION_ROWS_MAX:
            self._seal()
            self._wake.set()

    def _is_own_mail(self, owned: OwnedPartition, mail_key: bytes) -> bool:
        """Whether we wrote a row of the mailbox since we took the partition."""
        tail = len(self.sender)
        return mail_key.endswith(self.sender) and int.from_bytes(mail_key[-tail - 8 : -tail], "big") > owned.taken_at_batch

    def adopt(self, number: int, owned: OwnedPartition) -> None:
        """Make a loaded partition ours; what gathered before goes into a batch of its own, whose mail for it is not our own mail yet."""
        assert number not in self.partitions, "a partition is taken once"
        self._seal()
        self._wake.set()
        owned.taken_at_batch = self._batch_number
        self.partitions[number] = owned
        self.adoptions += 1
        for other in self.partitions.values():
            other.is_drained = False  # its last owner may have left mail that what its invocations send now must not overtake

    def apply_restore(self, owned: OwnedPartition) -> None:
        """Let a loaded partition go on where its last owner stopped."""
        now_ms = self.clock.now_ms()
        owned.machine.restore(now_ms, self._step)
        self.wake(now_ms)

    def wake(self, now_ms: int) -> None:
        """Let the commit loop take what has gathered: at once if somebody waits for it, else when it has lingered."""
        if self._gathering_since_ms is None:
            self._gathering_since_ms = now_ms
        if self._is_awaited:
            self._wake.set()
        elif self._lingering is None:
            self._lingering = asyncio.get_running_loop().call_later(LINGER_S, self._wake.set)

    def live(self, invocation_id: InvocationId) -> Live | None:
        """Return an invocation of one of our partitions."""
        owned = self.partitions.get(self.partition_of(invocation_id))
        return None if owned is None else owned.view.lives.get(invocation_id)

    @property
    def invocation_count(self) -> int:
        """Unfinished invocations in memory."""
        return sum(len(owned.view.lives) for owned in self.partitions.values())

    def partition_of(self, invocation_id: InvocationId) -> int:
        """Return the partition that an invocation lives in."""
        return partition_of(invocation_id, self.partition_count)

    def _route(self, step: Step, now_ms: int) -> None:
        outbox, step.outbox = step.outbox, []
        for partition, mail in outbox:
            owned = self.partitions.get(partition)
            if owned is not None and _takes_directly(owned, mail):
                owned.machine.apply(MailReceived(mail), now_ms, step)
                continue
            if owned is not None:
                owned.own_mail += 1
            step.mailed.append((partition, mail))
            assert step.touched, "what sends also changes its own partition"

    def _new_step(self) -> Step:
        return Step(is_traced=self.tracer is not None)

    # Committing.

    async def run(self) -> None:
        """Commit what has gathered, then let it out, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._seal()
            while self._sealed:
                await self._commit(self._sealed.popleft())
                if self._is_awaited:
                    self._seal()

    @property
    def _is_awaited(self) -> bool:
        """Whether somebody waits for what has gathered to commit."""
        return self._step.has_effects or bool(self._settlers)

    async def settle(self) -> None:
        """Wait until everything fed so far has committed, or was dropped."""
        target = self._batch_number + (0 if self._step.is_empty else 1)
        if target > self._committed_number:
            settled = asyncio.get_running_loop().create_future()
            self._settlers.append((target, settled))
            self._wake.set()
            await settled

    def is_durable(self, state: CachedState) -> bool:
        """Whether all that was written to some state has committed."""
        return not state.pending_writes and state not in self._step.states

    @property
    def batches_waiting(self) -> int:
        """Batches that wait for the commit in flight."""
        return len(self._sealed)

    def stalled_ms(self, now_ms: int) -> int:
        """Return the age of the oldest event that has not committed."""
        waiting_since_ms = self._sealed[0].since_ms if self._sealed else None
        since = [at for at in (self._in_flight_since_ms, waiting_since_ms, self._gathering_since_ms) if at is not None]
        return max(0, now_ms - min(since)) if since else 0

    def drop_all(self) -> None:
        """Forget every partition and all that has not committed; nothing of it was visible to anyone."""
        self.lost += len(self.partitions)
        for partition in list(self.partitions):
            self.drop(partition)
        self._step = self._new_step()
        self._sealed.clear()
        self._gathering_since_ms = None
        self._committed_number = self._batch_number
        self._settled_up_to(self._batch_number + 1)

    def drop(self, partition: int) -> None:
        """Forget one partition; what it had must have committed, or be lost with `drop_all`."""
        self.outlet.stop_attempts(partition)
        self.partitions.pop(partition, None)

    def _settled_up_to(self, number: int) -> None:
        waiting, self._settlers = self._settlers, []
        for target, settled in waiting:
            if target > number:
                self._settlers.append((target, settled))
            elif not settled.done():
                settled.set_result(None)

    def _seal(self) -> None:
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None
        step = self._step
        if step.is_empty:
            self._gathering_since_ms = None
            return
        self._step = self._new_step()
        for live in step.dirty.values():
            seal(self.partitions[live.partition].view, live, step)
        seal_counts({number: self.partitions[number].view for number in step.touched}, step)
        for state in step.states:
            state.pending_writes += 1
        self._batch_number += 1
        number = self.sender + self._batch_number.to_bytes(8, "big")
        leases = {owned.lease_key: owned.lease_value for owned in (self.partitions[partition] for partition in step.touched)}
        since_ms = self.clock.now_ms() if self._gathering_since_ms is None else self._gathering_since_ms
        self._sealed.append(Batch(step, self._batch_number, number, leases, self.keyspace, self.sender, since_ms))
        self._gathering_since_ms = None

    async def _commit(self, batch: Batch) -> None:
        step = batch.step
        time_s = asyncio.get_running_loop().time
        self.commits.queued.observe(max(0, self.clock.now_ms() - batch.since_ms) / 1_000)
        started_s = time_s()
        self._in_flight_since_ms = batch.since_ms
        if step.touched:
            try:
                for write_ahead in batch.ahead():
                    await self.store.transact(write_ahead)
                await self.store.transact(batch.write)
            except LeaseLost as error:
                log.warning("lease_lost", reason=error.message, partitions=sorted(step.touched))
                self.drop_all()
                self._in_flight_since_ms = None
                self.on_lost()
                return
        self.commits.record(rows=batch.rows, size_bytes=batch.size_bytes, duration_s=time_s() - started_s)
        self._in_flight_since_ms = None
        self._release(batch)

    def _release(self, batch: Batch) -> None:
        step = batch.step
        for live, length in batch.lengths:
            live.pending_writes -= 1
            live.durable_length = length
            if live.has_ended and (owned := self.partitions.get(live.partition)) is not None:
                owned.view.forget(live)
        for state in step.states:
            state.pending_writes -= 1
        for partition, timer in step.fired:
            if partition in self.partitions:
                self.partitions[partition].view.armed.discard(timer)
        self._committed_number = max(self._committed_number, batch.sequence)
        self._settled_up_to(batch.sequence)
        if self.tracer is not None and step.traced:
            self.tracer.committed(step.traced)
        self.outlet.release(step.after_commit)
        if step.mailed:
            self.outlet.ring({partition for partition, _ in step.mailed})
        self.on_committed()


def _takes_directly(owned: OwnedPartition, mail: Mail) -> bool:
    if not owned.is_drained or owned.own_mail or owned.mail_in_lookup or owned.is_closing:
        return False
    return not owned.machine.needs_reads(MailReceived(mail))
