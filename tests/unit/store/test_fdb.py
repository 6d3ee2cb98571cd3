"""The FoundationDB store on a simulated cluster: what it does with each error, what it asks for, and what it counts."""

import ast
import asyncio
from collections.abc import Awaitable, Callable
from inspect import signature
from pathlib import Path
from typing import Any, Protocol, TypeVar

import fdb
import pytest
from fdb import fdboptions

from perdure.base.errors import CommitUnknown, ConfigurationError, StoreError
from perdure.process.config import CommonConfig, fdb_options
from perdure.process.metrics import ProcessMetrics, count_store
from perdure.store.fdb import store as fdb_store
from perdure.store.fdb.binding import (
    WANT_ALL,
    NativeDatabase,
    NativeDatabaseOptions,
    NativeNetworkOptions,
    NativeTransaction,
    NativeTransactionOptions,
)
from perdure.store.fdb.options import RETRY_DELAY_MS_MAX, TRIES_MAX, FdbOptions, FdbTls, configure_network
from perdure.store.fdb.store import THREADS, FdbStore
from perdure.store.fdb.tries import OUTLIVED_MAX
from perdure.store.interface import ReadTransaction, Transaction
from perdure.store.keyspace import Keyspace
from perdure.store.opening import open_store
from perdure.store.ranges import scan
from tests.fdb import errors
from tests.fdb.binding import Binding, Database
from tests.fdb.binding import Transaction as SimulatedTransaction
from tests.fdb.cluster import EVERY_FAULT, Cluster, Fault

T = TypeVar("T")
CONFLICT = Fault("commit", errors.NOT_COMMITTED)
LOST = Fault("commit", errors.COMMIT_UNKNOWN)
APPLIED = Fault("commit", errors.COMMIT_UNKNOWN, is_applied=True)


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Bench:
    """A simulated cluster whose time stands still until a test turns it forward, and a store on it."""

    def __init__(self, *, seed: int = 0, fault_rate: float = 0.0) -> None:
        self.clock = Clock()
        self.cluster = Cluster(seed=seed, fault_rate=fault_rate, clock_s=self.clock)
        self.binding = Binding(self.cluster, clock_s=self.clock)
        self.store: FdbStore

    def open(self, options: FdbOptions | None = None) -> FdbStore:
        return FdbStore(self.binding, self.binding.open(""), options, clock_s=self.clock)

    def run(self, scenario: Callable[[FdbStore], Awaitable[T]], options: FdbOptions | None = None) -> T:
        async def main() -> T:
            self.store = self.open(options)
            try:
                return await scenario(self.store)
            finally:
                await self.store.close()

        return asyncio.run(main())

    def data(self) -> dict[bytes, bytes]:
        return dict(self.run(lambda store: store.read(lambda tr: tr.get_range(b"", b"\xff"))))


def count_once(number: int) -> Callable[[Transaction], None]:
    """Count batch `number`, unless it is counted already."""

    def fn(tr: Transaction) -> None:
        if int(tr.get(b"batch") or b"0") < number:
            tr.set(b"batch", b"%d" % number)
            tr.set(b"count", b"%d" % (int(tr.get(b"count") or b"0") + 1))

    return fn


def methods_of(protocol: type) -> set[str]:
    return {name for each in protocol.__mro__ for name in vars(each) if not name.startswith("_")} - set(dir(Protocol))


def methods_in(node: ast.ClassDef) -> dict[str, range]:
    """Return the methods of a class, and how many arguments each takes."""
    found: dict[str, range] = {}
    for each in node.body:
        if isinstance(each, ast.FunctionDef):
            total = len(each.args.args) - 1
            found[each.name] = range(total - len(each.args.defaults), total + 1)
    return found


def put(key: bytes, value: bytes) -> Callable[[Transaction], None]:
    return lambda tr: tr.set(key, value)


@pytest.mark.parametrize("fault", EVERY_FAULT, ids=str)
def test_a_transaction_gets_past_every_error_that_passes(fault: Fault) -> None:
    bench = Bench()
    bench.cluster.fail_next(fault)
    bench.run(lambda store: store.transact(count_once(1)))
    assert bench.store.counters.errors.total() == 1
    assert bench.cluster.met == {fault}
    assert bench.data() == {b"batch": b"1", b"count": b"1"}


