"""The official binding as far as we use it, typed, and loaded on demand.

`import fdb` alone works anywhere; `fdb.api_version` loads the native client, which is not on PyPI.
"""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol, cast

from perdure.base.errors import StoreError

API_VERSION: Final = 730


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

    def get_range(self, begin: bytes, end: bytes, limit: int, reverse: bool) -> NativeRange: ...


class NativeTransaction(NativeReads, Protocol):
    """`fdb.impl.Transaction`"""

    @property
    def snapshot(self) -> NativeReads: ...

    def set(self, key: bytes, value: bytes) -> None: ...

    def clear(self, key: bytes) -> None: ...

    def clear_range(self, begin: bytes, end: bytes) -> None: ...

    def add(self, key: bytes, param: bytes) -> None: ...

    def set_versionstamped_key(self, key: bytes, param: bytes) -> None: ...

    def commit(self) -> NativeFuture: ...

    def on_error(self, error: int) -> NativeFuture: ...


class NativeDatabase(Protocol):
    """`fdb.impl.Database`"""

    def create_transaction(self) -> NativeTransaction: ...


class Binding(Protocol):
    """The module `fdb` once an API version is chosen."""

    # `fdb.FDBError`; its instances have `code: int`.
    FDBError: type[Exception]

    def open(self, cluster_file: str) -> NativeDatabase: ...


@functools.cache
def load(trace_group: str) -> Binding:
    """Load the native client, and name this process in its traces.

    Raises:
        StoreError: The native client is missing, or too old for the binding.
    """
    import fdb

    binding = cast("Any", fdb)
    try:
        binding.api_version(API_VERSION)
        binding.options.set_trace_log_group(trace_group)
    except Exception as error:  # The binding raises nothing narrower.
        raise StoreError(
            f"FoundationDB's native client cannot be used: {error}. Install the package `foundationdb-clients` of a version "
            "not below that of the Python package `foundationdb`, or leave the cluster file unset for the embedded store"
        ) from error
    return binding


def open_database(cluster_file: str, *, trace_group: str) -> tuple[Binding, NativeDatabase]:
    """Open a cluster. Does not wait until it answers.

    Raises:
        StoreError: The cluster file is missing, or the native client is.
    """
    if not Path(cluster_file).is_file():
        raise StoreError(f"the cluster file {cluster_file} does not exist")
    binding = load(trace_group)
    try:
        return binding, binding.open(cluster_file)
    except binding.FDBError as error:
        raise StoreError(f"the cluster of {cluster_file} cannot be opened: {error}") from error
