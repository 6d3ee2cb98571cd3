"""Write transactions of one process: prepared on the event loop, committed on a thread; each is one commit and one fsync.

Every step of SQLite gives up the interpreter lock, and a thread gets it back from a busy event loop only after the switch interval (5 ms).
So the many small steps of a transaction run on the loop, where they take 3 us per row, and only the commit, which waits for the disk,
on a thread: beside a saturated loop a commit of 10 rows takes 57 ms if all of it runs on the thread, and 1 ms so. A transaction
that turns out to be long runs on the thread as a whole.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Final

import apsw

from perdure.base.limits import KIB
from perdure.store.embedded.checkpoints import Checkpointer
from perdure.store.embedded.connection import BEGIN_WRITE, COMMIT, ROLLBACK, cursor_of, failure_of, open_connection
from perdure.store.embedded.lock import WriteLock
from perdure.store.embedded.transaction import OverBudget, WriteTransaction
from perdure.store.interface import Transaction
from perdure.store.jobs import Job

_CACHE_KIB: Final = 8_192
_LOOP_BYTES_MAX: Final = 256 * KIB
"""What a transaction may read, and write, on the event loop; about 1 ms"""


class Writer:
    """Runs write transactions one after another, in the order of `submit`. Its methods belong on the event loop, but for `_*_on_thread`."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._connection = open_connection(path, cache_kib=_CACHE_KIB)
        self._cursor = cursor_of(self._connection)
        self._lock = WriteLock(path)
        self._checkpointer = Checkpointer(path)
        self._waiting: deque[Job[Transaction]] = deque()
        self._is_busy = False
        self.transactions = 0
        self.lock_waits = 0
        self._steps: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = Thread(target=self._run_steps, name="store-writer", daemon=True)
        self._thread.start()

    def submit(self, job: Job[Transaction]) -> None:
        """Queue a transaction."""
        self._waiting.append(job)
        if not self._is_busy:
            self._go_on()

    def _go_on(self) -> None:
        """Begin with the transactions that wait, until one goes to the thread or none is left."""
        self._is_busy = False
        while self._waiting and not self._is_busy:
            job = self._waiting.popleft()
            if job.future.cancelled():
                continue
            if self._lock.try_acquire():
                self._prepare(job)
            else:
                self.lock_waits += 1
                self._is_busy = True
                self._steps.put(lambda job=job: self._wait_on_thread(job))

    def _wait_on_thread(self, job: Job[Transaction]) -> None:
        self._lock.acquire()
        job.send(self._resume, job)

    def _resume(self, job: Job[Transaction]) -> None:
        self._prepare(job)
        if not self._is_busy:
            self._go_on()

    def _prepare(self, job: Job[Transaction]) -> None:
        """Run a transaction up to its commit, while the lock is held; then end it, or hand it to the thread."""
        self.transactions += 1
        self._is_busy = True
        try:
            self._cursor.execute(BEGIN_WRITE)
            transaction = WriteTransaction(self._cursor, bytes_max=_LOOP_BYTES_MAX)
            value = job.fn(transaction)
            if transaction.has_written:
                if transaction.pending_bytes <= _LOOP_BYTES_MAX:
                    transaction.finish()
                self._steps.put(lambda: self._commit_on_thread(job, transaction, value))
                return
        except OverBudget:
            self._roll_back()
            self._steps.put(lambda: self._run_on_thread(job))
            return
        except BaseException as error:
            job.fail(self._mapped(error))
        else:
            job.succeed(value)
        self._roll_back()
        self._lock.release()
        self._is_busy = False

    def _run_on_thread(self, job: Job[Transaction]) -> None:
        try:
            self._cursor.execute(BEGIN_WRITE)
            transaction = WriteTransaction(self._cursor)
            value = job.fn(transaction)
        except BaseException as error:
            self._end_on_thread(job, job.fail, self._mapped(error))
        else:
            self._commit_on_thread(job, transaction, value)

    def _commit_on_thread(self, job: Job[Transaction], transaction: WriteTransaction, value: object) -> None:
        try:
            transaction.finish()
            self._cursor.execute(COMMIT)
        except BaseException as error:
            self._end_on_thread(job, job.fail, self._mapped(error))
        else:
            self._end_on_thread(job, job.succeed, value)

    def _end_on_thread(self, job: Job[Transaction], answer: Callable[..., None], outcome: object) -> None:
        self._roll_back()
        self._lock.release()
        job.send(self._end, answer, outcome)

    def _end(self, answer: Callable[..., None], outcome: object) -> None:
        answer(outcome)
        self._checkpointer.note_written(self._connection.status(apsw.SQLITE_DBSTATUS_CACHE_WRITE)[0])
        self._go_on()

    def _roll_back(self) -> None:
        """End what has not committed. Where that fails, the next transaction fails to begin and says so to its caller."""
        if self._connection.in_transaction:
            with contextlib.suppress(apsw.Error):
                self._cursor.execute(ROLLBACK)

    def _mapped(self, error: BaseException) -> BaseException:
        if not isinstance(error, apsw.Error):
            return error
        failure = failure_of(self._path, error)
        failure.__cause__ = error
        return failure

    def _run_steps(self) -> None:
        while (step := self._steps.get()) is not None:
            step()

    async def close(self) -> None:
        """Finish what is queued, then stop."""
        last = Job[Transaction](lambda _: None)
        self.submit(last)
        await last.future
        await asyncio.to_thread(self._stop)

    def _stop(self) -> None:
        self._steps.put(None)
        self._thread.join()
        self._checkpointer.close()
        self._connection.close()
        self._lock.close()