@pytest.mark.parametrize("faults", [(CONFLICT, CONFLICT), (LOST, CONFLICT, APPLIED), (APPLIED, LOST, LOST)])
def test_a_batch_that_checks_its_number_counts_once_whatever_becomes_of_commits(faults: tuple[Fault, ...]) -> None:
    bench = Bench()
    bench.cluster.fail_next(*faults)
    bench.run(lambda store: store.transact(count_once(1)))
    assert bench.data() == {b"batch": b"1", b"count": b"1"}


@pytest.mark.parametrize("seed", range(5))
def test_batches_of_many_clients_count_once_each_under_all_errors_together(seed: int) -> None:
    bench = Bench(seed=seed, fault_rate=0.3)

    def count_batch(writer: int, number: int) -> Callable[[Transaction], None]:
        marker = b"batch%d" % writer

        def fn(tr: Transaction) -> None:
            if int(tr.get(marker) or b"0") < number:
                tr.set(marker, b"%d" % number)
                tr.add(b"sum", 1)
                tr.set(b"hot", b"%d" % (int(tr.get(b"hot") or b"0") + 1))

        return fn

    async def write(store: FdbStore, writer: int) -> None:
        for number in range(1, 41):
            await store.transact(count_batch(writer, number))

    async def scenario(store: FdbStore) -> tuple[bytes | None, bytes | None]:
        others = [bench.open() for _ in range(2)]
        await asyncio.gather(*(write(each, writer) for writer, each in enumerate([store, *others])))
        for other in others:
            await other.close()
        return await store.read(lambda tr: (tr.get(b"sum"), tr.get(b"hot")))

    assert bench.run(scenario) == ((120).to_bytes(8, "little"), b"120")
    assert bench.store.counters.errors["conflict"] > 0
    assert bench.store.counters.errors["unknown"] > 0


@pytest.mark.parametrize(
    ("key", "value", "rows", "code"),
    [
        (b"k" * 10_001, b"", 1, errors.KEY_TOO_LARGE),
        (b"\xff/system", b"", 1, errors.OUTSIDE_LEGAL_RANGE),
        (b"k", b"v" * 90_000, 112, errors.TOO_LARGE),
    ],
)
def test_what_the_cluster_never_takes_fails_at_once_and_writes_nothing(key: bytes, value: bytes, rows: int, code: int) -> None:
    bench = Bench()

    def fn(tr: Transaction) -> None:
        for row in range(rows):
            tr.set(key + b"%03d" % row if rows > 1 else key, value)

    with pytest.raises(StoreError, match=str(code)) as raised:
        bench.run(lambda store: store.transact(fn))
    assert not isinstance(raised.value, CommitUnknown)
    assert bench.data() == {}


def test_reading_where_own_stamped_keys_will_be_fails() -> None:
    def fn(tr: Transaction) -> None:
        tr.set_versionstamped_key(b"mail", b"", b"text")
        tr.get_range(b"m", b"n")

    with pytest.raises(StoreError, match=str(errors.ACCESSED_UNREADABLE)):
        Bench().run(lambda store: store.transact(fn))


def test_a_transaction_that_keeps_failing_is_given_up() -> None:
    bench = Bench()
    bench.cluster.fail_next(*[CONFLICT] * (TRIES_MAX + 1))
    with pytest.raises(StoreError, match=str(errors.NOT_COMMITTED)) as raised:
        bench.run(lambda store: store.transact(put(b"a", b"1")))
    assert not isinstance(raised.value, CommitUnknown)
    assert bench.data() == {}


def test_one_that_is_given_up_after_a_commit_of_unknown_outcome_says_that_it_may_have_happened() -> None:
    bench = Bench()
    bench.cluster.fail_next(APPLIED, *[CONFLICT] * TRIES_MAX)
    with pytest.raises(CommitUnknown):
        bench.run(lambda store: store.transact(put(b"a", b"1")))
    assert bench.data() == {b"a": b"1"}


def test_a_timeout_ends_a_read_and_a_commit_and_tells_them_apart() -> None:
    bench = Bench()

    def slow_read(tr: ReadTransaction) -> None:
        bench.clock.now_s += 2
        tr.get(b"a")

    def slow_write(tr: Transaction) -> None:
        tr.set(b"a", b"1")
        bench.clock.now_s += 2

    options = FdbOptions(timeout_ms=1_000)
    with pytest.raises(StoreError, match=str(errors.TIMED_OUT)) as raised:
        bench.run(lambda store: store.read(slow_read), options)
    assert not isinstance(raised.value, CommitUnknown)
    with pytest.raises(CommitUnknown, match=str(errors.TIMED_OUT)):
        bench.run(lambda store: store.transact(slow_write), options)


