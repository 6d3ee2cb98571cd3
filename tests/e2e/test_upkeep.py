"""`perdure check`, `backup` and `restore` on stores with real work in them."""

import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from perdure.store.keyspace import Keyspace, range_of
from tests.e2e.endpoint import Endpoint
from tests.e2e.processes import REPOSITORY
from tests.e2e.suite import Suite
from tests.kill.load import CounterLoad

PROGRAM = REPOSITORY / ".venv/bin/perdure"
PARTITIONS = [Keyspace().partition(number) for number in range(24)]


def perdure(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, check=False, timeout=60)


class Damaged:
    """A copy of a store, to be damaged row by row."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)

    def rows(self, kind: str) -> list[tuple[bytes, bytes]]:
        """All rows of a kind of key, of all partitions."""
        found = [row for keys in PARTITIONS for row in self.rows_at(getattr(keys, kind))]
        assert found, f"the store has no {kind}"
        return found

    def rows_at(self, prefix: bytes) -> list[tuple[bytes, bytes]]:
        """All rows under a prefix."""
        return self._db.execute("select key, value from kv where key >= ? and key < ?", range_of(prefix)).fetchall()

    def drop(self, key: bytes) -> None:
        self._db.execute("delete from kv where key = ?", (key,))

    def put(self, key: bytes, value: bytes) -> None:
        self._db.execute("insert or replace into kv values (?, ?)", (key, value))

    def close(self) -> None:
        self._db.close()


def lock_of_nobody(store: Damaged) -> None:
    store.put(PARTITIONS[3].lock("Counter", "nobody"), bytes(24))


def lost_lock(store: Damaged) -> None:
    store.drop(store.rows("locks")[0][0])


def lost_inbox(store: Damaged) -> None:
    store.drop(store.rows("inboxes")[0][0])


def lost_timers(store: Damaged) -> None:
    for key, _ in store.rows("timers"):
        store.drop(key)


def wrong_counter(store: Damaged) -> None:
    key, _ = store.rows("counts")[0]
    store.put(key, (12_345).to_bytes(8, "little"))


def lost_entry(store: Damaged) -> None:
    store.drop(store.rows("journals")[0][0])


def lost_records(store: Damaged) -> None:
    store.drop(store.rows("live")[0][0])


def torn_record(store: Damaged) -> None:
    key, value = store.rows("live")[0]
    store.put(key, value[: len(value) // 2])


def torn_value(store: Damaged) -> None:
    key, value = store.rows("states")[0]
    store.put(key, b"\x01\x00\x00\x00\x05" + value[1:])


def strange_key(store: Damaged) -> None:
    store.put(PARTITIONS[0].prefix + b"\x02stranger\x00", b"1")


def lost_deployment(store: Damaged) -> None:
    for key, _ in store.rows_at(Keyspace().deployments):
        store.drop(key)


DAMAGES: dict[Callable[[Damaged], None], str] = {
    lock_of_nobody: "lock_wrong",
    lost_lock: "lock_missing",
    lost_inbox: "inbox_wrong",
    lost_timers: "timer_missing",
    wrong_counter: "count_wrong",
    lost_entry: "journal_gap",
    lost_records: "journal_orphan",
    torn_record: "unreadable",
    torn_value: "pieces_missing",
    strange_key: "unknown_key",
    lost_deployment: "registry_broken",
}


@pytest.fixture(scope="module")
def worked(endpoint: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Suite, Path]]:
    """A server in use, and a copy of its store that was taken under load: objects are held and waited for, one handler sleeps."""
    suite = Suite(tmp_path_factory.mktemp("upkeep") / "data", peer="")
    copy = suite.base_dir.parent / "copy.db"
    try:
        suite.start()
        suite.register(endpoint.url)
        suite.send("/Sleeper/nap", {"tag": "upkeep", "ms": 600_000})
        suite.send("/Journal/held/hold_lock", "upkeep-lock")
        for item in range(3):
            suite.send("/Journal/held/append", item)
        suite.send("/Counter/later/add?delay=600s", 1)
        endpoint.wait_for_effect("upkeep-attempts", "asleep")
        with CounterLoad(suite, "upkeep", seed=1) as load:
            load.wait_for_more(200)
            assert (found := perdure("backup", copy, "--base-dir", suite.base_dir)).returncode == 0, found.stderr
            suite.check()
            load.wait_for_more(50)
        load.check()
        yield suite, copy
    finally:
        suite.close()


def test_a_copy_taken_under_load_is_sound(worked: tuple[Suite, Path], tmp_path: Path) -> None:
    _, copy = worked
    restored = perdure("restore", copy, "--base-dir", tmp_path)
    assert restored.returncode == 0, restored.stderr
    checked = perdure("check", "--base-dir", tmp_path)
    assert (checked.returncode, checked.stdout) == (0, "the store is sound\n"), checked.stdout


@pytest.mark.parametrize("plant", DAMAGES, ids=lambda plant: plant.__name__)
def test_damage_in_a_copy_is_found_and_named(worked: tuple[Suite, Path], tmp_path: Path, plant: Callable[[Damaged], None]) -> None:
    _, copy = worked
    shutil.copy(copy, tmp_path / "perdure.db")
    store = Damaged(tmp_path / "perdure.db")
    plant(store)
    store.close()
    checked = perdure("check", "--base-dir", tmp_path)
    assert checked.returncode == 1
    assert DAMAGES[plant] in checked.stdout


def test_a_restored_server_goes_on_where_the_copy_was_taken(worked: tuple[Suite, Path], tmp_path: Path) -> None:
    _, copy = worked
    assert perdure("restore", copy, "--base-dir", tmp_path / "data").returncode == 0
    suite = Suite(tmp_path / "data", peer="")
    try:
        suite.start()
        assert suite.result("/Counter/fresh/add", 5) == 5
        suite.check()
    finally:
        suite.close()


def test_nothing_is_overwritten_and_nothing_is_made_up(worked: tuple[Suite, Path], tmp_path: Path) -> None:
    suite, copy = worked
    for arguments, reason in (
        (("backup", copy, "--base-dir", suite.base_dir), "it exists"),
        (("backup", tmp_path / "new.db", "--base-dir", tmp_path), "there is no embedded store"),
        (("restore", copy, "--base-dir", suite.base_dir), "it exists"),
        (("restore", tmp_path / "absent.db", "--base-dir", tmp_path), "there is no such file"),
        (("check", "--base-dir", tmp_path), "there is no embedded store"),
    ):
        refused = perdure(*arguments)
        assert refused.returncode == 2, arguments
        assert reason in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_database_of_others_is_not_restored(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("create table t (x)")
    other.close()
    refused = perdure("restore", tmp_path / "other.db", "--base-dir", tmp_path / "data")
    assert refused.returncode == 2
    assert "not a store of Perdure" in refused.stderr
    assert not (tmp_path / "data" / "perdure.db").exists()
