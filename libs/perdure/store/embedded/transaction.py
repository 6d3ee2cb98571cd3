"""What `fn` is given: a snapshot to read, or a transaction to read and write."""

import struct
from typing import Final

from perdure.base.limits import VALUE_BYTES_MAX
from perdure.store.embedded.connection import (
    CLEAR_RANGE,
    GET,
    NEXT_STAMP,
    RANGE,
    RANGE_REVERSE,
    Cursor,
    delete_rows,
    write_rows,
)

_COUNTER: Final = struct.Struct("<q")
_WRAP: Final = 1 << 64
_STAMP: Final = struct.Struct(">QH")


class OverBudget(BaseException):
    """A read on the event loop touched more rows than one may there. Not an `Exception`, lest `fn` swallow it."""


class Snapshot:
    """Reads on a connection within its present transaction."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor

    def get(self, key: bytes) -> bytes | None:
        row = self._cursor.execute(GET, (key,)).fetchone()
        return row[0] if row is not None else None

    def get_range(self, begin: bytes, end: bytes, *, limit: int = 0, reverse: bool = False) -> list[tuple[bytes, bytes]]:
        return self._cursor.execute(RANGE_REVERSE if reverse else RANGE, (begin, end, limit or -1)).fetchall()


class BudgetedSnapshot(Snapshot):
    """Reads at most a number of rows, then raises `OverBudget`."""

    def __init__(self, cursor: Cursor, rows_max: int) -> None:
        super().__init__(cursor)
        self._left = rows_max

    def get(self, key: bytes) -> bytes | None:
        self._left -= 1
        if self._left < 0:
            raise OverBudget
        return super().get(key)

    def get_range(self, begin: bytes, end: bytes, *, limit: int = 0, reverse: bool = False) -> list[tuple[bytes, bytes]]:
        if self._left <= 0:
            raise OverBudget
        rows = super().get_range(begin, end, limit=min(limit or self._left + 1, self._left + 1), reverse=reverse)
        self._left -= len(rows) or 1
        if self._left < 0:
            raise OverBudget
        return rows


class WriteTransaction(Snapshot):
    """Reads and writes on the writer's connection; writes gather in memory until a range is read or the commit comes."""

    def __init__(self, cursor: Cursor) -> None:
        super().__init__(cursor)
        self._pending: dict[bytes, bytes | None] = {}
        self._stamped: list[tuple[bytes, bytes, bytes]] = []

    def get(self, key: bytes) -> bytes | None:
        if key in self._pending:
            return self._pending[key]
        return super().get(key)

    def get_range(self, begin: bytes, end: bytes, *, limit: int = 0, reverse: bool = False) -> list[tuple[bytes, bytes]]:
        self._write_pending()
        return super().get_range(begin, end, limit=limit, reverse=reverse)

    def set(self, key: bytes, value: bytes) -> None:
        assert len(value) <= VALUE_BYTES_MAX, "longer values are cut into chunks"
        self._pending[key] = value

    def clear(self, key: bytes) -> None:
        self._pending[key] = None

    def clear_range(self, begin: bytes, end: bytes) -> None:
        for key in self._pending:
            if begin <= key < end:
                self._pending[key] = None
        self._cursor.execute(CLEAR_RANGE, (begin, end))

    def add(self, key: bytes, delta: int) -> None:
        value = self.get(key)
        total = (_COUNTER.unpack(value)[0] if value is not None else 0) + delta
        self._pending[key] = (total % _WRAP).to_bytes(8, "little")

    def set_versionstamped_key(self, prefix: bytes, suffix: bytes, value: bytes) -> None:
        assert len(value) <= VALUE_BYTES_MAX, "longer values are cut into chunks"
        self._stamped.append((prefix, suffix, value))

    def finish(self) -> None:
        """Hand all writes to SQLite; what remains is its commit."""
        if self._stamped:
            stamp = _STAMP.pack(self._cursor.execute(NEXT_STAMP).fetchall()[0][0], 0)
            for prefix, suffix, value in self._stamped:
                self._pending[prefix + stamp + suffix] = value
        self._write_pending()

    def _write_pending(self) -> None:
        if not self._pending:
            return
        rows: list[tuple[bytes, bytes]] = []
        gone: list[bytes] = []
        # Key order: neighbours share pages.
        for key in sorted(self._pending):
            value = self._pending[key]
            if value is None:
                gone.append(key)
            else:
                rows.append((key, value))
        delete_rows(self._cursor, gone)
        write_rows(self._cursor, rows)
        self._pending.clear()