def test_a_snapshot_dies_after_five_seconds_and_is_read_anew() -> None:
    bench = Bench()
    tries: list[bytes | None] = []

    def fn(tr: ReadTransaction) -> bytes | None:
        tries.append(tr.get(b"a"))
        if len(tries) == 1:
            bench.clock.now_s += 5.1
        return tr.get(b"a")

    async def scenario(store: FdbStore) -> bytes | None:
        await store.transact(put(b"a", b"1"))
        return await store.read(fn)

    assert bench.run(scenario) == b"1"
    assert tries == [b"1", b"1"]
    assert bench.store.counters.errors == {"too_old": 1}


def test_what_never_comes_to_its_end_within_five_seconds_fails_after_a_few_tries() -> None:
    bench = Bench()
    tries: list[int] = []

    def fn(tr: ReadTransaction) -> None:
        tries.append(1)
        tr.get(b"a")
        bench.clock.now_s += 5.1
        tr.get(b"a")

    with pytest.raises(StoreError, match="longer than five seconds"):
        bench.run(lambda store: store.read(fn))
    assert len(tries) == OUTLIVED_MAX


def test_a_scan_outlives_the_five_seconds_of_a_snapshot() -> None:
    bench = Bench()
    rows = [(b"%04d" % n, b"v") for n in range(300)]

    async def scenario(store: FdbStore) -> list[tuple[bytes, bytes]]:
        await store.transact(lambda tr: [tr.set(*row) for row in rows])
        seen: list[tuple[bytes, bytes]] = []
        async for page in scan(store, b"", b"\xff", 100):
            seen += page
            bench.clock.now_s += 4
        return seen

    assert bench.run(scenario) == rows
    assert bench.store.counters.errors.total() == 0


def test_a_range_beyond_one_answer_of_the_cluster_comes_whole() -> None:
    bench = Bench()
    rows = [(b"%04d" % n, b"v" * 80_000) for n in range(40)]

    async def scenario(store: FdbStore) -> list[tuple[bytes, bytes]]:
        await store.transact(lambda tr: [tr.set(*row) for row in rows])
        assert await store.read(lambda tr: tr.get_range(b"", b"\xff", limit=30, reverse=True)) == rows[::-1][:30]
        return await store.read(lambda tr: tr.get_range(b"", b"\xff"))

    assert bench.run(scenario) == rows


def test_a_transaction_starts_at_the_last_commit_without_asking_for_a_version() -> None:
    bench = Bench()

    async def scenario(store: FdbStore) -> None:
        for number in range(1, 11):
            await store.transact(count_once(number))

    bench.run(scenario)
    assert (bench.cluster.starts, bench.store.counters.cached_starts, bench.store.counters.stale_starts) == (1, 9, 0)
    assert bench.data()[b"count"] == b"10"


def test_an_old_version_is_not_started_from() -> None:
    bench = Bench()

    async def scenario(store: FdbStore) -> None:
        await store.transact(count_once(1))
        bench.clock.now_s += 1.5
        await store.transact(count_once(2))

    bench.run(scenario)
    assert (bench.cluster.starts, bench.store.counters.cached_starts) == (2, 0)


def test_what_others_wrote_since_the_last_commit_is_seen_by_all_that_counts() -> None:
    """A result that no commit has checked, and an error, do not come from an earlier version."""
    bench = Bench()

    def refuse(tr: Transaction) -> None:
        raise LookupError(tr.get(b"a"))

    async def scenario(store: FdbStore) -> None:
        other = bench.open()
        await store.transact(put(b"b", b""))
        await other.transact(put(b"a", b"theirs"))
        await other.close()
        assert await store.transact(lambda tr: tr.get(b"a")) == b"theirs"
        with pytest.raises(LookupError, match="theirs"):
            await store.transact(refuse)
        assert await store.read(lambda tr: tr.get(b"a")) == b"theirs"
        await store.transact(lambda tr: tr.set(b"copy", tr.get(b"a") or b""))

    bench.run(scenario)
    assert bench.data() == {b"a": b"theirs", b"b": b"", b"copy": b"theirs"}
    assert bench.store.counters.stale_starts == 0  # of the last store; the one before began anew twice


