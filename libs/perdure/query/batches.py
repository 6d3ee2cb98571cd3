"""Items of a table as Arrow batches. The library tells no types to a type checker: hence Any for its objects."""

import importlib
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from perdure.base.limits import SCAN_ROWS_MAX
from perdure.query.errors import LIMIT_EXCEEDED, QueryError
from perdure.query.table import Column, ColumnType, Table
from perdure.query.wanted import EVERYTHING, Wanted

pa: Final[Any] = importlib.import_module("pyarrow")

_TYPES: Final[dict[ColumnType, Any]] = {
    ColumnType.TEXT: pa.large_string(),
    ColumnType.U64: pa.uint64(),
    ColumnType.U32: pa.uint32(),
    ColumnType.BOOL: pa.bool_(),
    ColumnType.BYTES: pa.large_binary(),
    ColumnType.TIMESTAMP: pa.timestamp("ms", "+00:00"),
    ColumnType.MOMENT: pa.date64(),
    ColumnType.DURATION: pa.duration("ms"),
    ColumnType.U32_LIST: pa.list_(pa.uint32()),
    ColumnType.TEXT_LIST: pa.list_(pa.large_string()),
}


def schema_of(table: Table[Any]) -> Any:
    """Return the Arrow schema of a table."""
    return pa.schema([(column.name, _TYPES[column.type]) for column in table.columns])


def batches_of(table: Table[Any], items: Iterator[Any], wanted: Wanted = EVERYTHING, *, bytes_max: int = 0) -> list[Any]:
    """Return items as Arrow batches, at least one; a column that is not wanted is null.

    Raises:
        QueryError: They take more than `bytes_max` (0: any number is fine).
    """
    return list(pages_of(table, items, wanted, bytes_max=bytes_max)) or [empty_of(table)]


def empty_of(table: Table[Any]) -> Any:
    """Return a batch without rows."""
    return pa.RecordBatch.from_pylist([], schema=schema_of(table))


def pages_of(table: Table[Any], items: Iterator[Any], wanted: Wanted, *, bytes_max: int = 0) -> Iterator[Any]:
    """Yield items as Arrow batches, one for each page of a scan.

    Raises:
        QueryError: As `batches_of`.
    """
    schema = schema_of(table)
    size_bytes = 0
    items = islice(items, wanted.limit)
    while page := list(islice(items, SCAN_ROWS_MAX)):
        arrays = [_array(column, page) if wanted.shows(column.name) else _nulls(column, len(page)) for column in table.columns]
        size_bytes += sum(array.nbytes for column, array in zip(table.columns, arrays, strict=True) if wanted.shows(column.name))
        if bytes_max and size_bytes > bytes_max:
            text = f"the statement reads more than {bytes_max} bytes of {table.name}: name the columns that it needs, or add conditions"
            raise QueryError(LIMIT_EXCEEDED, text)
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _array(column: Column[Any], page: list[Any]) -> Any:
    of = column.of
    if column.type is ColumnType.MOMENT:
        return pa.array([of(item) for item in page], type=pa.int64()).cast(pa.date64(), safe=False)
    return pa.array([of(item) for item in page], type=_TYPES[column.type])


_null_arrays: dict[tuple[ColumnType, int], Any] = {}


def _nulls(column: Column[Any], count: int) -> Any:
    if count != SCAN_ROWS_MAX:
        return pa.nulls(count, _TYPES[column.type])
    array = _null_arrays.get((column.type, count))
    if array is None:
        array = _null_arrays[column.type, count] = pa.nulls(count, _TYPES[column.type])
    return array
