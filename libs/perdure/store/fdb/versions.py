"""The version at which this process's last commit happened, from which its next transaction may start.

A transaction that writes may start at any version that is not too old: its commit fails if anything that it read has changed since, so a
commit that succeeds proves that it read the present. Starting where the last commit ended spares asking the cluster for a version. What
only reads has no such proof, nor what gives up before its commit: both ask the cluster, and so does every try after a failed one.
"""

from collections.abc import Callable
from typing import Final

USABLE_S_MAX: Final = 1.0
"""Older versions are not used: others have written more since, and the cluster forgets versions after five seconds."""


class CommitVersions:
    """The last version, shared by the threads of a store.

    Args:
        clock_s: Monotonic seconds.
    """

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._last: tuple[int, float] | None = None

    def usable(self) -> int | None:
        """Return a version to start from, or None where the cluster must be asked."""
        last = self._last
        return None if last is None or self._clock_s() - last[1] > USABLE_S_MAX else last[0]

    def note(self, version: int) -> None:
        """Note the version of a commit."""
        last = self._last
        if last is None or version > last[0]:
            self._last = (version, self._clock_s())
