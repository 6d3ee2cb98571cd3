"""`Store` on a FoundationDB cluster: the client blocks, so transactions are carried out on threads."""

import asyncio
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final, TypeVar

from perdure.base.errors import StoreError
from perdure.store.fdb.binding import Binding, NativeDatabase
from perdure.store.fdb.options import FdbOptions
from perdure.store.fdb.tries import Tries
from perdure.store.interface import ReadTransaction, Transaction
from perdure.store.jobs import Job, Worker

T = TypeVar("T")

THREADS: Final = 16
"""Transactions of one process that may be under way at once; each mostly waits for the network."""
CLOSE_S_MAX: Final = 3.0
"""What is still under way this long after the store was closed is given up: a cluster that cannot be reached does not keep a process."""


class FdbStore:
    """Transactions on one cluster. While the cluster cannot be reached, they wait, or fail after the timeout of `options`.

    A cancelled `transact` may still commit.

    Args:
        binding: The official binding.
        database: Where to.
        options: Priority, tag and timeout of all transactions.
        clock_s: Monotonic seconds.
    """

    def __init__(
        self,
        binding: Binding,
        database: NativeDatabase,
        options: FdbOptions | None = None,
        *,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tries = Tries(binding, database, options or FdbOptions(), clock_s)
        self.counters = self._tries.counters
        self._jobs: SimpleQueue[Job[Tries] | None] = SimpleQueue()
        self._workers = [Worker(f"store-{number}", self._jobs, self._execute) for number in range(THREADS)]
        self._is_closed = False

    async def transact(self, fn: Callable[[Transaction], T]) -> T:
        return await self._run(lambda tries: tries.transact(fn))

    async def read(self, fn: Callable[[ReadTransaction], T]) -> T:
        return await self._run(lambda tries: tries.read(fn))

    async def close(self) -> None:
        """Finish what is under way, within `CLOSE_S_MAX`. Closing twice is fine."""
        if not self._is_closed:
            self._is_closed = True
            await asyncio.to_thread(self._close)

    def _close(self) -> None:
        for _ in self._workers:
            self._jobs.put(None)
        deadline_s = time.monotonic() + CLOSE_S_MAX
        for worker in self._workers:
            worker.join(max(0.0, deadline_s - time.monotonic()))
        self._tries.give_up()
        for worker in self._workers:
            worker.join()

    async def _run(self, act: Callable[[Tries], T]) -> T:
        if self._is_closed:
            raise StoreError("the store is closed")
        job = Job(act)
        self._jobs.put(job)
        return await job.future

    def _execute(self, act: Callable[[Tries], T]) -> T:
        return act(self._tries)
