"""What a table is: names and types of its columns, and how its rows are read from one snapshot of the store.

Source: shared/spec/sql.md, section 2.
"""

import enum
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import msgspec

from perdure.base.ids import InvocationId
from perdure.base.limits import SCAN_ROWS_MAX
from perdure.bus.messages import LiveInvocation
from perdure.store.chunks import get_range_chunked
from perdure.store.interface import ReadTransaction
from perdure.store.keyspace import Keyspace

Row = tuple[object, ...]
LiveById = Mapping[InvocationId, LiveInvocation]


class ColumnType(enum.Enum):
    """Types of columns; a value of None is null in each."""

    TEXT = "text"
    U64 = "u64"
    U32 = "u32"
    BOOL = "bool"
    BYTES = "bytes"
    TIMESTAMP = "ts"
    """Unix milliseconds."""
    DURATION = "dur"
    """Milliseconds."""
    U32_LIST = "u32[]"
    TEXT_LIST = "text[]"


class Snapshot:
    """One consistent view of the store, where things are in it, and what invokers told of live invocations shortly before."""

    def __init__(self, tr: ReadTransaction, keyspace: Keyspace, live: LiveById) -> None:
        self.tr = tr
        self.keyspace = keyspace
        self.live = live

    @property
    def partitions(self) -> int:
        """How many partitions the store has; 0 where nothing was ever written."""
        count = self.tr.get(self.keyspace.partition_count)
        return 0 if count is None else int(count)

    def scan(self, begin: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the pairs of a range with whole values, page by page, so that only one page of raw values is held."""
        while pairs := get_range_chunked(self.tr, begin, end, limit=SCAN_ROWS_MAX):
            yield from pairs
            if len(pairs) < SCAN_ROWS_MAX:
                return
            begin = pairs[-1][0] + _BEHIND_PIECES


_BEHIND_PIECES: Final = b"\xff"
"""The pieces of a chunked value lie between its key and this."""


class Table(msgspec.Struct, frozen=True):
    """A table of the catalogue."""

    name: str
    columns: tuple[tuple[str, ColumnType], ...]
    read: Callable[[Snapshot], Iterator[Row]]
    """Yields rows with one value per column."""
    shows_live: bool = False
    """Whether `Snapshot.live` is wanted."""
