"""The official binding as far as we use it, typed, and loaded on demand.

`import fdb` alone works anywhere; `fdb.api_version` loads the native client, which is not on PyPI.
"""

import functools
from collections.abc import Sequence
from typing import Any, Final, Protocol, cast

from perdure.base.errors import ConfigurationError

API_VERSION: Final = 730
WANT_ALL: Final = -2
"""Streaming mode: the first answer has as much as one answer may have, where it would have a few hundred bytes otherwise."""


class NativeFuture(Protocol):
    def wait(self) -> object: ...


class NativeValue(Protocol):
    @property
    def value(self) -> bytes | None: ...


class NativePair(Protocol):
    key: bytes
    value: bytes


class NativeRange(Protocol):
    def to_list(self) -> Sequence[NativePair]: ...


class NativeReads(Protocol):
    """`fdb.impl.TransactionRead`"""

    def get(self, key: bytes) -> NativeValue: ...

    def get_range(self, begin: bytes, end: bytes, limit: int, reverse: bool, streaming_mode: int) -> NativeRange: ...


class NativeTransactionOptions(Protocol):
    """`fdb.impl._TransactionOptions`"""

    def set_auto_throttle_tag(self, param: str) -> None: ...

    def set_priority_batch(self) -> None: ...

    def set_read_priority_low(self) -> None: ...


class NativeTransaction(NativeReads, Protocol):
    """`fdb.impl.Transaction`"""

    @property
    def options(self) -> NativeTransactionOptions: ...

    @property
    def snapshot(self) -> NativeReads: ...

    def set(self, key: bytes, value: bytes) -> None: ...

    def clear(self, key: bytes) -> None: ...

    def clear_range(self, begin: bytes, end: bytes) -> None: ...

    def add(self, key: bytes, param: bytes) -> None: ...

    def set_versionstamped_key(self, key: bytes, param: bytes) -> None: ...

    def commit(self) -> NativeFuture: ...

    def on_error(self, error: int) -> NativeFuture: ...

    def reset(self) -> None: ...

    def cancel(self) -> None: ...

    def set_read_version(self, version: int) -> None: ...

    def get_committed_version(self) -> int: ...


class NativeDatabaseOptions(Protocol):
    """`fdb.impl._DatabaseOptions`"""

    def set_transaction_timeout(self, param: int) -> None: ...

    def set_transaction_retry_limit(self, param: int) -> None: ...

    def set_transaction_max_retry_delay(self, param: int) -> None: ...

    def set_transaction_size_limit(self, param: int) -> None: ...

    def set_transaction_report_conflicting_keys(self) -> None: ...


class NativeDatabase(Protocol):
    """`fdb.impl.Database`"""

    @property
    def options(self) -> NativeDatabaseOptions: ...

    def create_transaction(self) -> NativeTransaction: ...


class NativeNetworkOptions(Protocol):
    """`fdb.impl._NetworkOptions`: for the whole process, set before the first cluster is opened."""

    def set_trace_log_group(self, param: str) -> None: ...

    def set_trace_enable(self, param: str) -> None: ...

    def set_trace_format(self, param: str) -> None: ...

    def set_tls_cert_path(self, param: str) -> None: ...

    def set_tls_key_path(self, param: str) -> None: ...

    def set_tls_password(self, param: str) -> None: ...

    def set_tls_ca_path(self, param: str) -> None: ...

    def set_tls_verify_peers(self, param: bytes) -> None: ...


class Binding(Protocol):
    """The module `fdb` once an API version is chosen."""

    @property
    def options(self) -> NativeNetworkOptions: ...

    # `fdb.FDBError`; its instances have `code: int`.
    FDBError: type[Exception]

    def open(self, cluster_file: str) -> NativeDatabase: ...


@functools.cache
def load() -> Binding:
    """Load the native client.

    Raises:
        ConfigurationError: The native client is missing, or too old for the binding.
    """
    import fdb

    binding = cast("Any", fdb)
    try:
        binding.api_version(API_VERSION)
    except Exception as error:  # The binding raises nothing narrower.
        raise ConfigurationError(
            f"FoundationDB's native client cannot be used: {error}. Install the package `foundationdb-clients` of a version "
            "not below that of the Python package `foundationdb`, or leave the cluster file unset for the embedded store"
        ) from error
    return binding
