"""Arrow results as PostgreSQL columns and Python values. Source: shared/spec/sql.md, section 7.1.

The Arrow library tells no types to a type checker: hence Any for schemas and batches.
"""

import importlib
from collections.abc import Iterator
from typing import Any, Final

from perdure.codec.pgwire.backend import Column
from perdure.codec.pgwire.values import Oid
from perdure.query.wire import REPEATED

_OIDS: Final = {
    "bool": Oid.BOOL,
    "int8": Oid.INT2,
    "int16": Oid.INT2,
    "int32": Oid.INT4,
    "int64": Oid.INT8,
    "uint8": Oid.INT2,
    "uint16": Oid.INT4,
    "uint32": Oid.INT8,
    "uint64": Oid.NUMERIC,
    "halffloat": Oid.FLOAT4,
    "float": Oid.FLOAT4,
    "double": Oid.FLOAT8,
    "binary": Oid.BYTEA,
    "large_binary": Oid.BYTEA,
    "binary_view": Oid.BYTEA,
    "date32[day]": Oid.DATE,
    "date64[ms]": Oid.VARCHAR,
}
_LISTS_OF_INTEGERS: Final = ("list<item: int", "list<item: uint", "large_list<item: int", "large_list<item: uint")
_LISTS: Final = ("list<", "large_list<")


def _oid(arrow_type: str) -> Oid:
    if arrow_type in _OIDS:
        return _OIDS[arrow_type]
    if arrow_type.startswith("timestamp["):
        return Oid.TIMESTAMPTZ if "tz=" in arrow_type else Oid.TIMESTAMP
    if arrow_type.startswith("duration["):
        return Oid.INTERVAL
    if arrow_type.startswith("decimal"):
        return Oid.NUMERIC
    if arrow_type.startswith(_LISTS_OF_INTEGERS):
        return Oid.INT8_ARRAY
    return Oid.TEXT_ARRAY if arrow_type.startswith(_LISTS) else Oid.TEXT


def columns_of(schema: Any) -> list[Column]:
    """Return the columns of a result; what PostgreSQL has no type for is text."""
    return [Column(field.name.partition(REPEATED)[0], Oid.CHAR if _is_char(field) else _oid(str(field.type))) for field in schema]


def _is_char(field: Any) -> bool:
    """Whether a text column is PostgreSQL's type "char", which the tables of the catalogue tell."""
    return str(field.type) == "string" and field.metadata is not None and field.metadata.get(b"oid") == b"18"


def rows_of(batch: Any) -> Iterator[tuple[object, ...]]:
    """Yield the rows of a batch as Python values."""
    if not batch.num_columns:
        return iter([()] * batch.num_rows)
    return zip(*(_values(column) for column in batch.columns), strict=True)


def _values(column: Any) -> list[object]:
    arrow_type = str(column.type)
    if arrow_type.startswith("timestamp[ns"):  # Python's types hold microseconds
        column = column.cast(_arrow().timestamp("us", column.type.tz), safe=False)
    elif arrow_type == "date64[ms]":
        return [None if value is None else f"{value:%Y-%m-%d %H:%M:%S}" for value in column.cast(_arrow().timestamp("ms")).to_pylist()]
    elif arrow_type == "duration[ns]":
        column = column.cast(_arrow().duration("us"), safe=False)
    return column.to_pylist()


def _arrow() -> Any:
    return importlib.import_module("pyarrow")
