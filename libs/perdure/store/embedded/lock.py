"""The queue of writers of all processes on a host.

SQLite lets writers poll for its write lock with growing sleeps, which is slow and unfair. Waiting in the kernel is neither,
and a killed process gives its place up by dying.
"""

import fcntl
import os
from types import TracebackType
from typing import Self


class WriteLock:
    """Held by whoever writes, from before its transaction begins until it has committed.

    Two files: who wants to write first takes the turn and keeps it until the lock is his. So one who has just released the
    lock cannot take it again before one who already waits.

    Args:
        path: The store's file; the lock's files stand beside it.
    """

    def __init__(self, path: str) -> None:
        self._turn = os.open(f"{path}-turn", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._write = os.open(f"{path}-lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def try_acquire(self) -> bool:
        """Take the lock if it is free and nobody waits for it; return whether it was."""
        if not _try_lock(self._turn):
            return False
        is_free = _try_lock(self._write)
        fcntl.flock(self._turn, fcntl.LOCK_UN)
        return is_free

    def acquire(self) -> None:
        """Wait for the lock."""
        fcntl.flock(self._turn, fcntl.LOCK_EX)
        fcntl.flock(self._write, fcntl.LOCK_EX)
        fcntl.flock(self._turn, fcntl.LOCK_UN)

    def release(self) -> None:
        fcntl.flock(self._write, fcntl.LOCK_UN)

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()

    def close(self) -> None:
        os.close(self._turn)
        os.close(self._write)


def _try_lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
