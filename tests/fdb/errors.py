"""Error codes of FoundationDB that the simulated cluster knows. Source: FoundationDB's documentation, Error codes."""

from collections.abc import Sequence

TOO_OLD = 1007
FUTURE_VERSION = 1009
NOT_COMMITTED = 1020
COMMIT_UNKNOWN = 1021
TIMED_OUT = 1031
ACCESSED_UNREADABLE = 1036
TRANSACTION_CANCELLED = 1025
PROCESS_BEHIND = 1037
DATABASE_LOCKED = 1038
CLUSTER_VERSION_CHANGED = 1039
PROXY_MEMORY = 1042
BATCH_THROTTLED = 1051
TAG_THROTTLED = 1213
OUTSIDE_LEGAL_RANGE = 2004
INVERTED_RANGE = 2005
TOO_LARGE = 2101
KEY_TOO_LARGE = 2102
VALUE_TOO_LARGE = 2103

RETRYABLE = frozenset(
    {
        TOO_OLD,
        FUTURE_VERSION,
        NOT_COMMITTED,
        COMMIT_UNKNOWN,
        PROCESS_BEHIND,
        DATABASE_LOCKED,
        CLUSTER_VERSION_CHANGED,
        PROXY_MEMORY,
        BATCH_THROTTLED,
        TAG_THROTTLED,
    }
)
"""After these `on_error` lets the transaction begin anew; any other is final."""


class FDBError(Exception):
    """As `fdb.FDBError`. `conflicts` are ranges that the servers say had changed."""

    def __init__(self, code: int, conflicts: Sequence[tuple[bytes, bytes]] = ()) -> None:
        super().__init__(code)
        self.code = code
        self.conflicts = conflicts

    def __str__(self) -> str:
        return f"simulated ({self.code})"
