"""What a table is: its columns, and how its items are read from one snapshot of the store.

A column computes its value from an item, so that only what a statement wants is computed. Source: shared/spec/sql.md, section 2.
"""

import enum
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Final, Generic, TypeVar

import msgspec

from perdure.base.ids import InvocationId
from perdure.base.limits import SCAN_ROWS_MAX
from perdure.bus.messages import LiveInvocation
from perdure.query.wanted import Wanted
from perdure.registry.schema import Schema, read_schema
from perdure.store.chunks import get_range_chunked
from perdure.store.interface import ReadTransaction
from perdure.store.keyspace import Keyspace

Item = TypeVar("Item")
Pair = tuple[bytes, bytes]
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
    MOMENT = "date64"
    """Unix milliseconds, shown without a fraction or a zone, as tables of the seed era have them."""
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

    @cached_property
    def partitions(self) -> int:
        """How many partitions the store has; 0 where nothing was ever written."""
        count = self.tr.get(self.keyspace.partition_count)
        return 0 if count is None else int(count)

    @cached_property
    def schema(self) -> Schema:
        """What is registered."""
        return read_schema(self.tr, self.keyspace)

    def scan(self, begin: bytes, end: bytes) -> Iterator[Pair]:
        """Yield the pairs of a range with whole values, page by page, so that only one page of raw values is held."""
        while pairs := get_range_chunked(self.tr, begin, end, limit=SCAN_ROWS_MAX):
            yield from pairs
            if len(pairs) < SCAN_ROWS_MAX:
                return
            begin = pairs[-1][0] + _BEHIND_PIECES

    def scan_rows(self, begin: bytes, end: bytes) -> Iterator[Pair]:
        """Yield the pairs of a range of small rows, which are never cut into pieces."""
        while pairs := self.tr.get_range(begin, end, limit=SCAN_ROWS_MAX):
            yield from pairs
            if len(pairs) < SCAN_ROWS_MAX:
                return
            begin = pairs[-1][0] + b"\x00"


_BEHIND_PIECES: Final = b"\xff"
"""The pieces of a chunked value lie between its key and this."""


class Column(msgspec.Struct, Generic[Item], frozen=True):
    """A column: what it is called, and how its value comes out of an item."""

    name: str
    type: ColumnType
    of: Callable[[Item], object]
    is_live: bool = False
    """Whether it shows what invokers tell."""


class Table(msgspec.Struct, Generic[Item], frozen=True):
    """A table of the catalogue."""

    name: str
    columns: tuple[Column[Item], ...]
    scan: Callable[[Snapshot, Wanted], Iterator[Item]]
    """Yields at least the items that are wanted, each once; it may leave out any other."""
    is_live: bool = False
    """Whether there is a row only where an invoker tells something."""

    def wants_live(self, wanted: Wanted) -> bool:
        """Whether a statement wants what only invokers know."""
        return self.is_live or any(column.is_live and wanted.shows(column.name) for column in self.columns)


def nothing(_item: object) -> None:
    """Compute a column that is there because clients name it, and always null."""
