"""What `fn` is given: a snapshot to read, or a transaction to read and write."""

import struct
from collections.abc import Sequence
from typing import Final

from perdure.base.limits import VALUE_BYTES_MAX
from perdure.store.embedded.connection import (
    GET,
    NEXT_STAMP,
    RANGE,
    RANGE_REVERSE,
    Cursor,
    delete_keys,
    delete_ranges,
    write_pairs,
)

_COUNTER: Final = struct.Struct("<q")
_WRAP: Final = 1 << 64
_STAMP: Final = struct.Struct(">QH")
_STAMP_LAST: Final = b"\xff" * _STAMP.size


_ROW_BYTES: Final = 512
_GET_BYTES: Final = 2_048
"""A row of a range takes 0.5 us, a `get` four times that, each 100 kB 50 us."""


class OverBudget(BaseException):
    """A transaction on the event loop read more than one may there. Not an `Exception`, lest `fn` swallow it."""


class Snapshot:
    """Reads on a connection within its present transaction.

    Args:
        bytes_max: How much may be read before `OverBudget` is raised, where each row counts for more than its value; 0 is any amount.
    """

    def __init__(self, cursor: Cursor, *, bytes_max: int = 0) -> None:
        self._cursor = cursor
        self._bytes_left = bytes_max
        self._has_budget = bytes_max > 0

    def get(self, key: bytes) -> bytes | None:
        row = self._cursor.execute(GET, (key,)).fetchone()
        value: bytes | None = row[0] if row is not None else None
        if self._has_budget:
            self._spend(_GET_BYTES + len(value or b""))
        return value

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self.get(key) for key in keys]

    def get_range(self, begin: bytes, end: bytes, *, limit: int = 0, reverse: bool = False) -> list[tuple[bytes, bytes]]:
        found = self._cursor.execute(RANGE_REVERSE if reverse else RANGE, (begin, end, limit or -1))
        if not self._has_budget:
            return found.fetchall()
        self._spend(_GET_BYTES)
        rows: list[tuple[bytes, bytes]] = []
        for row in found:
            self._spend(_ROW_BYTES + len(row[1]))
            rows.append(row)
        return rows

    def get_ranges(self, ranges: Sequence[tuple[bytes, bytes]]) -> list[list[tuple[bytes, bytes]]]:
        return [self.get_range(begin, end) for begin, end in ranges]

    def _spend(self, count: int) -> None:
        self._bytes_left -= count
        if self._bytes_left < 0:
            raise OverBudget


class WriteTransaction(Snapshot):
    """Reads and writes on the writer's connection.

    Writes gather in memory and go to SQLite in few statements, at the commit or when a read needs them there.
    """

    def __init__(self, cursor: Cursor, *, bytes_max: int = 0) -> None:
        super().__init__(cursor, bytes_max=bytes_max)
        self._has_written = False
        self._ranges: list[tuple[bytes, bytes]] = []
        """to be cleared before `_pending` is written"""
        self._pending: dict[bytes, bytes | None] = {}
        self._stamped: list[tuple[bytes, bytes, bytes]] = []

    def get(self, key: bytes) -> bytes | None:
        if key in self._pending:
            return self._pending[key]
        if self._ranges:
            self._write()
        return super().get(key)

    def get_range(self, begin: bytes, end: bytes, *, limit: int = 0, reverse: bool = False) -> list[tuple[bytes, bytes]]:
        assert not any(prefix < end and prefix + _STAMP_LAST >= begin for prefix, _, _ in self._stamped), (
            "FoundationDB does not let a transaction read where its own versionstamped keys will be"
        )
        self._write()
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
        self._ranges.append((begin, end))

    def add(self, key: bytes, delta: int) -> None:
        value = self.get(key)
        total = (_COUNTER.unpack(value)[0] if value is not None else 0) + delta
        self._pending[key] = (total % _WRAP).to_bytes(8, "little")

    def set_versionstamped_key(self, prefix: bytes, suffix: bytes, value: bytes) -> None:
        assert len(value) <= VALUE_BYTES_MAX, "longer values are cut into chunks"
        self._stamped.append((prefix, suffix, value))

    @property
    def has_written(self) -> bool:
        """Whether there is anything to commit."""
        return self._has_written or bool(self._pending or self._ranges or self._stamped)

    @property
    def pending_bytes(self) -> int:
        """About how much `finish` has to write."""
        return sum(len(value) + _ROW_BYTES if value else _ROW_BYTES for value in self._pending.values())

    def finish(self) -> None:
        """Hand all writes to SQLite; what remains is its commit. A second time does nothing."""
        if self._stamped:
            stamp = _STAMP.pack(self._cursor.execute(NEXT_STAMP).fetchall()[0][0], 0)
            for prefix, suffix, value in self._stamped:
                self._pending[prefix + stamp + suffix] = value
            self._stamped.clear()
        self._write()

    def _write(self) -> None:
        if self._ranges:
            self._has_written = True
            delete_ranges(self._cursor, self._ranges)
            self._ranges.clear()
        if not self._pending:
            return
        self._has_written = True
        pairs: list[tuple[bytes, bytes]] = []
        gone: list[bytes] = []
        # Key order: neighbours share pages.
        for key in sorted(self._pending):
            value = self._pending[key]
            if value is None:
                gone.append(key)
            else:
                pairs.append((key, value))
        delete_keys(self._cursor, gone)
        write_pairs(self._cursor, pairs)
        self._pending.clear()
