"""Takes, keeps and gives away partitions. Heartbeats say when to try; the lease record in the store decides.

Source: architecture, rule 2 and Scale.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog

from perdure.base.clock import Clock, until_beat_s
from perdure.base.errors import StoreError
from perdure.bus.interface import Bus, NoResponders
from perdure.bus.messages import STORE_WAIT_MS, VERSION, Announcement, Doorbell, Heartbeat, encode
from perdure.bus.subjects import Subjects
from perdure.model.lease import Lease, decode_lease, encode_lease
from perdure.process.peers import HEARTBEAT_INTERVAL_MS
from perdure.store.interface import ReadTransaction, Transaction
from perdure.store.placements import read_placements
from services.invoker.assignment import assign
from services.invoker.loading import load_partition
from services.invoker.machine.machine import PartitionMachine
from services.invoker.machine.view import PartitionView
from services.invoker.owner import OwnedPartition, Owner
from services.invoker.watched_store import WatchedStore

STORE_WAIT_MS_MAX = 5_000
"""An invoker that waits for longer counts as dead: FoundationDB lets no transaction live so long, so it hears nothing from the store."""
JUDGING_AGAIN_S = 2 * HEARTBEAT_INTERVAL_MS / 1_000
"""Whoever has just waited for the store himself blames nobody for the same, until he has heard all others anew."""
SUSPICION_MS = 1_500
"""Heartbeats come every second; who is this much closer to counting as silent is asked whether it lives."""
PING_S_MAX = 0.3
ANNOUNCE_S = 3.0
TIMERS_AHEAD_MS = 60_000

log = structlog.get_logger("perdure.invoker")


class Peers(Protocol):
    """The living processes, as their heartbeats tell."""

    def alive(self, role: str | None = None, *, now_ms: int | None = None) -> list[Heartbeat]: ...


class Leases:
    """Keeps the partitions of this process in line with the assignment."""

    def __init__(
        self,
        *,
        owner: Owner,
        store: WatchedStore,
        bus: Bus,
        subjects: Subjects,
        peers: Peers,
        clock: Clock,
        poll_s: float,
        takeover_after_ms: int,
        on_change: Callable[[], None],
    ) -> None:
        self._owner = owner
        self._store = store
        self._bus = bus
        self._subjects = subjects
        self._peers = peers
        self._clock = clock
        self._poll_s = poll_s
        self._takeover_after_ms = takeover_after_ms
        self._began_at_ms = clock.now_ms()
        self._dead: set[str] = set()
        self._placements: dict[int, str] = {}
        self._on_change = on_change
        self._nudged = asyncio.Event()
        self._is_leaving = False
        self._aligning = asyncio.Lock()
        self._announced_at_s = 0.0
        self._judges_from_s = 0.0
        self.taken = 0
        self.given = 0

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
            self._announce_again()
            try:
                async with asyncio.timeout(until_beat_s(asyncio.get_running_loop().time(), self._poll_s)):
                    await self._nudged.wait()
            except TimeoutError:
                continue

    def _announce_again(self) -> None:
        """Repeat what we own every few seconds: whoever missed the announcement asks the wrong process until then."""
        now_s = asyncio.get_running_loop().time()
        if self._owner.partitions and now_s - self._announced_at_s >= ANNOUNCE_S:
            self._announced_at_s = now_s
            self._announce({number: owned.lease for number, owned in self._owner.partitions.items()})

    async def leave(self) -> None:
        """Give every partition to the others, and take none from now on; what nobody else can take yet is given when somebody can."""
        self._is_leaving = True
        try:
            await self._align()
        except StoreError as error:
            log.warning("leases_unreadable", reason=error.message)

    @property
    def is_settled(self) -> bool:
        """Whether everything that should be ours is."""
        mine = {number for number, name in self._assignment().items() if name == self._owner.invoker_id}
        return mine <= self._owner.partitions.keys()

    def _assignment(self) -> dict[int, str]:
        own_id = self._owner.invoker_id
        names = {peer.process_id for peer in self._peers.alive("invoker") if not peer.is_draining and not self._is_stalled(peer)}
        names -= {own_id, *self._dead}
        if not self._is_leaving:
            names.add(own_id)
        return assign(self._owner.partition_count, sorted(names), self._placements)

    async def _align(self) -> None:
        """Bring partitions in line, one caller at a time: two would take the same partition twice."""
        async with self._aligning:
            await self._align_alone()

    async def _align_alone(self) -> None:
        owner = self._owner
        await self._note_dead()
        leases, self._placements = await self._look()
        assignment = self._assignment()
        lost = [number for number, owned in owner.partitions.items() if leases.get(number) != owned.lease]
        if lost:
            log.warning("partitions_lost", partitions=lost)
            owner.drop_all()
            self._on_change()
        granted = [number for number, lease in leases.items() if lease.owner == owner.invoker_id and number not in owner.partitions]
        await self._give(assignment)
        free = await self._free(assignment, leases)
        wanted = sorted({*granted, *free})
        if wanted:
            await self._take(await self._claim({number: leases.get(number) for number in wanted}))

    async def _look(self) -> tuple[dict[int, Lease], dict[int, str]]:
        time_s = asyncio.get_running_loop().time
        asked_at_s = time_s()
        found = await self._store.read(self._read_leases)
        if (time_s() - asked_at_s) * 1_000 > HEARTBEAT_INTERVAL_MS:
            self._judges_from_s = time_s() + JUDGING_AGAIN_S
        return found

    def _read_leases(self, tr: ReadTransaction) -> tuple[dict[int, Lease], dict[int, str]]:
        keyspace = self._owner.keyspace
        found = tr.get_many([keyspace.partition(number).lease for number in range(self._owner.partition_count)])
        leases = {number: decode_lease(value) for number, value in enumerate(found) if value is not None}
        return leases, read_placements(tr, keyspace)

    # Taking.

    async def _free(self, assignment: dict[int, str], leases: dict[int, Lease]) -> list[int]:
        own_id = self._owner.invoker_id
        wanted = [number for number, name in assignment.items() if name == own_id and number not in self._owner.partitions]
        holders = {leases[number].owner for number in wanted if number in leases} - {own_id}
        dead = {holder for holder in sorted(holders) if await self._is_dead(holder)}
        return [number for number in wanted if number not in leases or leases[number].owner in dead]

    async def _note_dead(self) -> None:
        """Find those that missed a heartbeat and for whom nobody answers: sooner than their silence would tell."""
        now_ms = self._clock.now_ms()
        recent = {peer.process_id for peer in self._peers.alive("invoker", now_ms=now_ms + SUSPICION_MS)}
        suspects = {peer.process_id for peer in self._peers.alive("invoker")} - recent - {self._owner.invoker_id}
        self._dead = {name for name in sorted(suspects) if await self._ping(name) is False}

    async def _is_dead(self, holder: str) -> bool:
        """Whether a process that holds leases can be given up: stalled, silent for long, or gone from the bus."""
        for peer in self._peers.alive("invoker"):
            if peer.process_id == holder and holder not in self._dead:
                return self._is_stalled(peer)
        answer = await self._ping(holder)
        has_waited = self._clock.now_ms() - self._began_at_ms > self._takeover_after_ms
        return answer is False or (answer is None and has_waited)

    def _is_stalled(self, peer: Heartbeat) -> bool:
        """Whether a process that speaks gets nothing done, because the store does not answer it."""
        judges = asyncio.get_running_loop().time() >= self._judges_from_s
        return judges and peer.counters.get(STORE_WAIT_MS, 0) >= STORE_WAIT_MS_MAX

    async def _ping(self, invoker_id: str) -> bool | None:
        """Ask a process whether it lives; false if nobody listens for it, None if there was no answer in time."""
        try:
            await self._bus.request(self._subjects.owner(invoker_id), b"", timeout_s=PING_S_MAX)
        except NoResponders:
            return False
        except TimeoutError:
            return None
        return True

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

        return await self._store.transact(claim)

    async def _take(self, leases: dict[int, Lease]) -> None:
        if not leases:
            return
        owner = self._owner
        horizon_ms = self._clock.now_ms() + TIMERS_AHEAD_MS
        for number, lease in leases.items():
            keys = owner.keyspace.partition(number)
            view = PartitionView(number, owner.partition_count, keys)
            owned = OwnedPartition(PartitionMachine(view), lease, keys.lease)
            await load_partition(self._store, owned, horizon_ms)
            owner.adopt(number, owned)
            owner.apply_restore(owned)
        log.info("partitions_taken", partitions=sorted(leases))
        self.taken += len(leases)
        self._on_change()
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
        grants = {number: (owner.partitions[number], name) for number, name in leaving.items() if number in owner.partitions}

        def grant(tr: Transaction) -> None:
            for owned, name in grants.values():
                if tr.get(owned.lease_key) == owned.lease_value:
                    tr.set(owned.lease_key, encode_lease(Lease(name, owned.lease.epoch + 1)))

        await self._store.transact(grant)
        for number in grants:
            owner.drop(number)
        log.info("partitions_given", partitions=sorted(grants))
        self.given += len(grants)
        self._on_change()
        self._bus.publish(self._subjects.doorbell, encode(Doorbell(VERSION, sorted(grants))))

    def _announce(self, leases: dict[int, Lease]) -> None:
        epochs = {number: lease.epoch for number, lease in leases.items()}
        message = Announcement(VERSION, self._owner.invoker_id, sorted(leases), epochs, self._owner.adoptions)
        self._bus.publish(self._subjects.announcements, encode(message))
