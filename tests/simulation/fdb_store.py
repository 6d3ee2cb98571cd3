"""The store of the simulated world, on the real code for FoundationDB: as `SimStore`, without threads and on virtual time.

A transaction is carried out in one piece between two delays. That is enough for real conflicts: it begins at the version of its process's
last commit, and others have written since.
"""

import asyncio
import random
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from perdure.base.errors import StoreError
from perdure.sim.cluster import SIMULATED
from perdure.sim.store import Commit, StoreFaults
from perdure.store.fdb.options import FdbOptions
from perdure.store.fdb.tries import Tries
from perdure.store.interface import ReadTransaction, Transaction
from tests.fdb.binding import Binding
from tests.fdb.cluster import Cluster, Mutation, Pairs, Range

T = TypeVar("T")
FAULT_RATE = 0.1


class FdbSimStore:
    """The data that all simulated processes share. Takes the place of `SimStore`; conflicts and lost answers are FoundationDB's."""

    made: ClassVar["list[FdbSimStore]"] = []

    def __init__(self, *, random: random.Random, faults: StoreFaults, on_commit: Callable[[Commit], None]) -> None:
        self.random = random
        self.faults = faults
        self.on_commit = on_commit
        self.cluster = Cluster(seed=random.randrange(1 << 32), fault_rate=FAULT_RATE, clock_s=asyncio.get_running_loop().time)
        self.clients: list[FdbSimClient] = []
        FdbSimStore.made.append(self)

    def client(self, name: str) -> "FdbSimClient":
        client = FdbSimClient(self, name)
        self.clients.append(client)
        return client

    def kill(self, name: str) -> None:
        """Let no call of the process return any more."""
        for client in self.clients:
            client.is_dead |= client.name == name

    def pairs(self, begin: bytes = b"", end: bytes = b"\xff") -> Pairs:
        """Return what is in the store now, in key order."""
        return self.cluster.present(begin, end)


class Told:
    """The cluster as one process reaches it: whoever judges the history hears whose commit it was."""

    def __init__(self, store: FdbSimStore, name: str) -> None:
        self.is_reachable = store.cluster.is_reachable
        self.read_version = store.cluster.read_version
        self.get = store.cluster.get
        self.get_range = store.cluster.get_range
        self._store = store
        self._name = name

    def commit(self, version: int, reads: list[Range], mutations: list[Mutation]) -> int:
        self._store.cluster.on_commit = lambda at, writes: self._store.on_commit(Commit(self._name, at, writes))
        return self._store.cluster.commit(version, reads, mutations)


class FdbSimClient:
    """`Store` of one simulated process."""

    def __init__(self, store: FdbSimStore, name: str) -> None:
        self.name = name
        self.is_dead = False
        self._store = store
        binding = Binding(Told(store, name), seed=store.random.randrange(1 << 32), clock_s=store.cluster.clock_s, wait=lambda _: None)
        self.tries = Tries(binding, binding.open(""), FdbOptions(tag=name[:16]), store.cluster.clock_s)

    async def transact(self, fn: Callable[[Transaction], T]) -> T:
        return await self._carry_out(lambda: self.tries.transact(fn))

    async def read(self, fn: Callable[[ReadTransaction], T]) -> T:
        return await self._carry_out(lambda: self.tries.read(fn))

    async def close(self) -> None: ...

    async def _carry_out(self, act: Callable[[], T]) -> T:
        faults, dice = self._store.faults, self._store.random
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def arrive() -> None:
            if self.is_dead and dice.random() >= faults.applied_in_death:
                return
            if dice.random() < faults.failure:
                later(answer.set_exception, StoreError(f"the store failed the transaction {SIMULATED}"))
                return
            try:
                value = act()
            except Exception as error:
                later(answer.set_exception, error)
            else:
                later(answer.set_result, value)

        def later(give: Callable[..., None], outcome: object) -> None:
            loop.call_later(dice.uniform(faults.delay_s_min, faults.delay_s_max), settle, give, outcome)

        def settle(give: Callable[..., None], outcome: object) -> None:
            if not self.is_dead and not answer.done():
                give(outcome)

        loop = asyncio.get_running_loop()
        if not self.is_dead:
            loop.call_later(dice.uniform(faults.delay_s_min, faults.delay_s_max), arrive)
        result: T = await answer
        return result
