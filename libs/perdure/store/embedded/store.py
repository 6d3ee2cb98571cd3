"""`Store` on one SQLite file."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import apsw

from perdure.base.errors import StoreError
from perdure.store.embedded.connection import create_tables, failure_of, grow_log
from perdure.store.embedded.lock import WriteLock
from perdure.store.embedded.reader import Reader
from perdure.store.embedded.writer import Writer
from perdure.store.interface import ReadTransaction, Transaction
from perdure.store.jobs import Job

T = TypeVar("T")


class EmbeddedStore:
    """Transactions over one file, for one event loop of one process; any number of processes may have it open.

    There are no conflicts: write transactions of all processes run one after another. `fn` runs on the event loop, and again on
    a thread if it turns out to be long. A cancelled `transact` may still commit.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._writer = Writer(path)
        self._reader = Reader(path)
        self._is_closed = False

    @property
    def transactions(self) -> int:
        """Write transactions begun."""
        return self._writer.transactions

    @property
    def lock_waits(self) -> int:
        """Those of them that had to wait for another process."""
        return self._writer.lock_waits

    async def transact(self, fn: Callable[[Transaction], T]) -> T:
        self._check_open()
        job = Job(fn)
        self._writer.submit(job)
        return await job.future

    async def read(self, fn: Callable[[ReadTransaction], T]) -> T:
        self._check_open()
        return await self._reader.read(fn)

    async def close(self) -> None:
        """Finish what is queued and close the file. Closing twice is fine."""
        if not self._is_closed:
            self._is_closed = True
            await self._writer.close()
            await asyncio.to_thread(self._reader.close)

    def _check_open(self) -> None:
        if self._is_closed:
            raise StoreError(f"{self._path}: the store is closed")


def open_embedded(path: str) -> EmbeddedStore:
    """Open the store in the file at `path`; it and its directory are made if they are missing. Blocks for a few fsyncs.

    Raises:
        StoreError: The file cannot be used.
    """
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        lock = WriteLock(path)
        with lock:
            create_tables(path)
            store = EmbeddedStore(path)
            grow_log(path)
        lock.close()
        return store
    except (apsw.Error, OSError) as error:
        raise failure_of(path, error) from error
