"""Snapshots: short ones on the event loop, long ones on threads.

A read of one row takes 5 us on the event loop, and a change of thread and back 60 us more, or far more when the loop is busy. Nobody says
beforehand how long a read will be, so each begins on the event loop with a budget, and begins again on a thread when that is used up.
"""

from collections.abc import Callable
from queue import SimpleQueue
from typing import Final, TypeVar

import apsw

from perdure.base.limits import MIB
from perdure.store.embedded.connection import BEGIN_READ, COMMIT, cursor_of, failure_of, open_connection
from perdure.store.embedded.transaction import OverBudget, Snapshot
from perdure.store.interface import ReadTransaction
from perdure.store.jobs import Job, Worker

T = TypeVar("T")

_LOOP_BYTES_MAX: Final = MIB
"""Some 1,500 small rows or 11 of the largest; less than 2 ms"""
_THREADS: Final = 2
_CACHE_KIB: Final = 2_048


class _Session:
    """A connection for reading, used by one thread at a time."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._connection = open_connection(path, cache_kib=_CACHE_KIB)
        self._cursor = cursor_of(self._connection)

    def run(self, fn: Callable[[ReadTransaction], T], bytes_max: int = 0) -> T:
        """Run `fn` on a snapshot.

        Raises:
            OverBudget: It read more than `bytes_max` (0: any number is fine).
        """
        try:
            self._cursor.execute(BEGIN_READ)
            try:
                return fn(Snapshot(self._cursor, bytes_max=bytes_max))
            finally:
                self._cursor.execute(COMMIT)
        except apsw.Error as error:
            raise failure_of(self._path, error) from error

    def close(self) -> None:
        self._connection.close()


class Reader:
    """Reads for one event loop. Threads start with the first long read."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._short = _Session(path)
        self._jobs: SimpleQueue[Job[ReadTransaction] | None] = SimpleQueue()
        self._sessions: list[_Session] = []
        self._workers: list[Worker[ReadTransaction]] = []

    async def read(self, fn: Callable[[ReadTransaction], T]) -> T:
        """Run `fn` on a snapshot; twice if it turns out to be long."""
        try:
            return self._short.run(fn, _LOOP_BYTES_MAX)
        except OverBudget:
            job = Job(fn)
        if not self._workers:
            self._start()
        self._jobs.put(job)
        return await job.future

    def _start(self) -> None:
        for number in range(_THREADS):
            session = _Session(self._path)
            self._sessions.append(session)
            self._workers.append(Worker(f"store-reader-{number}", self._jobs, session.run))

    def close(self) -> None:
        """Finish what is queued, then stop. Blocks."""
        for _ in self._workers:
            self._jobs.put(None)
        for worker in self._workers:
            worker.join()
        for session in self._sessions:
            session.close()
        self._short.close()
