"""`Store` on a FoundationDB cluster."""

import asyncio
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final, TypeVar, cast

from perdure.base.errors import CommitUnknown, StoreError
from perdure.store.fdb.binding import Binding, NativeDatabase, NativeTransaction
from perdure.store.fdb.conflicts import conflicting_key
from perdure.store.fdb.counters import MAYBE_COMMITTED, NOT_COMMITTED, TOO_LARGE, TOO_OLD, StoreCounters
from perdure.store.fdb.options import COMMIT_BYTES_MAX, FdbOptions, configure_database, configure_try
from perdure.store.fdb.transaction import FdbSnapshot, FdbTransaction
from perdure.store.fdb.versions import CommitVersions
from perdure.store.interface import ReadTransaction, Transaction
from perdure.store.jobs import Job, Worker

T = TypeVar("T")
Attempt = Callable[["Run"], T]
"""One try of a transaction."""

THREADS: Final = 16
"""Transactions of one process that may be under way at once; each mostly waits for the network."""
CLOSE_S_MAX: Final = 3.0
"""What is still under way this long after the store was closed is given up: a cluster that cannot be reached does not keep a process."""


OUTLIVED_S: Final = 4.0
OUTLIVED_MAX: Final = 3
"""A transaction whose tries live so long and end as too old (FoundationDB keeps a snapshot for five seconds) has so many tries."""


class Run:
    """A transaction on its way through its tries.

    Attributes:
        began_s: When this try began.
        outlived: Tries that lived longer than FoundationDB keeps a snapshot.
        is_first: No try has failed yet.
        is_committing: The commit of this try is sent.
        is_in_doubt: A try has failed that may have committed.
    """

    def __init__(self, native: NativeTransaction) -> None:
        self.native = native
        self.began_s = 0.0
        self.outlived = 0
        self.is_first = True
        self.is_committing = False
        self.is_in_doubt = False


class _Stale(Exception):
    """A try that began at an earlier version may not count: nothing proves that it saw the present."""


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
        self.counters = StoreCounters()
        self._error = binding.FDBError
        self._database = database
        self._options = options or FdbOptions()
        self._clock_s = clock_s
        self._versions = CommitVersions(clock_s)
        configure_database(database, self._options)
        self._jobs: SimpleQueue[Job[Run] | None] = SimpleQueue()
        self._workers = [Worker(f"store-{number}", self._jobs, self._execute) for number in range(THREADS)]
        self._under_way: set[NativeTransaction] = set()
        self._is_closed = False
        self._is_given_up = False

    async def transact(self, fn: Callable[[Transaction], T]) -> T:
        return await self._run(lambda run: self._try_to_commit(run, fn))

    async def read(self, fn: Callable[[ReadTransaction], T]) -> T:
        return await self._run(lambda run: fn(FdbSnapshot(run.native.snapshot)))

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
        self._is_given_up = True
        for native in list(self._under_way):
            native.cancel()
        for worker in self._workers:
            worker.join()

    async def _run(self, attempt: Attempt[T]) -> T:
        if self._is_closed:
            raise StoreError("the store is closed")
        job = Job(attempt)
        self._jobs.put(job)
        return await job.future

    def _execute(self, attempt: Attempt[T]) -> T:
        """Try until one attempt goes through, or the store is given up.

        `on_error` waits as the cluster wishes and resets the transaction. It does so after a conflict, after a snapshot became
        too old, and after `commit_unknown_result`, when it has made sure that the lost commit cannot happen later any more.
        """
        native = self._database.create_transaction()
        self._under_way.add(native)
        try:
            return self._try(Run(native), attempt)
        finally:
            self._under_way.discard(native)

    def _try(self, run: Run, attempt: Attempt[T]) -> T:
        while not self._is_given_up:
            configure_try(run.native, self._options)
            run.began_s = self._clock_s()
            try:
                value = attempt(run)
            except _Stale:
                self.counters.stale_starts += 1
                run.native.reset()
            except self._error as error:
                self._recover(run, error)
            else:
                self.counters.transactions += 1
                return value
            run.is_first = run.is_committing = False
        raise _failure(run, "the store is closed")

    def _try_to_commit(self, run: Run, fn: Callable[[Transaction], T]) -> T:
        native = run.native
        version = self._versions.usable() if run.is_first else None
        if version is not None:
            self.counters.cached_starts += 1
            native.set_read_version(version)
        try:
            value = fn(FdbTransaction(native))
        except self._error:
            raise
        except Exception:
            if version is not None:
                raise _Stale from None
            raise
        run.is_committing = True
        native.commit().wait()
        committed = native.get_committed_version()
        if committed >= 0:
            self._versions.note(committed)
        elif version is not None:
            raise _Stale
        return value

    def _recover(self, run: Run, error: Exception) -> None:
        code = cast("int", getattr(error, "code"))  # noqa: B009 - declared by a binding that has no types.
        self.counters.count_error(code)
        if code == NOT_COMMITTED:
            self.counters.count_conflict(conflicting_key(run.native, self._error))
        run.outlived += code == TOO_OLD and self._clock_s() - run.began_s > OUTLIVED_S
        if run.outlived == OUTLIVED_MAX:
            raise _failure(run, f"FoundationDB failed the transaction: it took longer than five seconds, {OUTLIVED_MAX} times") from error
        run.is_in_doubt |= run.is_committing and code in MAYBE_COMMITTED
        try:
            run.native.on_error(code).wait()
        except self._error as fatal:
            detail = ""
            if code == TOO_LARGE:
                detail = f": it has more than {COMMIT_BYTES_MAX} bytes, keys and conflicts included"
            raise _failure(run, f"FoundationDB failed the transaction: {fatal}{detail}") from error


def _failure(run: Run, message: str) -> StoreError:
    return CommitUnknown(message) if run.is_in_doubt else StoreError(message)
