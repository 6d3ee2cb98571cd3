"""Connections to the store's file, and the statements that run on them.

Source: architecture, The store.
"""

import os
from collections.abc import Iterator, Sequence
from typing import Any, Final, Protocol, Self, TypeVar, cast

import apsw

from perdure.base.errors import DiskFull, StoreError
from perdure.base.limits import MIB

R = TypeVar("R")

BEGIN_READ: Final = "begin"
BEGIN_WRITE: Final = "begin immediate"
COMMIT: Final = "commit"
ROLLBACK: Final = "rollback"
GET: Final = "select value from kv where key = ?"
RANGE: Final = "select key, value from kv where key >= ? and key < ? order by key limit ?"
RANGE_REVERSE: Final = "select key, value from kv where key >= ? and key < ? order by key desc limit ?"
NEXT_STAMP: Final = "update stamp set last = last + 1 returning last"

LOG_BYTES: Final = 20 * MIB
"""About what the write-ahead log grows to with one writing process before it begins anew."""

_SPACE_BYTES_MIN: Final = MIB
"""With less left on the disk, a failure of writing or mapping is one of space, whatever the system calls it."""

_BATCH_ROWS_MAX: Final = 256
_BUSY_MS: Final = 10_000
"""Only for strangers (a shell, a backup): our own writers queue at `WriteLock` before they get here."""

_PRAGMAS: Final = "pragma synchronous = full; pragma wal_autocheckpoint = 0; pragma temp_store = memory"

# No `not null` at `value`: a constraint that can fail makes SQLite keep a statement journal, 8.7 us -> 2.9 us per row written.
_TABLES: Final = """
create table if not exists kv (key blob primary key, value blob) without rowid;
create table if not exists stamp (id integer primary key check (id = 0), last integer not null);
insert or ignore into stamp values (0, 0);
"""


class Cursor(Protocol):
    """What we use of `apsw.Cursor`, whose own annotations name a type that Python 3.11 lacks."""

    def execute(self, statements: str, bindings: Sequence[bytes | int] | None = None) -> Self: ...

    # Any: the statement decides what a row holds.
    def fetchone(self) -> tuple[Any, ...] | None: ...

    def __iter__(self) -> Iterator[tuple[Any, ...]]: ...

    def fetchall(self) -> list[tuple[Any, ...]]: ...


def cursor_of(connection: apsw.Connection) -> Cursor:
    """Return a new cursor of `connection`."""
    return cast("Cursor", connection.cursor())


def open_connection(path: str, *, cache_kib: int) -> apsw.Connection:
    """Open one more connection to a file that `create_tables` has seen."""
    connection = apsw.Connection(path)
    connection.set_busy_timeout(_BUSY_MS)
    cursor_of(connection).execute(f"{_PRAGMAS}; pragma cache_size = -{cache_kib}")
    return connection


def failure_of(path: str, error: Exception) -> StoreError:
    """Return what to raise for an error of SQLite or of the system about the file at `path`."""
    if _is_disk_full(path):
        return DiskFull(f"{path}: no space left on the disk ({error})")
    return StoreError(f"{path}: {error}")


def _is_disk_full(path: str) -> bool:
    try:
        disk = os.statvfs(os.path.dirname(path) or ".")
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < _SPACE_BYTES_MIN


def create_tables(path: str) -> None:
    """Make the file a write-ahead-logged store, if it is not one yet. The caller holds the write lock."""
    connection = apsw.Connection(path)
    connection.set_busy_timeout(_BUSY_MS)
    cursor = cursor_of(connection)
    if cursor.execute("pragma journal_mode = wal").fetchall() != [("wal",)]:
        raise StoreError(f"{path}: this file system does not allow write-ahead logging; choose a local directory")
    cursor.execute(BEGIN_WRITE)
    cursor.execute(_TABLES)
    cursor.execute(COMMIT)
    connection.close()


def grow_log(path: str) -> None:
    """Give the write-ahead log its later size at once, while somebody has the store open. The caller holds the write lock.

    SQLite takes zeros behind the log's end for what they are, and overwrites them; syncing a file that does not grow spares the
    file system's own journal: 0.26 -> 0.20 ms per commit of 10 rows on a fast disk.
    """
    file = os.open(f"{path}-wal", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        size_bytes = os.fstat(file).st_size
        if size_bytes < LOG_BYTES:
            os.pwrite(file, bytes(LOG_BYTES - size_bytes), size_bytes)
            os.fsync(file)
    finally:
        os.close(file)


def _upsert(rows: int) -> str:
    # `or rollback` and `on conflict` together spare the statement journal that `or replace` keeps: 9.7 us -> 3.4 us per row.
    places = ",".join(["(?,?)"] * rows)
    return f"insert or rollback into kv values {places} on conflict (key) do update set value = excluded.value"  # noqa: S608


def _delete(rows: int) -> str:
    places = ",".join("?" * rows)
    return f"delete from kv where key in ({places})"  # noqa: S608


def _delete_ranges(ranges: int) -> str:
    places = ",".join(["(?,?)"] * ranges)
    found = "select kv.key from span cross join kv where kv.key >= span.first and kv.key < span.past"
    return f"with span (first, past) as (values {places}) delete from kv where key in ({found})"  # noqa: S608


_SIZES: Final = tuple(1 << power for power in range(_BATCH_ROWS_MAX.bit_length() - 1, -1, -1))
_UPSERTS: Final = {size: _upsert(size) for size in _SIZES}
_DELETES: Final = {size: _delete(size) for size in _SIZES}
_RANGE_DELETES: Final = {size: _delete_ranges(size) for size in _SIZES}


def write_pairs(cursor: Cursor, pairs: Sequence[tuple[bytes, bytes]]) -> None:
    """Insert or overwrite rows (key, value).

    Many rows per statement, because SQLite gives up the interpreter lock at each, and gets it back late when the event
    loop is busy: 100 rows beside a busy thread take 460 ms with one statement per row, 20 ms so.
    """
    for statement, batch in _batches(_UPSERTS, pairs):
        cursor.execute(statement, [part for pair in batch for part in pair])


def delete_keys(cursor: Cursor, keys: Sequence[bytes]) -> None:
    """Delete rows; absent ones do not matter."""
    for statement, batch in _batches(_DELETES, keys):
        cursor.execute(statement, batch)


def delete_ranges(cursor: Cursor, ranges: Sequence[tuple[bytes, bytes]]) -> None:
    """Delete all rows with begin <= key < end, for each pair (begin, end)."""
    for statement, batch in _batches(_RANGE_DELETES, ranges):
        cursor.execute(statement, [part for span in batch for part in span])


def _batches(statements: dict[int, str], rows: Sequence[R]) -> Iterator[tuple[str, Sequence[R]]]:
    """Cut rows into few batches for which a statement exists."""
    start = 0
    for size, statement in statements.items():
        while len(rows) - start >= size:
            yield statement, rows[start : start + size]
            start += size