def test_every_try_carries_tag_and_priority() -> None:
    bench = Bench()
    bench.cluster.fail_next(CONFLICT)
    options = FdbOptions(tag="query", is_background=True)
    bench.run(lambda store: store.transact(count_once(1)), options)
    bench.run(lambda store: store.read(lambda tr: tr.get(b"a")))
    first, second, third = bench.binding.tries
    assert first == second
    assert (first["auto_throttle_tag"], first["priority_batch"], first["max_retry_delay"]) == ("query", True, RETRY_DELAY_MS_MAX)
    assert first["read_priority_low"] is True
    assert not {"auto_throttle_tag", "priority_batch", "read_priority_low"} & third.keys()


def test_counters_are_metrics() -> None:
    bench = Bench()
    bench.cluster.fail_next(CONFLICT, LOST)
    metrics = ProcessMetrics("invoker", "invoker-1")

    async def scenario(store: FdbStore) -> None:
        count_store(metrics.registry, store)
        await store.transact(count_once(1))

    bench.run(scenario)
    assert metrics.registry.get_sample_value("perdure_store_transactions_total") == 1
    assert metrics.registry.get_sample_value("perdure_store_errors_total", {"kind": "conflict"}) == 1
    assert metrics.registry.get_sample_value("perdure_store_errors_total", {"kind": "unknown"}) == 1
    assert metrics.registry.get_sample_value("perdure_store_errors_total", {"kind": "too_old"}) == 0


def test_what_the_function_raises_reaches_the_caller_and_nothing_is_committed() -> None:
    def fail(tr: Transaction) -> None:
        tr.set(b"a", b"1")
        raise LookupError("on purpose")

    bench = Bench()
    with pytest.raises(LookupError, match="on purpose"):
        bench.run(lambda store: store.transact(fail))
    assert bench.data() == {}


def test_conflicts_are_counted_by_the_kind_of_the_key_that_was_hot() -> None:
    bench, keys = Bench(), Keyspace()
    hot = [keys.partition(3).lease, keys.deployment("dp_1"), b"nobody's"]
    metrics = ProcessMetrics("invoker", "invoker-1")

    async def conflict_at(store: FdbStore, other: FdbStore, key: bytes) -> None:
        tries: list[bytes | None] = []

        def fn(tr: Transaction) -> None:
            tries.append(tr.get(key))
            if len(tries) == 1:
                asyncio.run_coroutine_threadsafe(other.transact(put(key, b"theirs")), loop).result()
            tr.set(b"copy", tr.get(key) or b"")

        loop = asyncio.get_running_loop()
        await store.transact(fn)
        assert tries == [None, b"theirs"]

    async def scenario(store: FdbStore) -> None:
        count_store(metrics.registry, store)
        other = bench.open()
        for key in hot:
            await conflict_at(store, other, key)
        await other.close()

    bench.run(scenario)
    assert bench.store.counters.conflicts == {"lease": 1, "meta": 1, "unknown": 1}
    assert metrics.registry.get_sample_value("perdure_store_conflicts_total", {"key": "lease"}) == 1


def test_a_store_closes_although_its_cluster_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fdb_store, "CLOSE_S_MAX", 0.05)
    bench = Bench()
    bench.cluster.is_reachable.clear()

    async def scenario(store: FdbStore) -> list[BaseException | None]:
        waiting = [asyncio.ensure_future(store.transact(put(b"%d" % n, b""))) for n in range(THREADS + 1)]
        await asyncio.sleep(0)
        await store.close()
        return await asyncio.gather(*waiting, return_exceptions=True)

    outcomes = bench.run(scenario)
    assert {type(outcome) for outcome in outcomes} == {StoreError}
    bench.cluster.is_reachable.set()
    assert bench.data() == {}


def test_a_transaction_waits_for_its_cluster_no_longer_than_the_timeout() -> None:
    bench = Bench()
    bench.cluster.is_reachable.clear()

    async def scenario(store: FdbStore) -> None:
        waiting = asyncio.ensure_future(store.read(lambda tr: tr.get(b"a")))
        while not waiting.done():
            bench.clock.now_s += 2
            await asyncio.sleep(0.001)
        with pytest.raises(StoreError, match=str(errors.TIMED_OUT)):
            await waiting
        bench.cluster.is_reachable.set()
        assert await store.read(lambda tr: tr.get(b"a")) is None

    bench.run(scenario, FdbOptions(timeout_ms=1_000))


