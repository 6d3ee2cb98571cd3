"""Moves what has gathered in the write-ahead log into the file, beside the commits and not within one."""

from queue import SimpleQueue
from threading import Thread
from typing import Final

import apsw

from perdure.store.embedded.connection import open_connection
from perdure.store.embedded.lock import WriteLock

_LOG_PAGES: Final = 4_000
"""A checkpoint is due each time a process has written so much to the log (16 MB)."""

_CACHE_KIB: Final = 256


class Checkpointer:
    """A thread with a connection of its own.

    The log is never truncated: SQLite begins it anew once all of it has been moved, and overwriting is cheaper to sync than growing.
    """

    def __init__(self, path: str) -> None:
        self._connection = open_connection(path, cache_kib=_CACHE_KIB)
        self._lock = WriteLock(path)
        self._due = _LOG_PAGES
        self._requests: SimpleQueue[bool] = SimpleQueue()
        self._thread = Thread(target=self._run, name="store-checkpoints", daemon=True)
        self._thread.start()

    def note_written(self, pages: int) -> None:
        """Checkpoint when it is due.

        Args:
            pages: How many this process has written to the log since it opened the store.
        """
        if pages >= self._due:
            self._due = pages + _LOG_PAGES
            self._requests.put(True)

    def _run(self) -> None:
        while self._requests.get():
            try:
                self._checkpoint()
            except apsw.Error:
                # Another process is at it, or the disk is full. What is in the log is safe there, and is moved next time.
                continue

    def _checkpoint(self) -> None:
        self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        # Moves the little that was committed meanwhile. With nobody writing nothing remains, and the log can begin anew.
        with self._lock:
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)

    def close(self) -> None:
        """Stop after the present checkpoint. Blocks."""
        self._requests.put(False)
        self._thread.join()
        self._connection.close()
        self._lock.close()
