"""Each table over a store with known rows, and that a statement reads no more of it than it wants."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from perdure.base.ids import InvocationId, format_invocation_id, invocation_id, partition_key_of_key, partition_of, partition_of_key
from perdure.base.limits import MIB
from perdure.bus.messages import LiveInvocation
from perdure.model.invocation import InvocationRecord, Source, Status
from perdure.model.journal import Call, CallTarget, Completion, CompletionType, Input, Run, Sleep, StoredEntry
from perdure.model.result import Failure, Outcome, Success
from perdure.model.target import HandlerType, Target
from perdure.query.engine import Engine
from perdure.query.errors import QueryError
from perdure.query.table import LiveById, Snapshot
from perdure.store.chunks import set_chunked
from perdure.store.format import prepare
from perdure.store.interface import Transaction
from perdure.store.keyspace import Keyspace, PartitionKeys
from perdure.store.opening import open_store

KEYSPACE = Keyspace()
PARTITIONS = 4
NOW_MS = 1_772_357_400_125
HOLDER = invocation_id(partition_key_of_key("a"), b"\x01" * 16)
WAITING = invocation_id(partition_key_of_key("a"), b"\x00\xff" * 8)
ENDED = invocation_id(partition_key_of_key("b"), b"\x00" * 16)
PLAIN = invocation_id(0xFFFF_FFFF_FFFF_FF00, b"\xff" * 16)
ADD = Target("Counter", "add", "a", HandlerType.EXCLUSIVE)


class Promise(msgspec.Struct, array_like=True):
    result: Outcome | None = None
    listeners: list[tuple[bytes, int]] = []


def of_invocation(known: InvocationId) -> PartitionKeys:
    return KEYSPACE.partition(partition_of(known, PARTITIONS))


def of_object(key: str) -> PartitionKeys:
    return KEYSPACE.partition(partition_of_key(key, PARTITIONS))


def put(tr: Transaction, key: bytes, value: Any) -> None:
    set_chunked(tr, key, msgspec.msgpack.encode(value))


def fill(tr: Transaction) -> None:
    put(
        tr,
        of_invocation(HOLDER).unfinished(HOLDER),
        InvocationRecord(ADD, Status.INVOKED, NOW_MS, NOW_MS, journal_length=4, command_count=3, idempotency_key="once"),
    )
    put(
        tr,
        of_invocation(WAITING).unfinished(WAITING),
        InvocationRecord(ADD, Status.INBOXED, NOW_MS, NOW_MS, journal_length=1, command_count=1, inbox_sequence=7),
    )
    ended = Target("Flow", "run", "b", HandlerType.WORKFLOW, is_workflow=True)
    put(
        tr,
        of_invocation(ENDED).invocation(ENDED),
        InvocationRecord(ended, Status.COMPLETED, NOW_MS, NOW_MS + 5, result=Success(b"x" * 200_000), completed_at_ms=NOW_MS + 5),
    )
    restarted = Source("restart_as_new", restarted_from=ENDED)
    plain = InvocationRecord(Target("Greeter", "greet", None, HandlerType.PLAIN), Status.PAUSED, NOW_MS, NOW_MS, source=restarted)
    put(tr, of_invocation(PLAIN).unfinished(PLAIN), plain)
    call = Call(CallTarget("Flow", "run", "b"), b"y" * 150_000, (), 2, 3, callee_id=ENDED)
    entries = [Input(b"1"), Run(1, "step"), Completion(CompletionType.RUN, 1, Success(b"2")), call]
    for index, entry in enumerate(entries):
        put(tr, of_invocation(HOLDER).entry(HOLDER, index), StoredEntry(NOW_MS + index, entry))
    put(tr, of_invocation(WAITING).entry(WAITING, 0), StoredEntry(NOW_MS, Input(b"")))
    put(tr, of_invocation(PLAIN).entry(PLAIN, 0), StoredEntry(NOW_MS, Sleep(NOW_MS, 1)))
    tr.set(of_object("a").lock("Counter", "a"), HOLDER)
    tr.set(of_object("a").inbox("Counter", "a", 7), WAITING)
    set_chunked(tr, of_object("a").state("Counter", "a", b"value"), b"3")
    set_chunked(tr, of_object("a").state("Counter", "a", b"large"), b"\xff" * 100_000)
    set_chunked(tr, of_object("b").state("Flow", "b", b"name"), b'"n"')
    put(tr, of_object("b").promise("Flow", "b", "done"), Promise(Success(b"yes")))
    put(tr, of_object("b").promise("Flow", "b", "refused"), Promise(Failure(400, "no")))
    put(tr, of_object("b").promise("Flow", "b", "open"), Promise(listeners=[(ENDED, 1)]))


def with_engine(path: Path, work: Callable[[Engine], Awaitable[None]], *, memory_bytes_max: int = 64 * MIB) -> None:
    async def ask_live() -> LiveById:
        return {HOLDER: LiveInvocation(HOLDER, "running", 2, NOW_MS, last_attempt_server="sdk/1")}

    async def run() -> None:
        store = open_store(path=str(path / "store.db"), fdb_cluster_file=None, root="perdure")
        try:
            await prepare(store, KEYSPACE, PARTITIONS)
            await store.transact(fill)
            await work(Engine(store, KEYSPACE, ask_live=ask_live, memory_bytes_max=memory_bytes_max))
        finally:
            await store.close()

    asyncio.run(run())


def text(known: InvocationId) -> str:
    return format_invocation_id(known)


KEY_A, KEY_B = partition_key_of_key("a"), partition_key_of_key("b")
STATEMENTS: list[tuple[str, list[tuple[object, ...]]]] = [
    (
        "SELECT id, status, target, journal_size, journal_commands_size FROM sys_invocation_status ORDER BY created_at, status",
        [
            (text(ENDED), "completed", "Flow/b/run", 0, 0),
            (text(WAITING), "inboxed", "Counter/a/add", None, None),
            (text(HOLDER), "invoked", "Counter/a/add", 4, 3),
            (text(PLAIN), "paused", "Greeter/greet", 0, 0),
        ],
    ),
    (
        "SELECT status, retry_count FROM sys_invocation ORDER BY status",
        [("completed", None), ("paused", None), ("pending", None), ("running", 2)],
    ),
    (
        "SELECT invoked_by, invoked_by_id, restarted_from FROM sys_invocation WHERE status = 'paused'",
        [("restart_as_new", None, text(ENDED))],
    ),
    (
        "SELECT partition_key, id, in_flight, retry_count, last_attempt_server FROM sys_invocation_state",
        [(KEY_A, text(HOLDER), True, 2, "sdk/1")],
    ),
    ("SELECT service_name, service_key, id, sequence_number FROM sys_inbox", [("Counter", "a", text(WAITING), 7)]),
    ("SELECT * FROM sys_keyed_service_status", [(KEY_A, "Counter", "a", text(HOLDER))]),
    (
        "SELECT service_name, service_key, service_handler, idempotency_key, invocation_id FROM sys_idempotency",
        [("Counter", "a", "add", "once", text(HOLDER))],
    ),
    (
        "SELECT partition_key, service_name, service_key, key, key_length, value_utf8, value_length FROM state ORDER BY key",
        [
            (KEY_A, "Counter", "a", "large", 5, None, 100_000),
            (KEY_B, "Flow", "b", "name", 4, '"n"', 3),
            (KEY_A, "Counter", "a", "value", 5, "3", 1),
        ],
    ),
    (
        "SELECT key, completed, completion_success_value, completion_success_value_utf8, completion_failure FROM sys_promise ORDER BY key",
        [("done", True, b"yes", "yes", None), ("open", False, None, None, None), ("refused", True, None, None, "[400 Bad request] no")],
    ),
    (
        f"SELECT index, entry_type, name, raw_length, version, CAST(appended_at AS BIGINT) FROM sys_journal WHERE id = '{text(HOLDER)}'",
        [
            (0, "Command: Input", "", 5, 2, NOW_MS),
            (1, "Command: Run", "step", 8, 2, NOW_MS + 1),
            (2, "Notification: Run", None, 7, 2, NOW_MS + 2),
            (3, "Command: Call", "", 150_022, 2, NOW_MS + 3),
        ],
    ),
    ("SELECT encode(raw, 'hex') FROM sys_journal WHERE entry_type = 'Command: Run'", [("58016204" + b"step".hex(),)]),
    ("SELECT id, index FROM sys_journal WHERE entry_type LIKE '%Sleep'", [(text(PLAIN), 0)]),
    ("SELECT count(*) FROM sys_journal", [(6,)]),
]


@pytest.mark.parametrize(("sql", "expected"), STATEMENTS)
def test_tables_show_what_is_stored(sql: str, expected: list[tuple[object, ...]], tmp_path: Path) -> None:
    async def work(engine: Engine) -> None:
        assert await rows(engine, sql) == expected

    with_engine(tmp_path, work)


async def rows(engine: Engine, sql: str) -> list[tuple[object, ...]]:
    result = await engine.run(sql)
    return [tuple(row.values()) async for batch in result.batches for row in batch.to_pylist()]


@pytest.mark.parametrize(
    ("sql", "found", "read"),
    [
        (f"SELECT id FROM sys_invocation WHERE id = '{text(HOLDER)}'", 1, 1),
        (f"SELECT id FROM sys_invocation WHERE id IN ('{text(PLAIN)}', '{text(ENDED)}', 'inv_1x', '')", 2, 2),
        (f"SELECT id FROM sys_invocation_status WHERE id = '{text(ENDED)}'", 1, 1),
        ("SELECT id FROM sys_invocation_status WHERE target_service_key = 'a'", 2, 2),
        (f"SELECT id FROM sys_invocation_status WHERE partition_key = {KEY_A} AND status = 'inboxed'", 1, 2),
        ("SELECT id FROM sys_invocation_status WHERE status = 'completed'", 1, 1),
        ("SELECT id FROM sys_invocation WHERE status != 'completed'", 3, 3),
        (f"SELECT id FROM sys_invocation_status WHERE partition_key = {0xFFFF_FFFF_FFFF_FF00}", 1, 1),
        (f"SELECT id FROM sys_journal WHERE id = '{text(PLAIN)}'", 1, 1),
        (f"SELECT id FROM sys_journal WHERE partition_key = {KEY_A}", 5, 5),
        ("SELECT id FROM sys_inbox WHERE service_name = 'Counter' AND service_key = 'a'", 1, 1),
        ("SELECT id FROM sys_inbox WHERE service_name = 'Counter' AND service_key = 'b'", 0, 0),
        ("SELECT key FROM state WHERE service_name = 'Flow'", 1, 1),
        ("SELECT key FROM state WHERE service_name = 'Flow' AND service_key = 'a'", 0, 0),
        ("SELECT key FROM state WHERE service_name IN ('Flow', 'Counter') AND service_key IN ('a', 'b')", 3, 3),
        ("SELECT key FROM sys_promise WHERE service_name = 'Flow' AND service_key = 'b' AND key = 'open'", 1, 3),
        (f"SELECT service_key FROM sys_keyed_service_status WHERE invocation_id = '{text(HOLDER)}'", 1, 1),
        (f"SELECT idempotency_key FROM sys_idempotency WHERE invocation_id = '{text(HOLDER)}'", 1, 1),
        ("SELECT idempotency_key FROM sys_idempotency WHERE service_key = 'b'", 0, 1),
    ],
)
def test_no_more_is_read_than_the_conditions_leave(
    sql: str, found: int, read: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []
    for name in ("scan", "scan_rows"):
        whole = getattr(Snapshot, name)

        def counted(self: Snapshot, begin: bytes, end: bytes, whole: Any = whole) -> Any:
            for pair in whole(self, begin, end):
                seen.append(pair[0])
                yield pair

        monkeypatch.setattr(Snapshot, name, counted)

    async def work(engine: Engine) -> None:
        assert len(await rows(engine, sql)) == found
        assert len(set(seen)) == read

    with_engine(tmp_path, work)


def test_invokers_are_asked_only_for_what_they_know(tmp_path: Path) -> None:
    asked: list[int] = []

    async def work(engine: Engine) -> None:
        ask = engine._ask_live  # pyright: ignore[reportPrivateUsage]

        async def counted() -> LiveById:
            asked.append(1)
            return await ask()

        engine._ask_live = counted  # pyright: ignore[reportPrivateUsage]
        for statement in ("id FROM sys_invocation", "count(*) FROM sys_invocation", "status FROM sys_invocation_status", "1"):
            await rows(engine, f"SELECT {statement}")
        assert asked == []
        for number, statement in enumerate(("status FROM sys_invocation", "in_flight FROM sys_invocation_state"), 1):
            await rows(engine, f"SELECT {statement}")
            assert len(asked) == number

    with_engine(tmp_path, work)


def test_a_statement_that_reads_too_much_is_refused(tmp_path: Path) -> None:
    async def work(engine: Engine) -> None:
        with pytest.raises(QueryError, match="reads more than 100000 bytes of sys_journal") as caught:
            await rows(engine, "SELECT raw FROM sys_journal")
        assert caught.value.sqlstate == "54000"
        assert await rows(engine, "SELECT count(raw_length) FROM sys_journal") == [(6,)]

    with_engine(tmp_path, work, memory_bytes_max=100_000)
