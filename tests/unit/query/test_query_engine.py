"""Queries over a store that spans several pages of a scan."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from perdure.base.ids import InvocationId, invocation_id, partition_of
from perdure.base.limits import MIB, SCAN_ROWS_MAX
from perdure.bus.messages import LiveInvocation
from perdure.model.invocation import InvocationRecord, Status
from perdure.model.journal import Future
from perdure.model.result import Success
from perdure.model.target import HandlerType, Target
from perdure.query.catalogue import TABLES
from perdure.query.engine import Engine
from perdure.query.errors import QueryError
from perdure.query.table import LiveById, Snapshot
from perdure.query.texts import future_json
from perdure.store.chunks import set_chunked
from perdure.store.format import prepare
from perdure.store.interface import ReadTransaction, Store, Transaction
from perdure.store.keyspace import Keyspace
from perdure.store.opening import open_store

KEYSPACE = Keyspace()


def with_store(path: Path, work: Callable[[Store], Awaitable[None]]) -> None:
    async def run() -> None:
        store = open_store(path=str(path / "store.db"), fdb_cluster_file=None, root="perdure")
        try:
            await work(store)
        finally:
            await store.close()

    asyncio.run(run())


def an_engine(store: Store, *live: LiveInvocation, memory_bytes_max: int = 64 * MIB, snapshot_s_max: float | None = None) -> Engine:
    async def ask_live() -> LiveById:
        return {each.invocation_id: each for each in live}

    return Engine(store, KEYSPACE, ask_live=ask_live, memory_bytes_max=memory_bytes_max, snapshot_s_max=snapshot_s_max)


async def rows(engine: Engine, sql: str, *parameters: object) -> list[tuple[object, ...]]:
    result = await engine.run(sql, parameters)
    return [tuple(row.values()) async for batch in result.batches for row in batch.to_pylist()]


def a_record(number: int) -> InvocationRecord:
    large = Success(b"x" * 100_000) if number % 500 == 499 else None
    status = Status.INVOKED if large is None else Status.COMPLETED
    return InvocationRecord(Target("S", "h", None, HandlerType.PLAIN), status, number, number, result=large)


def put(tr: Transaction, each: InvocationId, record: InvocationRecord, partitions: int) -> None:
    keys = KEYSPACE.partition(partition_of(each, partitions))
    key = keys.invocation(each) if record.status is Status.COMPLETED else keys.unfinished(each)
    set_chunked(tr, key, msgspec.msgpack.encode(record), is_new=True)


class Interrupted(Exception):
    """A snapshot that has become too old."""


class Forgetful:
    """A store whose first snapshot breaks amid a scan, so that it repeats the read."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._has_broken = False

    async def read(self, fn: Callable[[ReadTransaction], Any]) -> Any:
        def interrupted(tr: ReadTransaction) -> Any:
            if self._has_broken:
                return fn(tr)
            try:
                return fn(Breaking(tr))
            except Interrupted:
                self._has_broken = True
                return fn(tr)

        return await self._store.read(interrupted)


class Breaking:
    """A snapshot that breaks at its second range."""

    def __init__(self, tr: ReadTransaction) -> None:
        self.get = tr.get
        self._tr = tr
        self._ranges = 0

    def get_range(self, begin: bytes, end: bytes, *, limit: int = 0, reverse: bool = False) -> list[tuple[bytes, bytes]]:
        self._ranges += 1
        if self._ranges == 2:
            raise Interrupted
        return self._tr.get_range(begin, end, limit=limit, reverse=reverse)


@pytest.mark.parametrize("is_forgetful", [False, True])
@pytest.mark.parametrize("snapshot_s_max", [None, 0.0])
def test_every_invocation_is_seen_once_whatever_its_size(tmp_path: Path, snapshot_s_max: float | None, is_forgetful: bool) -> None:
    count = 2 * SCAN_ROWS_MAX + 500

    def fill(tr: Transaction) -> None:
        for number in range(count):
            each = invocation_id(number, number.to_bytes(16, "big"))
            put(tr, each, a_record(number), 3)

    async def work(store: Store) -> None:
        await prepare(store, KEYSPACE, 3)
        await store.transact(fill)
        engine = an_engine(cast("Store", Forgetful(store)) if is_forgetful else store, snapshot_s_max=snapshot_s_max)
        counted = "SELECT count(*), count(DISTINCT id), count(completion_result) FROM sys_invocation"
        assert await rows(engine, counted) == [(count, count, 5)]
        assert await rows(engine, "SELECT status, count(*) FROM sys_invocation GROUP BY 1 ORDER BY 1") == [
            ("completed", 5),
            ("ready", count - 5),
        ]
        assert len(await rows(engine, "SELECT id FROM sys_invocation LIMIT $1", 7)) == 7

    with_store(tmp_path, work)


