"""Many processes on one virtual loop under one seed: one store, one bus, one set of deployments, and a schedule of faults.

What runs in a process is the real code: a role is a coroutine function that gets everything with I/O as `Parts`.
"""

import asyncio
import contextlib
import random
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import msgspec

from perdure.base.clock import Clock, Random
from perdure.base.errors import StoreError
from perdure.bus.interface import Bus
from perdure.bus.messages import VERSION, Heartbeat, encode
from perdure.bus.subjects import Subjects
from perdure.deployments.interface import DeploymentClient
from perdure.process.peers import HEARTBEAT_INTERVAL_MS, Peers
from perdure.sim.bus import BusFaults, SimBus, SimNetwork
from perdure.sim.context import Handler
from perdure.sim.deployments import DeploymentFaults, SimDeploymentClient, SimDeployments
from perdure.sim.loop import SimClock, SimRandom, VirtualProcess, within
from perdure.sim.store import Commit, SimClient, SimStore, StoreFaults
from perdure.store.interface import ReadTransaction, Store, Transaction
from perdure.store.keyspace import Keyspace
from perdure.store.placements import place

RESTART_S_MAX: Final = 4.0
T = TypeVar("T")

SIMULATED: Final = "(simulated)"
"""Ends the message of every error that the simulation makes up: a process may well end because of one."""
RESTART_S: Final = 1.0
REACHES_S: Final = 0.1
"""How often a process that is cut off from the store tries to reach it."""


class Faults(msgspec.Struct, frozen=True):
    """What goes wrong while a workload runs; periods are the mean virtual seconds between two, 0 is never."""

    bus: BusFaults = BusFaults()
    store: StoreFaults = StoreFaults(delay_s_min=0.0002, delay_s_max=0.004)
    deployments: DeploymentFaults = DeploymentFaults()
    read_failure: float = 0.0
    """Probability that a read fails with `StoreError`."""
    kill_every_s: float = 0.0
    stop_every_s: float = 0.0
    cut_off_every_s: float = 0.0
    cut_off_s_max: float = 15.0
    """From the bus."""
    lose_store_every_s: float = 0.0
    lose_store_s_max: float = 15.0
    """An invoker is cut off from the store, and hears of the others all the same."""
    move_every_s: float = 0.0
    """Between two moves of a partition by an operator."""
    jump_clock_every_s: float = 0.0
    jump_clock_s_max: float = 60.0


class Parts(msgspec.Struct):
    """What a process is made of."""

    process_id: str
    role: str
    store: Store
    bus: Bus
    clock: Clock
    random: Random
    client: DeploymentClient
    peers: Peers
    subjects: Subjects
    stopping: asyncio.Event
    """Set when the process is asked to stop; its role then returns soon."""
    facts: Callable[[], tuple[list[int], dict[str, float]]] = lambda: ([], {})
    """Set by the role: the partitions and counters that heartbeats tell of."""


Role = Callable[[Parts], Coroutine[Any, Any, None]]


class _FarStore:
    """The store as a process reaches it: some reads fail, and nothing gets through while the process is cut off."""

    def __init__(self, store: SimClient, name: str, cluster: "Cluster") -> None:
        self._store = store
        self._name = name
        self._cluster = cluster
        self.close = store.close

    async def transact(self, fn: Callable[[Transaction], T]) -> T:
        await self._get_through()
        return await self._store.transact(fn)

    async def read(self, fn: Callable[[ReadTransaction], T]) -> T:
        await self._get_through()
        value = await self._store.read(fn)
        if self._cluster.random.random() < self._cluster.faults.read_failure:
            raise StoreError(f"the store failed a read {SIMULATED}")
        return value

    async def _get_through(self) -> None:
        while self._name in self._cluster.without_store:  # noqa: ASYNC110 - virtual time costs nothing
            await asyncio.sleep(REACHES_S)


