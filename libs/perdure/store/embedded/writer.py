"""The one thread of a process that writes: each transaction is one commit and one fsync."""

from collections.abc import Callable
from queue import SimpleQueue
from typing import Final, TypeVar

import apsw

from perdure.base.errors import StoreError
from perdure.store.embedded.checkpoints import Checkpointer
from perdure.store.embedded.connection import BEGIN_WRITE, COMMIT, ROLLBACK, cursor_of, open_connection
from perdure.store.embedded.lock import WriteLock
from perdure.store.embedded.transaction import WriteTransaction
from perdure.store.interface import Transaction
from perdure.store.jobs import Job, Worker

T = TypeVar("T")

_CACHE_KIB: Final = 8_192


class Writer:
    """Runs write transactions one after another, in the order of `submit`."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._connection = open_connection(path, cache_kib=_CACHE_KIB)
        self._cursor = cursor_of(self._connection)
        self._lock = WriteLock(path)
        self._checkpointer = Checkpointer(path)
        self._connection.set_wal_hook(self._on_commit)
        self._jobs: SimpleQueue[Job[Transaction] | None] = SimpleQueue()
        self._worker = Worker("store-writer", self._jobs, self.commit)

    def submit(self, job: Job[Transaction]) -> None:
        """Queue a transaction; callable from the event loop."""
        self._jobs.put(job)

    def commit(self, fn: Callable[[Transaction], T]) -> T:
        """Run `fn` in a transaction and commit it; on the writer's thread only."""
        try:
            with self._lock:
                self._cursor.execute(BEGIN_WRITE)
                try:
                    transaction = WriteTransaction(self._cursor)
                    value = fn(transaction)
                    transaction.finish()
                    self._cursor.execute(COMMIT)
                finally:
                    if self._connection.in_transaction:
                        self._cursor.execute(ROLLBACK)
        except apsw.Error as error:
            raise StoreError(f"{self._path}: {error}") from error
        return value

    def _on_commit(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        self._checkpointer.log_has(pages)
        return apsw.SQLITE_OK

    def close(self) -> None:
        """Finish what is queued, then stop. Blocks."""
        self._jobs.put(None)
        self._worker.join()
        self._checkpointer.close()
        self._connection.close()
        self._lock.close()
