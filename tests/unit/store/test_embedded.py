"""What only the embedded store has: a log, a lock between processes, reads on the event loop."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from perdure.base.errors import DiskFull, StoreError
from perdure.store.embedded import checkpoints, connection
from perdure.store.embedded.lock import WriteLock
from perdure.store.embedded.store import EmbeddedStore, open_embedded
from perdure.store.interface import ReadTransaction, Transaction
from perdure.store.opening import open_store


def a_row(number: int) -> Callable[[Transaction], None]:
    return lambda tr: tr.set(b"%08d" % number, b"v" * 1_000)


def times_begun(log: Path) -> int:
    """Return how often the log was begun anew: its header counts checkpoints, bytes 12 to 16. Source: SQLite's file format, section 4.1."""
    with log.open("rb") as file:
        return int.from_bytes(file.read(16)[12:], "big")


def test_the_log_begins_anew_again_and_again_under_a_steady_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "_LOG_PAGES", 20)
    monkeypatch.setattr(connection, "LOG_BYTES", 0)
    path = str(tmp_path / "perdure.db")

    async def main() -> None:
        store = open_embedded(path)
        number, seen = 0, set[int]()
        while len(seen) < 4:
            await store.transact(a_row(number))
            number += 1
            seen.add(times_begun(Path(f"{path}-wal")))
            assert number < 20_000, "the log grows and grows"
        await store.close()

    asyncio.run(main())


def test_the_log_begins_anew_also_after_a_checkpoint_that_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "_LOG_PAGES", 20)
    path = str(tmp_path / "perdure.db")
    checkpoint = checkpoints.Checkpointer._checkpoint
    failures = iter([apsw.FullError("database or disk is full"), apsw.IOError("disk I/O error")])

    def fails_first(checkpointer: checkpoints.Checkpointer) -> None:
        if (failure := next(failures, None)) is not None:
            raise failure
        checkpoint(checkpointer)

    monkeypatch.setattr(checkpoints.Checkpointer, "_checkpoint", fails_first)

    async def main() -> None:
        store = open_embedded(path)
        number, first = 0, times_begun(Path(f"{path}-wal"))
        while times_begun(Path(f"{path}-wal")) == first:
            await store.transact(a_row(number))
            number += 1
            assert number < 20_000, "the log grows and grows"
        await store.close()

    asyncio.run(main())


def test_a_full_disk_is_told_from_other_failures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "perdure.db")
    error = apsw.IOError("disk I/O error")
    assert str(connection.failure_of(path, error)) == f"{path}: disk I/O error"
    monkeypatch.setattr(connection, "_SPACE_BYTES_MIN", 1 << 80)
    failure = connection.failure_of(path, error)
    assert isinstance(failure, DiskFull)
    assert str(failure) == f"{path}: no space left on the disk (disk I/O error)"


def test_the_log_has_its_size_from_the_start_and_is_read_back_all_the_same(tmp_path: Path) -> None:
    path = str(tmp_path / "perdure.db")

    async def write() -> int:
        store = open_embedded(path)
        await store.transact(a_row(1))
        return Path(f"{path}-wal").stat().st_size  # left open, as by a process that dies

    async def read() -> bytes | None:
        store = open_embedded(path)
        value = await store.read(lambda tr: tr.get(b"%08d" % 1))
        await store.close()
        return value

    assert asyncio.run(write()) == connection.LOG_BYTES
    assert asyncio.run(read()) == b"v" * 1_000


def test_every_commit_is_synced_to_disk(tmp_path: Path) -> None:
    from perdure.store.embedded.connection import cursor_of, open_connection

    async def main() -> None:
        store = open_embedded(str(tmp_path / "perdure.db"))
        cursor = cursor_of(open_connection(str(tmp_path / "perdure.db"), cache_kib=64))
        assert cursor.execute("pragma synchronous").fetchall() == [(2,)]
        assert cursor.execute("pragma journal_mode").fetchall() == [("wal",)]
        await store.close()

    asyncio.run(main())


def test_short_reads_run_on_the_event_loop_and_long_ones_do_not(tmp_path: Path) -> None:
    threads: list[str] = []

    def read(count: int) -> Callable[[ReadTransaction], int]:
        def fn(tr: ReadTransaction) -> int:
            threads.append(threading.current_thread().name)
            return len(tr.get_range(b"", b"\xff", limit=count))

        return fn

    async def main() -> None:
        store = open_embedded(str(tmp_path / "perdure.db"))
        await store.transact(lambda tr: [a_row(number)(tr) for number in range(2_000)])
        assert await store.read(read(20)) == 20
        assert threads == ["MainThread"]
        assert await store.read(read(2_000)) == 2_000
        assert threads[1] == "MainThread"
        assert threads[2].startswith("store-reader")
        await store.close()

    asyncio.run(main())


