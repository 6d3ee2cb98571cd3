"""How a process uses a cluster, and the options of the native client that follow from it.

Source: FoundationDB's documentation, Python API and Known limitations.
"""

from typing import Final

import msgspec

from perdure.store.fdb.binding import NativeDatabase, NativeNetworkOptions, NativeTransaction

TRIES_MAX: Final = 1_000
"""Tries of one transaction, some ten minutes under the backoff of the client; then its last error is final."""
RETRY_DELAY_MS_MAX: Final = 1_000
"""The client waits between tries: at first a few milliseconds, twice as long each time, times a random factor, at most this."""
COMMIT_BYTES_MAX: Final = 10_000_000
"""Largest transaction, keys and conflict ranges included; the cluster takes no larger one."""
TAG_BYTES_MAX: Final = 16
"""Longest tag of the client."""


class FdbTls(msgspec.Struct, frozen=True, kw_only=True):
    """How this process shows itself to a cluster with TLS, and whom it takes for one. Empty: the client's default,
    or what its own variables say (`FDB_TLS_...`)."""

    certificate_file: str = ""
    key_file: str = ""
    key_password: str = ""
    ca_file: str = ""
    verify_peers: str = ""
    """Fields of the servers' certificates that are checked, for instance `Check.Valid=1,S.CN=fdb`."""

    def __repr__(self) -> str:
        return f"FdbTls({self.certificate_file!r})"  # Never the password.


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
    tls: FdbTls = FdbTls()
    """For clusters whose file asks for TLS."""


def configure_network(network: NativeNetworkOptions, options: FdbOptions, *, trace_group: str) -> None:
    """Set what holds for the whole process; only before the first cluster is opened."""
    network.set_trace_log_group(trace_group)
    if options.trace_dir:
        network.set_trace_enable(options.trace_dir)
        network.set_trace_format("json")
    _configure_tls(network, options.tls)


def _configure_tls(network: NativeNetworkOptions, tls: FdbTls) -> None:
    if tls.key_password:
        network.set_tls_password(tls.key_password)  # The client wants it before the key.
    if tls.certificate_file:
        network.set_tls_cert_path(tls.certificate_file)
    if tls.key_file:
        network.set_tls_key_path(tls.key_file)
    if tls.ca_file:
        network.set_tls_ca_path(tls.ca_file)
    if tls.verify_peers:
        network.set_tls_verify_peers(tls.verify_peers.encode())


def configure_database(database: NativeDatabase, options: FdbOptions) -> None:
    """Set what holds for all transactions and all their tries."""
    database.options.set_transaction_retry_limit(TRIES_MAX)
    database.options.set_transaction_max_retry_delay(RETRY_DELAY_MS_MAX)
    database.options.set_transaction_size_limit(COMMIT_BYTES_MAX)
    database.options.set_transaction_timeout(options.timeout_ms)
    database.options.set_transaction_report_conflicting_keys()


def configure_try(native: NativeTransaction, options: FdbOptions) -> None:
    """Set what a new try does not keep of the one before."""
    if options.tag:
        native.options.set_auto_throttle_tag(options.tag)
    if options.is_background:
        native.options.set_priority_batch()
        native.options.set_read_priority_low()
