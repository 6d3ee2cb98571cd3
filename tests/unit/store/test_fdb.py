"""The FoundationDB store on a native transaction that is played by the test: what it sends, and what it does with errors."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TypeVar

import fdb
import pytest

from perdure.base.errors import StoreError
from perdure.store.fdb.store import FdbStore
from perdure.store.interface import ReadTransaction, Transaction
from perdure.store.opening import open_store

T = TypeVar("T")

CONFLICT, COMMIT_UNKNOWN, TOO_OLD, TOO_LARGE = 1020, 1021, 1007, 2101


class NativeError(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Done:
    def __init__(self, error: int = 0) -> None:
        self._error = error

    def wait(self) -> None:
        if self._error:
            raise NativeError(self._error)


class Cluster:
    """Data and the outcomes of the next commits: 0 commits, an error code does not, a negated one does both."""

    def __init__(self, *outcomes: int) -> None:
        self.outcomes = list(outcomes)
        self.data: dict[bytes, bytes] = {}
        self.read_errors: list[int] = []
        self.calls: list[tuple[object, ...]] = []

    def create_transaction(self) -> "NativeTransaction":
        return NativeTransaction(self)


class NativeTransaction:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._writes: dict[bytes, bytes] = {}
        self.snapshot = self

    def get(self, key: bytes) -> SimpleNamespace:
        if self._cluster.read_errors:
            raise NativeError(self._cluster.read_errors.pop(0))
        return SimpleNamespace(value=self._writes.get(key, self._cluster.data.get(key)))

    def get_range(self, begin: bytes, end: bytes, limit: int, reverse: bool) -> SimpleNamespace:
        self._cluster.calls.append(("get_range", begin, end, limit, reverse))
        pairs = [SimpleNamespace(key=key, value=value) for key, value in sorted(self._cluster.data.items()) if begin <= key < end]
        return SimpleNamespace(to_list=lambda: pairs)

    def set(self, key: bytes, value: bytes) -> None:
        self._writes[key] = value

    def clear(self, key: bytes) -> None:
        self._cluster.calls.append(("clear", key))

    def clear_range(self, begin: bytes, end: bytes) -> None:
        self._cluster.calls.append(("clear_range", begin, end))

    def add(self, key: bytes, param: bytes) -> None:
        self._cluster.calls.append(("add", key, param))

    def set_versionstamped_key(self, key: bytes, param: bytes) -> None:
        self._cluster.calls.append(("set_versionstamped_key", key, param))

    def commit(self) -> Done:
        outcome = self._cluster.outcomes.pop(0) if self._cluster.outcomes else 0
        if outcome <= 0:
            self._cluster.data |= self._writes
        return Done(abs(outcome))

    def on_error(self, code: int) -> Done:
        self._writes.clear()
        return Done(code if code == TOO_LARGE else 0)


def run(cluster: Cluster, scenario: Callable[[FdbStore], "asyncio.Future[T]"]) -> T:
    async def main() -> T:
        store = FdbStore(SimpleNamespace(FDBError=NativeError), cluster)
        try:
            return await scenario(store)
        finally:
            await store.close()

    return asyncio.run(main())


def count_once(number: int) -> Callable[[Transaction], None]:
    """Count batch `number`, unless it is counted already."""

    def fn(tr: Transaction) -> None:
        if int(tr.get(b"batch") or b"0") < number:
            tr.set(b"batch", b"%d" % number)
            tr.set(b"count", b"%d" % (int(tr.get(b"count") or b"0") + 1))

    return fn


@pytest.mark.parametrize(
    "outcomes", [(0,), (CONFLICT, CONFLICT, 0), (COMMIT_UNKNOWN, 0), (-COMMIT_UNKNOWN, 0), (COMMIT_UNKNOWN, CONFLICT, -COMMIT_UNKNOWN, 0)]
)
def test_a_batch_that_checks_its_number_counts_once_whatever_becomes_of_commits(outcomes: Sequence[int]) -> None:
    cluster = Cluster(*outcomes)
    run(cluster, lambda store: store.transact(count_once(1)))
    assert cluster.data == {b"batch": b"1", b"count": b"1"}
    assert cluster.outcomes == []


def test_an_error_that_does_not_pass_fails_the_transaction() -> None:
    cluster = Cluster(TOO_LARGE)
    with pytest.raises(StoreError, match="2101"):
        run(cluster, lambda store: store.transact(count_once(1)))
    assert cluster.data == {}


def test_a_snapshot_that_became_too_old_is_read_again() -> None:
    cluster = Cluster()
    cluster.data = {b"a": b"1"}
    cluster.read_errors = [TOO_OLD]
    assert run(cluster, lambda store: store.read(lambda tr: tr.get(b"a"))) == b"1"
    assert cluster.read_errors == []


def test_what_the_function_raises_reaches_the_caller_and_nothing_is_committed() -> None:
    def fail(tr: Transaction) -> None:
        tr.set(b"a", b"1")
        raise LookupError("on purpose")

    cluster = Cluster()
    with pytest.raises(LookupError, match="on purpose"):
        run(cluster, lambda store: store.transact(fail))
    assert cluster.data == {}


def test_operations_are_sent_as_the_binding_wants_them() -> None:
    def fn(tr: Transaction) -> None:
        tr.add(b"n", -2)
        tr.clear(b"a")
        tr.clear_range(b"a", b"b")
        tr.set_versionstamped_key(b"mail", b"\x07", b"text")

    def read(tr: ReadTransaction) -> list[tuple[bytes, bytes]]:
        return tr.get_range(b"a", b"z", limit=5, reverse=True)

    cluster = Cluster()
    cluster.data = {b"k": b"v"}
    run(cluster, lambda store: store.transact(fn))
    assert run(cluster, lambda store: store.read(read)) == [(b"k", b"v")]
    assert cluster.calls == [
        ("add", b"n", b"\xfe" + b"\xff" * 7),
        ("clear", b"a"),
        ("clear_range", b"a", b"b"),
        ("set_versionstamped_key", b"mail" + b"\xff" * 10 + b"\x07" + b"\x04\x00\x00\x00", b"text"),
        ("get_range", b"a", b"z", 5, True),
    ]


def test_a_missing_cluster_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="nowhere"):
        open_store(path=None, fdb_cluster_file=str(tmp_path / "nowhere"), root="r")


def test_a_native_client_that_cannot_be_loaded_is_reported_with_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def api_version(version: int) -> None:
        raise Exception("Unable to locate the FoundationDB API shared library!")

    monkeypatch.setattr(fdb, "api_version", api_version)
    cluster_file = tmp_path / "fdb.cluster"
    cluster_file.write_text("test:test@127.0.0.1:4500")
    with pytest.raises(StoreError, match="foundationdb-clients"):
        open_store(path=None, fdb_cluster_file=str(cluster_file), root="a root that nobody else loads with")