def test_short_transactions_run_on_the_event_loop_and_long_ones_do_not(tmp_path: Path) -> None:
    threads: list[str] = []

    def count(tr: Transaction) -> int:
        threads.append(threading.current_thread().name)
        rows = len(tr.get_range(b"", b"\xff"))
        tr.set(b"count", b"%d" % rows)
        return rows

    async def main() -> None:
        store = open_embedded(str(tmp_path / "perdure.db"))
        assert await store.transact(count) == 0
        assert threads == ["MainThread"]
        await store.transact(lambda tr: [a_row(number)(tr) for number in range(2_000)])
        outcomes = await asyncio.gather(store.transact(count), store.transact(count))
        assert outcomes == [2_001, 2_001]
        assert threads == ["MainThread"] + 2 * ["MainThread", "store-writer"]
        assert await store.read(lambda tr: tr.get(b"count")) == b"2001"
        await store.close()

    asyncio.run(main())


def test_a_long_transaction_that_raises_writes_nothing(tmp_path: Path) -> None:
    def fail(tr: Transaction) -> None:
        tr.set(b"a", b"2")
        assert len(tr.get_range(b"", b"\xff")) == 2_001
        raise LookupError("on purpose")

    async def main() -> None:
        store = open_embedded(str(tmp_path / "perdure.db"))
        await store.transact(lambda tr: [tr.set(b"a", b"1"), *(a_row(number)(tr) for number in range(2_000))])
        with pytest.raises(LookupError, match="on purpose"):
            await store.transact(fail)
        assert await store.read(lambda tr: tr.get(b"a")) == b"1"
        await store.transact(lambda tr: tr.set(b"a", b"3"))
        assert await store.read(lambda tr: tr.get(b"a")) == b"3"
        await store.close()

    asyncio.run(main())


def test_one_who_has_written_waits_for_one_who_waits(tmp_path: Path) -> None:
    path = str(tmp_path / "perdure.db")
    order: list[str] = []
    mine, his = WriteLock(path), WriteLock(path)
    his_turn = threading.Event()

    def write() -> None:
        his_turn.set()
        with his:
            order.append("his")

    with mine:
        other = threading.Thread(target=write)
        other.start()
        his_turn.wait()
        # He holds the turn once nobody else can take it.
        while _can_take(f"{path}-turn"):
            pass
    with mine:
        order.append("mine")
    other.join()
    mine.close()
    his.close()
    assert order == ["his", "mine"]


def test_a_lock_for_which_others_wait_is_not_taken_before_them(tmp_path: Path) -> None:
    import fcntl

    path = str(tmp_path / "perdure.db")
    lock, another = WriteLock(path), WriteLock(path)
    assert lock.try_acquire()
    assert not another.try_acquire()
    lock.release()
    with open(f"{path}-turn", "rb+") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        assert not another.try_acquire()
    assert another.try_acquire()
    lock.close()
    another.close()


def _can_take(path: str) -> bool:
    import fcntl

    with open(path, "rb+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def test_a_disk_that_fails_is_a_store_error_and_the_store_recovers(tmp_path: Path) -> None:
    path = str(tmp_path / "perdure.db")

    def fill(tr: Transaction) -> None:
        for number in range(2_000):
            a_row(number)(tr)

    async def main(store: EmbeddedStore) -> None:
        await store.transact(lambda tr: tr.set(b"a", b"1"))
        _limit_pages(store, 20)
        with pytest.raises(StoreError, match="full"):
            await store.transact(fill)
        assert await store.read(lambda tr: tr.get_range(b"", b"\xff")) == [(b"a", b"1")]
        await store.transact(lambda tr: tr.set(b"a", b"2"))
        assert await store.read(lambda tr: tr.get(b"a")) == b"2"
        await store.close()

    async def opened() -> None:
        await main(open_embedded(path))

    asyncio.run(opened())


def _limit_pages(store: EmbeddedStore, pages: int) -> None:
    connection: apsw.Connection = store._writer._connection
    connection.pragma("max_page_count", pages)


def test_a_file_that_is_not_a_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "perdure.db"
    path.write_bytes(b"this is no database, and long enough to be seen as one" * 100)
    with pytest.raises(StoreError, match=r"perdure\.db"):
        open_store(path=str(path), fdb_cluster_file=None, root="r")


def test_a_place_must_be_given() -> None:
    with pytest.raises(StoreError, match="no store is configured"):
        open_store(path="", fdb_cluster_file="", root="r")


def test_a_cancelled_caller_disturbs_nobody(tmp_path: Path) -> None:
    async def main() -> None:
        store = open_embedded(str(tmp_path / "perdure.db"))
        tasks = [asyncio.create_task(store.transact(a_row(number))) for number in range(20)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        rows = {key for key, _ in await store.read(lambda tr: tr.get_range(b"", b"\xff"))}
        assert rows >= {b"%08d" % number for number in range(1, 20, 2)}
        await store.close()

    asyncio.run(main())
