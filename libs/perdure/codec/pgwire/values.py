"""Values on the PostgreSQL wire: Python values to text and binary, parameters back.

Text forms are those of DateStyle ISO and of bytea_output hex. Timestamps are microseconds from 2000-01-01 in binary.
Source: PostgreSQL documentation, chapter "Data Types", and its catalogue pg_type for the oids.
"""

import datetime
import decimal
import enum
import math
import re
import struct
from collections.abc import Callable
from typing import Any, Final, NamedTuple

_POSTGRES_EPOCH: Final = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
_POSTGRES_EPOCH_DATE: Final = datetime.date(2000, 1, 1)
_MICROSECOND: Final = datetime.timedelta(microseconds=1)
_NUMERIC_BASE: Final = 10_000
_NUMERIC_NEGATIVE: Final = 0x4000
_NUMERIC_NAN: Final = 0xC000


class Oid(enum.IntEnum):
    """Types that results have or parameters may have."""

    BOOL = 16
    BYTEA = 17
    CHAR = 18
    INT8 = 20
    INT2 = 21
    INT4 = 23
    TEXT = 25
    FLOAT4 = 700
    FLOAT8 = 701
    INT4_ARRAY = 1007
    TEXT_ARRAY = 1009
    VARCHAR_ARRAY = 1015
    INT8_ARRAY = 1016
    OID_ARRAY = 1028
    VARCHAR = 1043
    DATE = 1082
    TIMESTAMP = 1114
    TIMESTAMPTZ = 1184
    INTERVAL = 1186
    NUMERIC = 1700


class Interval(NamedTuple):
    """A span of time: months vary in length, days do not where no zone changes its clock."""

    months: int
    microseconds: int


class InvalidParameter(ValueError):
    """A parameter does not have the form of its type; SQLSTATE 22P02 or 22P03."""


_SIZES: Final = {
    Oid.BOOL: 1,
    Oid.CHAR: 1,
    Oid.INT2: 2,
    Oid.INT4: 4,
    Oid.INT8: 8,
    Oid.FLOAT4: 4,
    Oid.FLOAT8: 8,
    Oid.DATE: 4,
    Oid.TIMESTAMP: 8,
    Oid.TIMESTAMPTZ: 8,
    Oid.INTERVAL: 16,
}


def size_of(oid: Oid) -> int:
    """Return the size that a row description tells; -1 where it varies."""
    return _SIZES.get(oid, -1)


# Values are what Arrow's `to_pylist` returns for the column's type, so their type follows from the oid: hence Any.
Encoder = Callable[[Any], bytes]


def _utc(value: datetime.datetime) -> datetime.datetime:
    return value.replace(tzinfo=datetime.UTC) if value.tzinfo is None else value.astimezone(datetime.UTC)


def _text_float(value: float) -> bytes:
    if math.isfinite(value):
        return repr(value).removesuffix(".0").encode()
    return b"NaN" if math.isnan(value) else b"Infinity" if value > 0 else b"-Infinity"


def _text_timestamp(value: datetime.datetime) -> bytes:
    return _utc(value).replace(tzinfo=None).isoformat(" ").encode()


def _text_timestamptz(value: datetime.datetime) -> bytes:
    return _text_timestamp(value) + b"+00"


def _text_interval(value: datetime.timedelta) -> bytes:
    microseconds = value // _MICROSECOND
    sign = "-" if microseconds < 0 else ""
    seconds, fraction = divmod(abs(microseconds), 1_000_000)
    text = f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return (f"{text}.{fraction:06}" if fraction else text).encode()


def _text_of_array(element: Encoder) -> Encoder:
    def quoted(value: object) -> bytes:
        if value is None:
            return b"NULL"
        raw = element(value)
        return b'"' + raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'

    return lambda values: b"{" + b",".join(map(quoted, values)) + b"}"


def _str(value: object) -> bytes:
    return str(value).encode()


_TEXT: Final[dict[Oid, Encoder]] = {
    Oid.BOOL: lambda value: b"t" if value else b"f",
    Oid.BYTEA: lambda value: b"\\x" + value.hex().encode(),
    Oid.FLOAT4: _text_float,
    Oid.FLOAT8: _text_float,
    Oid.TEXT_ARRAY: _text_of_array(_str),
    Oid.INT8_ARRAY: _text_of_array(_str),
    Oid.DATE: lambda value: value.isoformat().encode(),
    Oid.TIMESTAMP: _text_timestamp,
    Oid.TIMESTAMPTZ: _text_timestamptz,
    Oid.INTERVAL: _text_interval,
    Oid.NUMERIC: lambda value: f"{value:f}".encode() if isinstance(value, decimal.Decimal) else _str(value),
}


