"""Results as bytes: Arrow, or JSON as clients of the admin API know it. Source: shared/spec/sql.md, sections 2 and 6.

The Arrow library tells no types to a type checker: hence Any for its objects.
"""

import datetime
import decimal
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, cast

import msgspec

from perdure.query.batches import pa
from perdure.query.engine import Result
from perdure.query.wire import Form

_EPOCH: Final = datetime.datetime(1970, 1, 1)  # only its text is used, the zone is added to that
_UNITS: Final = {"s": 0, "ms": 3, "us": 6, "ns": 9}
"""unit of time -> decimal digits of a second"""


async def encoded(result: Result, form: Form) -> AsyncIterator[bytes]:
    """Yield the parts of a result. What is wrong with its first batch is raised before there is a part."""
    first = await anext(result.batches, None)
    if form is Form.ARROW:
        yield arrow_bytes(result.schema)
        if first is not None:
            yield arrow_bytes(first)
        async for batch in result.batches:
            yield arrow_bytes(batch)
        return
    rows = b"" if first is None else json_rows(first)
    yield b'{"rows":[' + rows
    async for batch in result.batches:
        more = json_rows(batch)
        yield b"," + more if rows and more else more
        rows = rows or more
    yield b"]}"


def arrow_bytes(message: Any) -> bytes:
    """Return a schema or a batch as a message of an IPC stream."""
    return message.serialize().to_pybytes()


def json_rows(batch: Any) -> bytes:
    """Return the rows of a batch as JSON objects with commas between them; a column that is null is left out of its row."""
    names = batch.schema.names
    columns = [_values(column) for column in batch.columns]
    if not columns:
        return b",".join([b"{}"] * batch.num_rows)
    rows = zip(*columns, strict=True)
    objects = [{name: value for name, value in zip(names, row, strict=True) if value is not None} for row in rows]
    return _encode(objects)[1:-1]


_encode: Final = msgspec.json.Encoder(decimal_format="number", enc_hook=str).encode


def _values(column: Any) -> list[Any]:
    kind = column.type
    types = pa.types
    if types.is_timestamp(kind):
        digits, mark = _UNITS[kind.unit], "Z" if kind.tz else ""
        return _mapped(column.cast(pa.int64()), lambda value: _timestamp_text(value, digits) + mark)
    if kind == pa.date64():
        return _mapped(column.cast(pa.int64()), lambda value: _timestamp_text(value // 1_000 * 1_000, 3))
    if types.is_duration(kind):
        digits = _UNITS[kind.unit]
        return _mapped(column.cast(pa.int64()), lambda value: _duration_text(value, digits))
    if types.is_time(kind):
        digits = _UNITS[kind.unit]
        as_integers = column.cast(pa.int32() if types.is_time32(kind) else pa.int64())
        return _mapped(as_integers, lambda value: _timestamp_text(value, digits)[11:])
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind) or types.is_fixed_size_binary(kind):
        return _mapped(column, bytes.hex)
    if types.is_interval(kind):
        return _mapped(column, lambda value: _interval_text(*value))
    if types.is_list(kind) or types.is_large_list(kind) or types.is_struct(kind):
        return _mapped(column, _plain)
    return column.to_pylist()


def _mapped(column: Any, text_of: Callable[[Any], Any]) -> list[Any]:
    return [None if value is None else text_of(value) for value in column.to_pylist()]


def _plain(value: Any) -> Any:
    """Return a nested value as JSON has it."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return [_plain(item) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in cast("dict[str, Any]", value).items() if item is not None}
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime.datetime) else value


def _timestamp_text(value: int, digits: int) -> str:
    seconds, rest = divmod(value, 10**digits)
    moment = (_EPOCH + datetime.timedelta(seconds=seconds)).isoformat()
    return moment + _fraction(rest, digits)


def _fraction(rest: int, digits: int) -> str:
    """Return the fraction of a second in three, six or nine digits, as few as are needed; none where it is zero."""
    if not rest:
        return ""
    text = str(rest).rjust(digits, "0")
    while text.endswith("000"):
        text = text[:-3]
    return f".{text}"


def _duration_text(value: int, digits: int) -> str:
    if not value:
        return "P0D"
    seconds, rest = divmod(abs(value), 10**digits)
    fraction = _fraction(rest, digits).rstrip("0")
    return f"{'-' if value < 0 else ''}PT{seconds}{fraction}S"


def _interval_text(months: int, days: int, nanoseconds: int) -> str:
    seconds = decimal.Decimal(nanoseconds) / 1_000_000_000
    minutes, rest = divmod(abs(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    sign = "-" if seconds < 0 else ""
    parts = ((months, "mons"), (days, "days"), (int(hours), "hours"), (int(minutes), "mins"))
    words = [f"{sign if name in ('hours', 'mins') else ''}{number} {name}" for number, name in parts if number]
    if rest:
        words.append(f"{sign}{rest.normalize():f} secs")
    return " ".join(words) or "0 secs"
