"""`Store` on a FoundationDB cluster."""

import asyncio
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final, TypeVar, cast

from perdure.base.errors import StoreError
from perdure.store.fdb.binding import Binding, NativeDatabase, NativeTransaction, open_database
from perdure.store.fdb.transaction import FdbSnapshot, FdbTransaction
from perdure.store.interface import ReadTransaction, Transaction
from perdure.store.jobs import Job, Worker

T = TypeVar("T")

_THREADS: Final = 16
"""Transactions of one process that may be under way at once; each mostly waits for the network."""


class FdbStore:
    """Transactions on one cluster. While the cluster cannot be reached, they wait.

    A cancelled `transact` may still commit.
    """

    def __init__(self, binding: Binding, database: NativeDatabase) -> None:
        self._error = binding.FDBError
        self._database = database
        self._jobs: SimpleQueue[Job[NativeTransaction] | None] = SimpleQueue()
        self._workers = [Worker(f"store-{number}", self._jobs, self._repeat) for number in range(_THREADS)]
        self._is_closed = False

    async def transact(self, fn: Callable[[Transaction], T]) -> T:
        def attempt(native: NativeTransaction) -> T:
            value = fn(FdbTransaction(native))
            native.commit().wait()
            return value

        return await self._run(attempt)

    async def read(self, fn: Callable[[ReadTransaction], T]) -> T:
        return await self._run(lambda native: fn(FdbSnapshot(native.snapshot)))

    async def close(self) -> None:
        """Finish what is under way. Closing twice is fine."""
        if not self._is_closed:
            self._is_closed = True
            await asyncio.to_thread(self._close)

    def _close(self) -> None:
        for _ in self._workers:
            self._jobs.put(None)
        for worker in self._workers:
            worker.join()

    async def _run(self, attempt: Callable[[NativeTransaction], T]) -> T:
        if self._is_closed:
            raise StoreError("the store is closed")
        job = Job(attempt)
        self._jobs.put(job)
        return await job.future

    def _repeat(self, attempt: Callable[[NativeTransaction], T]) -> T:
        """Try until one attempt goes through.

        `on_error` waits as the cluster wishes and resets the transaction. It does so after a conflict, after a snapshot became
        too old, and after `commit_unknown_result`, when it has made sure that the lost commit cannot happen later any more.
        """
        native = self._database.create_transaction()
        while True:
            try:
                return attempt(native)
            except self._error as error:
                self._recover(native, error)

    def _recover(self, native: NativeTransaction, error: Exception) -> None:
        code = cast("int", getattr(error, "code"))  # noqa: B009 - declared by a binding that has no types.
        try:
            native.on_error(code).wait()
        except self._error as fatal:
            raise StoreError(f"FoundationDB failed the transaction: {fatal}") from error


def open_fdb(cluster_file: str, *, trace_group: str) -> FdbStore:
    """Open the cluster that `cluster_file` describes.

    Raises:
        StoreError: The file or the native client is missing.
    """
    return FdbStore(*open_database(cluster_file, trace_group=trace_group))