class SimProcess:
    """One run of a process, from its start to its death."""

    def __init__(self, cluster: "Cluster", name: str, role: str) -> None:
        self.virtual = VirtualProcess(name)
        self.clock = SimClock(cluster.loop)
        self.bus: SimBus = cluster.network.client(self.virtual)
        self.client: SimDeploymentClient = cluster.deployments.client(self.virtual)
        self.parts = Parts(
            process_id=name,
            role=role,
            store=_FarStore(cluster.store.client(name), name, cluster),
            bus=self.bus,
            clock=self.clock,
            random=SimRandom(cluster.seed, name),
            client=self.client,
            peers=Peers(self.clock),
            subjects=cluster.subjects,
            stopping=asyncio.Event(),
        )

    async def run(self, role: Role) -> None:
        """Send heartbeats, listen to those of others, and do what the role does."""
        await self.bus.subscribe(self.parts.subjects.heartbeats, self._hear)
        beating = asyncio.get_running_loop().create_task(self._beat())
        try:
            await role(self.parts)
            self._send_heartbeat(is_leaving=True)
        finally:
            beating.cancel()

    def _hear(self, payload: bytes, reply: str) -> None:
        if self.parts.peers.receive(payload, reply):
            self._send_heartbeat()

    async def _beat(self) -> None:
        while True:
            self.parts.peers.tick()
            self._send_heartbeat()
            await asyncio.sleep(HEARTBEAT_INTERVAL_MS / 1000)

    def _send_heartbeat(self, *, is_leaving: bool = False) -> None:
        parts = self.parts
        partitions, counters = parts.facts()
        heartbeat = Heartbeat(
            VERSION,
            parts.role,
            parts.process_id,
            "",
            "sim",
            0,
            partitions=partitions,
            is_leaving=is_leaving,
            counters=counters,
            is_draining=parts.stopping.is_set(),
        )
        self.bus.publish(parts.subjects.heartbeats, encode(heartbeat))