def test_what_invokers_tell_of_running_invocations_is_shown(tmp_path: Path) -> None:
    ids = [invocation_id(number, bytes(16)) for number in range(4)]

    def fill(tr: Transaction) -> None:
        for each, status in zip(ids, (Status.INVOKED, Status.INVOKED, Status.INVOKED, Status.COMPLETED), strict=True):
            put(tr, each, InvocationRecord(Target("S", "h", None, HandlerType.PLAIN), status, 1, 1), 1)

    async def work(store: Store) -> None:
        await prepare(store, KEYSPACE, 1)
        await store.transact(fill)
        failing = LiveInvocation(ids[1], "backing-off", 3, 7, 9, "[500] m", "RT0007", "dp_1a", "sdk/1", 2, "r1", "Run")
        waiting = LiveInvocation(ids[0], "running", 1, awaiting_on=Future(signal_indexes=(17,)))
        engine = an_engine(store, waiting, failing, LiveInvocation(ids[3], "running", 1))
        query = (
            "SELECT status, retry_count, last_failure, last_failure_error_code, last_attempt_deployment_id, last_attempt_server,"
            " last_failure_related_command_index, last_failure_related_command_name, last_failure_related_command_type,"
            " CAST(next_retry_at - last_start_at AS BIGINT) FROM sys_invocation ORDER BY id"
        )
        assert await rows(engine, query) == [
            ("running", 1, None, None, None, None, None, None, None, None),
            ("backing-off", 3, "[500] m", "RT0007", "dp_1a", "sdk/1", 2, "r1", "Run", 2),
            ("ready", None, None, None, None, None, None, None, None, None),
            ("completed", 1, None, None, None, None, None, None, None, None),
        ]
        awaited = await rows(engine, "SELECT last_awaiting_on_future_json FROM sys_invocation_state WHERE in_flight ORDER BY id LIMIT 1")
        assert awaited == [(future_json(Future(signal_indexes=(17,))),)]

    with_store(tmp_path, work)


def test_a_new_store_has_empty_tables(tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        engine = an_engine(store)
        for name in TABLES:
            assert await rows(engine, f"SELECT * FROM {name}") == []
        shown = await rows(engine, "SHOW COLUMNS FROM sys_service")
        assert {row[1] for row in shown} == {"public"}  # and not as well what the seed era had under this name
        names = await rows(engine, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1")
        assert names == [(name,) for name in sorted(TABLES)]

    with_store(tmp_path, work)


@pytest.mark.parametrize(
    ("sql", "is_read"),
    [
        ("SELECT 1", False),
        ("SELECT * FROM sys_invocation", True),
        ("SELECT 1 WHERE 'a' IN (SELECT target FROM sys_invocation)", True),
        ("SELECT (SELECT count(*) FROM restate.public.SYS_INVOCATION)", True),
        ("WITH sys_invocation AS (SELECT 1) SELECT * FROM sys_invocation", False),
        ("SELECT 'sys_invocation'", False),
        ("EXPLAIN SELECT * FROM sys_service", False),
    ],
)
def test_only_the_tables_of_a_statement_are_read(sql: str, is_read: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    monkeypatch.setattr(Snapshot, "partitions", property(lambda _: read.append(1) or 0))

    async def work(store: Store) -> None:
        await rows(an_engine(store), sql)

    with_store(tmp_path, work)
    assert bool(read) is is_read


def test_a_statement_is_described_without_its_parameters(tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        schema = await an_engine(store).describe("SELECT id, public FROM sys_service s, sys_deployment d WHERE name = $1")
        assert schema.names == ["id", "public"]

    with_store(tmp_path, work)


@pytest.mark.parametrize(
    ("sql", "sqlstate"),
    [
        (
            "SELECT sum(a.value * b.value) FROM generate_series(1, 3000000) a JOIN generate_series(1, 3000000) b ON a.value = b.value",
            "53200",
        ),
        ("SELECT $1", "42P02"),
        ("SELECT 1; SELECT 2", "0A000"),
        ("SELECT count(*) FROM '/etc/passwd'", "42P01"),
        ("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'", "25006"),
        ("SET datafusion.execution.batch_size = 1", "25006"),
    ],
)
def test_what_cannot_be_run_has_its_state(sql: str, sqlstate: str, tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        with pytest.raises(QueryError) as caught:
            await rows(an_engine(store, memory_bytes_max=4 * MIB), sql)
        assert caught.value.sqlstate == sqlstate

    with_store(tmp_path, work)