def _binary_timestamp(value: datetime.datetime) -> bytes:
    return struct.pack(">q", (_utc(value) - _POSTGRES_EPOCH) // _MICROSECOND)


def _binary_interval(value: datetime.timedelta) -> bytes:
    return struct.pack(">qii", value // _MICROSECOND, 0, 0)


def _binary_numeric(value: int | decimal.Decimal) -> bytes:
    """Digits of base 10000, the weight of the first, sign, and decimal digits to show."""
    number = decimal.Decimal(value)
    if not number.is_finite():
        return struct.pack(">HhHH", 0, 0, _NUMERIC_NAN, 0)
    whole, _, fraction = f"{abs(number):f}".partition(".")
    scale = len(fraction)
    whole = whole.zfill(-(-len(whole) // 4) * 4)
    fraction = fraction.ljust(-(-scale // 4) * 4, "0")
    digits = [int((whole + fraction)[at : at + 4]) for at in range(0, len(whole) + len(fraction), 4)]
    weight = len(whole) // 4 - 1
    while digits and digits[0] == 0:
        del digits[0]
        weight -= 1
    while digits and digits[-1] == 0:
        del digits[-1]
    sign = _NUMERIC_NEGATIVE if number < 0 else 0
    return struct.pack(f">HhHH{len(digits)}H", len(digits), weight if digits else 0, sign, scale, *digits)


def _binary_of_array(element_oid: Oid, element: Encoder) -> Encoder:
    def encode(values: list[object]) -> bytes:
        has_null = any(value is None for value in values)
        if not values:
            return struct.pack(">iiI", 0, 0, element_oid)
        parts = [struct.pack(">iiIii", 1, has_null, element_oid, len(values), 1)]
        for value in values:
            raw = None if value is None else element(value)
            parts.append(struct.pack(">i", -1) if raw is None else struct.pack(">i", len(raw)) + raw)
        return b"".join(parts)

    return encode


_BINARY: Final[dict[Oid, Encoder]] = {
    Oid.BOOL: lambda value: b"\x01" if value else b"\x00",
    Oid.BYTEA: bytes,
    Oid.INT2: struct.Struct(">h").pack,
    Oid.INT4: struct.Struct(">i").pack,
    Oid.INT8: struct.Struct(">q").pack,
    Oid.FLOAT4: struct.Struct(">f").pack,
    Oid.FLOAT8: struct.Struct(">d").pack,
    Oid.TEXT_ARRAY: _binary_of_array(Oid.TEXT, _str),
    Oid.INT8_ARRAY: _binary_of_array(Oid.INT8, struct.Struct(">q").pack),
    Oid.DATE: lambda value: struct.pack(">i", (value - _POSTGRES_EPOCH_DATE).days),
    Oid.TIMESTAMP: _binary_timestamp,
    Oid.TIMESTAMPTZ: _binary_timestamp,
    Oid.INTERVAL: _binary_interval,
    Oid.NUMERIC: _binary_numeric,
}


def encoder(oid: Oid, format_code: int) -> Encoder:
    """Return the function that encodes values of a type, in text (0) or binary (1)."""
    return (_BINARY if format_code else _TEXT).get(oid, _str)


Scalar = bool | int | float | str | bytes | datetime.datetime | datetime.date | decimal.Decimal | Interval | None
Parameter = Scalar | list[Scalar]


def _bool_of_text(text: str) -> bool:
    word = text.strip().lower()
    if word in {"t", "true", "y", "yes", "on", "1"}:
        return True
    if word in {"f", "false", "n", "no", "off", "0"}:
        return False
    raise ValueError(text)


def _bytes_of_text(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("\\x"))


_DAY: Final = 86_400_000_000
_UNITS: Final = {"year": (12, 0), "mon": (1, 0), "month": (1, 0), "week": (0, 7 * _DAY), "day": (0, _DAY)} | {
    **dict.fromkeys(("hour", "h"), (0, 3_600_000_000)),
    **dict.fromkeys(("minute", "min", "m"), (0, 60_000_000)),
    **dict.fromkeys(("second", "sec", "s"), (0, 1_000_000)),
    **dict.fromkeys(("millisecond", "msec", "ms"), (0, 1_000)),
    **dict.fromkeys(("microsecond", "usec", "us"), (0, 1)),
}
"""unit -> months and microseconds"""
_SPAN: Final = re.compile(
    r"\s*(?:(?P<sign>[-+]?)(?P<h>\d+):(?P<m>\d\d)(?::(?P<s>\d\d(?:\.\d+)?))?|(?P<count>[-+]?\d+(?:\.\d+)?)\s*(?P<unit>[a-z]+)),?"
)


def _interval_of_text(text: str) -> Interval:
    months, microseconds, at = 0, 0, 0
    text = text.lower().strip()
    while at < len(text):
        found = _SPAN.match(text, at)
        if found is None:
            raise ValueError(text)
        at = found.end()
        if found["h"]:
            seconds = int(found["h"]) * 3_600 + int(found["m"]) * 60 + float(found["s"] or 0)
            microseconds += round(seconds * 1_000_000) * (-1 if found["sign"] == "-" else 1)
            continue
        unit = _UNITS.get(found["unit"]) or _UNITS.get(found["unit"].removesuffix("s"))
        if unit is None:
            raise ValueError(text)
        months += round(float(found["count"]) * unit[0])
        microseconds += round(float(found["count"]) * unit[1])
    return Interval(months, microseconds)


_FROM_TEXT: Final[dict[int, Callable[[str], Scalar]]] = {
    Oid.BOOL: _bool_of_text,
    Oid.BYTEA: _bytes_of_text,
    Oid.INT2: int,
    Oid.INT4: int,
    Oid.INT8: int,
    Oid.FLOAT4: float,
    Oid.FLOAT8: float,
    Oid.NUMERIC: decimal.Decimal,
    Oid.DATE: datetime.date.fromisoformat,
    Oid.TIMESTAMP: datetime.datetime.fromisoformat,
    Oid.TIMESTAMPTZ: datetime.datetime.fromisoformat,
    Oid.INTERVAL: _interval_of_text,
}


def _interval_of_binary(raw: bytes) -> Interval:
    microseconds, days, months = struct.unpack(">qii", raw)
    return Interval(months, days * _DAY + microseconds)


def _timestamp_of_binary(raw: bytes) -> datetime.datetime:
    return _POSTGRES_EPOCH + struct.unpack(">q", raw)[0] * _MICROSECOND


def _numeric_of_binary(raw: bytes) -> decimal.Decimal:
    count, weight, sign, scale = struct.unpack_from(">HhHH", raw)
    if sign == _NUMERIC_NAN:
        return decimal.Decimal("NaN")
    number = decimal.Decimal(0)
    for position, digit in enumerate(struct.unpack_from(f">{count}H", raw, 8)):
        number += decimal.Decimal(digit) * decimal.Decimal(_NUMERIC_BASE) ** (weight - position)
    return round(-number if sign else number, scale)


_FROM_BINARY: Final[dict[int, Callable[[bytes], Scalar]]] = {
    Oid.BOOL: lambda raw: struct.unpack(">?", raw)[0],
    Oid.BYTEA: bytes,
    Oid.INT2: lambda raw: struct.unpack(">h", raw)[0],
    Oid.INT4: lambda raw: struct.unpack(">i", raw)[0],
    Oid.INT8: lambda raw: struct.unpack(">q", raw)[0],
    Oid.FLOAT4: lambda raw: struct.unpack(">f", raw)[0],
    Oid.FLOAT8: lambda raw: struct.unpack(">d", raw)[0],
    Oid.NUMERIC: _numeric_of_binary,
    Oid.DATE: lambda raw: _POSTGRES_EPOCH_DATE + datetime.timedelta(days=struct.unpack(">i", raw)[0]),
    Oid.TIMESTAMP: _timestamp_of_binary,
    Oid.TIMESTAMPTZ: _timestamp_of_binary,
    Oid.INTERVAL: _interval_of_binary,
}


_ELEMENTS: Final[dict[int, int]] = {
    Oid.INT4_ARRAY: Oid.INT4,
    Oid.INT8_ARRAY: Oid.INT8,
    Oid.OID_ARRAY: Oid.INT4,
    Oid.TEXT_ARRAY: Oid.TEXT,
    Oid.VARCHAR_ARRAY: Oid.TEXT,
}
_ITEM: Final = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^,"{}]+))\s*(?:,|$)')


def _list_of_binary(raw: bytes, element_oid: int) -> list[Scalar]:
    dimensions, _, _ = struct.unpack_from(">iiI", raw)
    if dimensions == 0:
        return []
    if dimensions != 1:
        raise ValueError("more than one dimension")
    count = struct.unpack_from(">i", raw, 12)[0]
    values: list[Scalar] = []
    at = 20
    for _ in range(count):
        size = struct.unpack_from(">i", raw, at)[0]
        at += 4
        if not -1 <= size <= len(raw) - at:
            raise ValueError("element longer than its array")
        values.append(None if size == -1 else _scalar(raw[at : at + size], element_oid, 1))
        at += max(size, 0)
    return values


def _list_of_text(text: str, element_oid: int) -> list[Scalar]:
    inner = text.strip()
    if not (inner.startswith("{") and inner.endswith("}")):
        raise ValueError(text)
    inner = inner[1:-1]
    values: list[Scalar] = []
    at = 0
    while at < len(inner):
        item = _ITEM.match(inner, at)
        if item is None:
            raise ValueError(text)
        quoted, bare = item.groups()
        is_null = quoted is None and bare.strip().upper() == "NULL"
        word = bare.strip() if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        values.append(None if is_null else _scalar(word.encode(), element_oid, 0))
        at = item.end()
    return values


def _scalar(raw: bytes, oid: int, format_code: int) -> Scalar:
    if format_code and oid in _FROM_BINARY:
        return _FROM_BINARY[oid](raw)
    return _FROM_TEXT.get(oid, str)(raw.decode())


def decode_parameter(raw: bytes | None, oid: int, format_code: int) -> Parameter:
    """Return a parameter's value; one of another type is text.

    Raises:
        InvalidParameter: The bytes do not fit the type.
    """
    if raw is None:
        return None
    try:
        if oid in _ELEMENTS:
            return _list_of_binary(raw, _ELEMENTS[oid]) if format_code else _list_of_text(raw.decode(), _ELEMENTS[oid])
        return _scalar(raw, oid, format_code)
    except (ValueError, ArithmeticError, struct.error):
        raise InvalidParameter(f"invalid value for a parameter of type {oid}: {raw[:40]!r}") from None