class NetworkOptions:
    def __init__(self) -> None:
        self.values: list[tuple[str, object]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda value: self.values.append((name, value))


def test_the_client_is_told_of_traces_and_tls_and_of_nothing_that_is_not_set() -> None:
    bare, full = NetworkOptions(), NetworkOptions()
    configure_network(bare, FdbOptions(), trace_group="perdure")  # type: ignore[arg-type]
    assert bare.values == [("set_trace_log_group", "perdure")]
    tls = FdbTls(certificate_file="c.pem", key_file="k.pem", key_password="word", ca_file="ca.pem", verify_peers="Check.Valid=1")
    configure_network(full, FdbOptions(trace_dir="/traces", tls=tls), trace_group="perdure")  # type: ignore[arg-type]
    assert full.values[1:] == [
        ("set_trace_enable", "/traces"),
        ("set_trace_format", "json"),
        ("set_tls_password", "word"),
        ("set_tls_cert_path", "c.pem"),
        ("set_tls_key_path", "k.pem"),
        ("set_tls_ca_path", "ca.pem"),
        ("set_tls_verify_peers", b"Check.Valid=1"),
    ]
    assert "word" not in repr(FdbOptions(tls=tls))


def test_the_settings_of_a_process_reach_the_client() -> None:
    config = CommonConfig(
        fdb_transaction_timeout=5_000, fdb_tls_cert_file="c", fdb_tls_key_file="k", fdb_tls_key_password="p", fdb_tls_ca_file="a"
    )
    tls = FdbTls(certificate_file="c", key_file="k", key_password="p", ca_file="a")
    assert fdb_options(config, tag="sql", is_background=True) == FdbOptions(tag="sql", is_background=True, timeout_ms=5_000, tls=tls)


def test_the_client_that_is_used_is_the_official_bindings() -> None:
    """Names and numbers of arguments; the binding is read rather than imported, as that would need the native client."""
    tree = ast.parse((Path(fdb.__file__).parent / "impl.py").read_text())
    real = {node.name: methods_in(node) for node in tree.body if isinstance(node, ast.ClassDef)}
    offered = {name: range(2, 3) for name in fdboptions.MutationType} | real["TransactionRead"] | real["Transaction"]
    for protocol, methods in ((NativeTransaction, offered), (NativeDatabase, real["_TransactionCreator"] | real["Database"])):
        for name in methods_of(protocol) - {"options", "snapshot"}:
            assert len(signature(getattr(protocol, name)).parameters) - 1 in methods[name], name
    assert methods_of(NativeTransaction) <= set(dir(SimulatedTransaction(Database(Binding(Cluster())))))
    assert fdboptions.StreamingMode["want_all"][0] == WANT_ALL


@pytest.mark.parametrize(
    ("protocol", "options"),
    [
        (NativeTransactionOptions, fdboptions.TransactionOption),
        (NativeDatabaseOptions, fdboptions.DatabaseOption),
        (NativeNetworkOptions, fdboptions.NetworkOption),
    ],
)
def test_options_that_are_set_are_the_official_bindings_and_of_its_types(protocol: type, options: dict[str, tuple[Any, ...]]) -> None:
    kinds = {f"set_{name.lower()}": kind for name, (_, _, kind, _) in options.items()}
    for name in methods_of(protocol):
        given = [each.annotation for each in signature(getattr(protocol, name)).parameters.values() if each.name != "self"]
        assert given == ([] if kinds[name] is type(None) else [kinds[name]]), name


def test_a_missing_cluster_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nowhere"):
        open_store(path=None, fdb_cluster_file=str(tmp_path / "nowhere"), root="r")


def test_a_native_client_that_cannot_be_loaded_is_reported_with_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def api_version(version: int) -> None:
        raise Exception("Unable to locate the FoundationDB API shared library!")

    monkeypatch.setattr(fdb, "api_version", api_version)
    cluster_file = tmp_path / "fdb.cluster"
    cluster_file.write_text("test:test@127.0.0.1:4500")
    with pytest.raises(ConfigurationError, match="foundationdb-clients"):
        open_store(path=None, fdb_cluster_file=str(cluster_file), root="a root that nobody else loads with")
