"""Takes, keeps and gives away partitions. Heartbeats say when to try; the lease record in the store decides.

Source: architecture, rule 2 and Scale.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog

from perdure.base.clock import Clock
from perdure.base.errors import StoreError
from perdure.bus.interface import Bus, NoResponders
from perdure.bus.messages import VERSION, Announcement, Doorbell, Heartbeat, encode
from perdure.bus.subjects import Subjects
from perdure.store.interface import ReadTransaction, Transaction
from services.invoker.assignment import assign
from services.invoker.batch import Lease, decode_lease, encode_lease
from services.invoker.loading import load_partition
from services.invoker.machine.machine import PartitionMachine
from services.invoker.machine.view import PartitionView
from services.invoker.owner import OwnedPartition, Owner

STALL_MS_MAX = 10_000
"""An owner whose oldest event has not committed for this long counts as dead."""
PING_S_MAX = 0.3
TIMERS_AHEAD_MS = 60_000

log = structlog.get_logger("perdure.invoker")


class Peers(Protocol):
    """The living processes, as their heartbeats tell."""

    def alive(self, role: str | None = None) -> list[Heartbeat]: ...


class Leases:
    """Keeps the partitions of this process in line with the assignment."""

    def __init__(
        self, *, owner: Owner, bus: Bus, subjects: Subjects, peers: Peers, clock: Clock, poll_s: float, on_change: Callable[[], None]
    ) -> None:
        self._owner = owner
        self._bus = bus
        self._subjects = subjects
        self._peers = peers
        self._clock = clock
        self._poll_s = poll_s
        self._on_change = on_change
        self._nudged = asyncio.Event()
        self._is_leaving = False
        self.changes = 0

    def nudge(self) -> None:
        """Look at the leases now."""
        self._nudged.set()

    async def run(self) -> None:
        """Take what should be ours and is free, give what should be another's, until cancelled."""
        while True:
            self._nudged.clear()
            try:
                await self._align()
            except StoreError as error:
                log.warning("leases_unreadable", reason=error.message)
            try:
                async with asyncio.timeout(self._poll_s):
                    await self._nudged.wait()
            except TimeoutError:
                continue

    async def leave(self) -> None:
        """Give every partition to the others, before this process stops."""
        self._is_leaving = True
        await self._align()

    @property
    def is_settled(self) -> bool:
        """Whether everything that should be ours is."""
        mine = {number for number, name in self._assignment().items() if name == self._owner.invoker_id}
        return mine <= self._owner.partitions.keys()

    def _assignment(self) -> dict[int, str]:
        now_ms = self._clock.now_ms()
        own_id = self._owner.invoker_id
        names = {
            peer.process_id
            for peer in self._peers.alive("invoker")
            if not peer.is_leaving and peer.counters.get("stalled_ms", 0) < STALL_MS_MAX
        }
        names.discard(own_id)
        if not self._is_leaving and self._owner.stalled_ms(now_ms) < STALL_MS_MAX:
            names.add(own_id)
        return assign(self._owner.partition_count, sorted(names))

    async def _align(self) -> None:
        owner = self._owner
        assignment = self._assignment()
        leases = await owner.store.read(self._read_leases)
        lost = [number for number in owner.partitions if leases.get(number) != owner.partitions[number].lease]
        for number in lost:
            log.warning("partition_lost", partition=number)
            owner.drop(number)
        await self._give(assignment)
        granted = {number: lease for number, lease in leases.items() if lease.owner == owner.invoker_id and number not in owner.partitions}
        granted = {number: lease for number, lease in granted.items() if number not in lost}
        free = await self._free(assignment, leases)
        claimed = await self._claim({number: leases.get(number) for number in free}) if free else {}
        await self._take({**granted, **claimed})
        if lost:
            self._changed()

    def _read_leases(self, tr: ReadTransaction) -> dict[int, Lease]:
        keyspace = self._owner.keyspace
        raw = ((number, tr.get(keyspace.partition(number).lease)) for number in range(self._owner.partition_count))
        return {number: decode_lease(value) for number, value in raw if value is not None}

    # Taking.

    async def _free(self, assignment: dict[int, str], leases: dict[int, Lease]) -> list[int]:
        own_id = self._owner.invoker_id
        wanted = [number for number, name in assignment.items() if name == own_id and number not in self._owner.partitions]
        holders = {leases[number].owner for number in wanted if number in leases} - {own_id}
        dead = {holder for holder in holders if await self._is_dead(holder)}
        return [number for number in wanted if number not in leases or leases[number].owner in dead]

    async def _is_dead(self, holder: str) -> bool:
        """Whether a process that holds leases can be given up: silent or stalled, and nobody answers for it."""
        for peer in self._peers.alive("invoker"):
            if peer.process_id == holder:
                return peer.counters.get("stalled_ms", 0) >= STALL_MS_MAX
        try:
            await self._bus.request(self._subjects.owner(holder), b"", timeout_s=PING_S_MAX)
        except NoResponders:
            return True
        except TimeoutError:
            return False
        return False

    async def _claim(self, expected: dict[int, Lease | None]) -> dict[int, Lease]:
        owner = self._owner
        claims = {number: Lease(owner.invoker_id, (0 if lease is None else lease.epoch) + 1) for number, lease in expected.items()}

        def claim(tr: Transaction) -> dict[int, Lease]:
            won: dict[int, Lease] = {}
            for number, lease in expected.items():
                key = owner.keyspace.partition(number).lease
                found = tr.get(key)
                if found == encode_lease(claims[number]):
                    won[number] = claims[number]
                elif found == (None if lease is None else encode_lease(lease)):
                    tr.set(key, encode_lease(claims[number]))
                    won[number] = claims[number]
            return won

        return await owner.store.transact(claim)

    async def _take(self, leases: dict[int, Lease]) -> None:
        if not leases:
            return
        owner = self._owner
        horizon_ms = self._clock.now_ms() + TIMERS_AHEAD_MS
        for number, lease in leases.items():
            keys = owner.keyspace.partition(number)
            view = PartitionView(number, owner.partition_count, keys)
            owned = OwnedPartition(PartitionMachine(view), lease, keys.lease)
            await load_partition(owner.store, owned, horizon_ms)
            owner.partitions[number] = owned
            owner.apply_restore(owned)
        log.info("partitions_taken", partitions=sorted(leases))
        self._changed()
        self._announce(leases)
        self._bus.publish(self._subjects.doorbell, encode(Doorbell(VERSION, sorted(leases))))

    # Giving.

    async def _give(self, assignment: dict[int, str]) -> None:
        owner = self._owner
        own_id = owner.invoker_id
        leaving = {number: assignment[number] for number in owner.partitions if assignment.get(number, own_id) != own_id}
        if not leaving:
            return
        for number in leaving:
            owner.partitions[number].is_closing = True
            owner.outlet.stop_attempts(number)
        await owner.settle()
        grants = {number: name for number, name in leaving.items() if number in owner.partitions}

        def grant(tr: Transaction) -> None:
            for number, name in grants.items():
                owned = owner.partitions[number]
                if tr.get(owned.lease_key) == owned.lease_value:
                    tr.set(owned.lease_key, encode_lease(Lease(name, owned.lease.epoch + 1)))

        await owner.store.transact(grant)
        for number in grants:
            owner.drop(number)
        log.info("partitions_given", partitions=sorted(grants))
        self._changed()
        self._bus.publish(self._subjects.doorbell, encode(Doorbell(VERSION, sorted(grants))))

    def _changed(self) -> None:
        self.changes += 1
        self._on_change()

    def _announce(self, leases: dict[int, Lease]) -> None:
        epochs = {number: lease.epoch for number, lease in leases.items()}
        message = Announcement(VERSION, self._owner.invoker_id, sorted(leases), epochs)
        self._bus.publish(self._subjects.announcements, encode(message))
