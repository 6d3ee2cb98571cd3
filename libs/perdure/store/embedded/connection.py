"""Connections to the store's file, and the statements that run on them.

Source: architecture, The store.
"""

from collections.abc import Sequence
from typing import Any, Final, Protocol, Self, cast

import apsw

from perdure.base.errors import StoreError

BEGIN_READ: Final = "begin"
BEGIN_WRITE: Final = "begin immediate"
COMMIT: Final = "commit"
ROLLBACK: Final = "rollback"
GET: Final = "select value from kv where key = ?"
RANGE: Final = "select key, value from kv where key >= ? and key < ? order by key limit ?"
RANGE_REVERSE: Final = "select key, value from kv where key >= ? and key < ? order by key desc limit ?"
CLEAR_RANGE: Final = "delete from kv where key >= ? and key < ?"
NEXT_STAMP: Final = "update stamp set last = last + 1 returning last"

_BATCH_ROWS_MAX: Final = 256
_BUSY_MS: Final = 10_000
"""Only for strangers (a shell, a backup): our own writers queue at `WriteLock` before they get here."""

_PRAGMAS: Final = "pragma synchronous = full; pragma wal_autocheckpoint = 0; pragma temp_store = memory"

_TABLES: Final = """
create table if not exists kv (key blob primary key, value blob not null) without rowid;
create table if not exists stamp (id integer primary key check (id = 0), last integer not null);
insert or ignore into stamp values (0, 0);
"""


class Cursor(Protocol):
    """What we use of `apsw.Cursor`, whose own annotations name a type that Python 3.11 lacks."""

    def execute(self, statements: str, bindings: Sequence[bytes | int] | None = None) -> Self: ...

    # Any: the statement decides what a row holds.
    def fetchone(self) -> tuple[Any, ...] | None: ...

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


def _upsert(rows: int) -> str:
    # `or rollback` and `on conflict` together spare the statement journal that `or replace` keeps: 9.7 us -> 3.4 us per row.
    places = ",".join(["(?,?)"] * rows)
    return f"insert or rollback into kv values {places} on conflict (key) do update set value = excluded.value"  # noqa: S608


def _delete(rows: int) -> str:
    places = ",".join("?" * rows)
    return f"delete from kv where key in ({places})"  # noqa: S608


_SIZES: Final = tuple(1 << power for power in range(_BATCH_ROWS_MAX.bit_length() - 1, -1, -1))
_UPSERTS: Final = {size: _upsert(size) for size in _SIZES}
_DELETES: Final = {size: _delete(size) for size in _SIZES}


def write_rows(cursor: Cursor, rows: Sequence[tuple[bytes, bytes]]) -> None:
    """Insert or overwrite rows.

    Many rows per statement, because SQLite gives up the interpreter lock at each, and gets it back late when the event
    loop is busy: 100 rows beside a busy thread take 460 ms with one statement per row, 20 ms so.
    """
    start = 0
    for size in _SIZES:
        while len(rows) - start >= size:
            cursor.execute(_UPSERTS[size], [part for row in rows[start : start + size] for part in row])
            start += size


def delete_rows(cursor: Cursor, keys: Sequence[bytes]) -> None:
    """Delete rows; absent ones do not matter."""
    start = 0
    for size in _SIZES:
        while len(keys) - start >= size:
            cursor.execute(_DELETES[size], keys[start : start + size])
            start += size
