"""How a process uses a cluster, and the options of the native client that follow from it.

Source: FoundationDB's documentation, Python API and Known limitations.
"""

from typing import Final

import msgspec

from perdure.store.fdb.binding import NativeDatabase, NativeTransaction

TRIES_MAX: Final = 1_000
"""Tries of one transaction, some ten minutes under the backoff of the client; then its last error is final."""
RETRY_DELAY_MS_MAX: Final = 1_000
"""The client waits between tries: at first a few milliseconds, twice as long each time, times a random factor, at most this."""
COMMIT_BYTES_MAX: Final = 10_000_000
"""Largest transaction, keys and conflict ranges included; the cluster takes no larger one."""
TAG_BYTES_MAX: Final = 16
"""Longest tag of the client."""


class FdbOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How this process uses the cluster."""

    tag: str = ""
    """Under which `fdbcli` shows and throttles its transactions; its role."""
    is_background: bool = False
    """Its transactions give way to those of others (batch priority): for scans that nobody's call waits for."""
    timeout_ms: int = 0
    """How long a transaction may take with all its tries; 0: as long as the cluster needs."""
    trace_dir: str = ""
    """Where the client writes traces; empty: nowhere."""


def configure_database(database: NativeDatabase, options: FdbOptions) -> None:
    """Set what holds for all transactions and all their tries."""
    database.options.set_transaction_retry_limit(TRIES_MAX)
    database.options.set_transaction_max_retry_delay(RETRY_DELAY_MS_MAX)
    database.options.set_transaction_size_limit(COMMIT_BYTES_MAX)
    database.options.set_transaction_timeout(options.timeout_ms)


def configure_try(native: NativeTransaction, options: FdbOptions) -> None:
    """Set what a new try does not keep of the one before."""
    if options.tag:
        native.options.set_auto_throttle_tag(options.tag)
    if options.is_background:
        native.options.set_priority_batch()
