"""What befalls transactions, counted, and the error codes that say it.

Source: FoundationDB's documentation, Error codes.
"""

from collections import Counter
from typing import Final

from perdure.store.fdb.conflicts import kind_of_key

NOT_COMMITTED: Final = 1020
TOO_LARGE: Final = 2101
TOO_OLD: Final = 1007
MAYBE_COMMITTED: Final = frozenset({1021, 1031, 1039})
"""Codes of a commit that may have happened: `commit_unknown_result`, `transaction_timed_out`, `cluster_version_changed`."""

_EVENTS: Final = {
    TOO_OLD: "too_old",
    1009: "behind",
    NOT_COMMITTED: "conflict",
    1021: "unknown",
    1031: "timed_out",
    1037: "behind",
    1039: "unknown",
    1042: "overloaded",
    1051: "throttled",
    1078: "overloaded",
    1213: "throttled",
    1223: "throttled",
    TOO_LARGE: "too_large",
}
OTHER: Final = "other"


class StoreCounters:
    """Counts of one process; threads add to them.

    Attributes:
        transactions: Those that committed, or read to their end.
        errors: By kind, how often the cluster did not let a try through.
        conflicts: By kind of the key, where tries met what others had written since.
        cached_starts: Tries that began at the version of this process's last commit, without asking the cluster for one.
        stale_starts: Those of them that had to begin anew.
    """

    def __init__(self) -> None:
        self.transactions = 0
        self.cached_starts = 0
        self.stale_starts = 0
        self.errors: Counter[str] = Counter()
        self.conflicts: Counter[str] = Counter()

    def count_error(self, code: int) -> None:
        """Count a try that failed with an error code of FoundationDB."""
        self.errors[_EVENTS.get(code, OTHER)] += 1

    def count_conflict(self, key: bytes | None) -> None:
        """Count a try that conflicted at a key."""
        self.conflicts[kind_of_key(key)] += 1

    @staticmethod
    def kinds() -> list[str]:
        """Return every kind of error, so that all are shown from the start."""
        return sorted({*_EVENTS.values(), OTHER})