class Cluster:
    """The processes of a simulation and what connects them.

    Args:
        handlers: `service/handler` -> coroutine function of the simulated deployments.
        on_commit: Called with each commit that happens.
    """

    def __init__(
        self, *, seed: int, faults: Faults, handlers: Mapping[str, Handler], on_commit: Callable[[Commit], None] | None = None
    ) -> None:
        self.seed = seed
        self.faults = faults
        self.loop = asyncio.get_running_loop()
        self.subjects = Subjects("sim")
        self.random = random.Random(f"{seed}/cluster")  # noqa: S311 - meant to be predictable
        self.store = SimStore(random=random.Random(f"{seed}/store"), faults=faults.store, on_commit=on_commit)  # noqa: S311 - as above
        self.network = SimNetwork(self.loop, seed, faults.bus)
        self.deployments = SimDeployments(self.loop, seed, SimClock(self.loop), handlers, faults.deployments)
        self.processes: dict[str, SimProcess] = {}
        self._operator = self.store.client("operator")
        self.without_store: set[str] = set()
        """Names of processes that are cut off from the store: whatever they ask of it waits."""
        self.crashes: list[str] = []
        """Errors that ended a process which nobody killed."""
        self.events: list[str] = []
        """What the fault schedule did, and when."""
        self._roles: dict[str, tuple[str, Role]] = {}
        self._runs = 0

    def start(self, slot: str, role_name: str, role: Role) -> SimProcess:
        """Start a process; `slot` names its place, each run in it has an id of its own."""
        self._roles[slot] = (role_name, role)
        self._runs += 1
        process = SimProcess(self, f"{slot}.{self._runs}", role_name)
        self.processes[slot] = process
        with within(process.virtual):
            self.loop.create_task(self._supervise(slot, process, role))
        return process

    def kill(self, slot: str) -> None:
        """End a process at once, as `kill -9` does."""
        process = self.processes.pop(slot)
        self._note(f"kill {process.virtual.name}")
        self._bury(process)

    def stop(self, slot: str) -> None:
        """Ask a process to stop, as SIGTERM does; it is started again a second after it is gone."""
        process = self.processes[slot]
        self._note(f"stop {process.virtual.name}")
        process.parts.stopping.set()

    def restart(self, slot: str) -> None:
        """Start the slot's role again, if it is not running."""
        if slot not in self.processes:
            role_name, role = self._roles[slot]
            self._note(f"start {self.start(slot, role_name, role).virtual.name}")

    async def misbehave(self) -> None:
        """Let the scheduled faults happen, until cancelled."""
        faults = self.faults
        async with asyncio.TaskGroup() as group:
            for period_s, act in (
                (faults.kill_every_s, self._kill_one),
                (faults.stop_every_s, self._stop_one),
                (faults.cut_off_every_s, self._cut_one_off),
                (faults.lose_store_every_s, self._lose_one_from_the_store),
                (faults.jump_clock_every_s, self._jump_one_clock),
                (faults.move_every_s, self._move_one),
            ):
                if period_s:
                    group.create_task(self._repeat(period_s, act))

    def heal(self) -> None:
        """End all faults and start what is dead."""
        self._note("heal")
        self.faults = Faults()
        self.network.faults = BusFaults()
        self.network.cut_off.clear()
        self.without_store.clear()
        self.store.faults = StoreFaults(delay_s_min=0.0002, delay_s_max=0.004)
        self.deployments.faults = DeploymentFaults()
        for slot in self._roles:
            self.restart(slot)

    async def _supervise(self, slot: str, process: SimProcess, role: Role) -> None:
        try:
            await process.run(role)
        except Exception as error:
            if process.virtual.is_alive:
                self.crashes.append(f"{process.virtual.name}: {'; '.join(_causes(error))}")
                self._note(f"crash {self.crashes[-1]}")
        if process.virtual.is_alive:
            self.processes.pop(slot)
            self.loop.call_later(RESTART_S, self.restart, slot)
            self._bury(process)

    def _bury(self, process: SimProcess) -> None:
        self.store.kill(process.virtual.name)
        process.virtual.kill()
        process.bus.disconnect()
        process.client.disconnect()

    async def _repeat(self, period_s: float, act: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(self.random.expovariate(1 / period_s))
            await act()

    async def _kill_one(self) -> None:
        slot = self._choose("invoker" if self.random.random() < 0.8 else None)
        if slot is not None:
            self.kill(slot)
            await asyncio.sleep(self.random.uniform(0.05, RESTART_S_MAX))
            self.restart(slot)

    async def _stop_one(self) -> None:
        slot = self._choose("invoker")
        if slot is not None:
            self.stop(slot)

    async def _cut_one_off(self) -> None:
        slot = self._choose()
        if slot is not None:
            name = self.processes[slot].virtual.name
            self._note(f"cut off {name}")
            self.network.cut(name)
            await asyncio.sleep(self.random.uniform(0.1, self.faults.cut_off_s_max))
            self.network.rejoin(name)
            self._note(f"rejoin {name}")

    async def _lose_one_from_the_store(self) -> None:
        slot = self._choose("invoker")
        if slot is not None:
            name = self.processes[slot].virtual.name
            self._note(f"cut {name} off from the store")
            self.without_store.add(name)
            await asyncio.sleep(self.random.uniform(0.1, self.faults.lose_store_s_max))
            self.without_store.discard(name)
            self._note(f"{name} reaches the store again")

    async def _jump_one_clock(self) -> None:
        slot = self._choose()
        if slot is not None:
            process = self.processes[slot]
            process.clock.offset_ms = round(1000 * self.random.uniform(-self.faults.jump_clock_s_max, self.faults.jump_clock_s_max))
            self._note(f"jump the clock of {process.virtual.name} to {process.clock.offset_ms:+} ms")

    async def _move_one(self) -> None:
        """Want a partition at some invoker, or at one that is gone, or wherever the invokers put it."""
        keyspace = Keyspace(self.subjects.root)
        invokers = [process.virtual.name for process in self.processes.values() if process.parts.role == "invoker"]
        name = self.random.choice([*invokers, "invoker-gone", ""])
        with contextlib.suppress(StoreError):
            partitions = int(await self._operator.read(lambda tr: tr.get(keyspace.partition_count)) or b"1")
            partition = self.random.randrange(partitions)
            await self._operator.transact(lambda tr: place(tr, keyspace, partition, name))
            self._note(f"move partition {partition} to {name or 'anywhere'}")

    def _choose(self, role_name: str | None = None) -> str | None:
        slots = [slot for slot, process in self.processes.items() if role_name in (None, process.parts.role)]
        return self.random.choice(slots) if slots else None

    def _note(self, what: str) -> None:
        self.events.append(f"{self.loop.time():.3f} {what}")


def _causes(error: BaseException) -> list[str]:
    """Return the errors at the bottom of groups, each with the place that raised it."""
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return [cause for part in group.exceptions for cause in _causes(part)]
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno} in {frames[-1].name}" if frames else ""
    return [f"{error!r}{place}"]
