"""Durations and sizes as people write them.

A duration is friendly text (`1h 30m`, `500ms`, `5 seconds`), ISO 8601 (`PT1.5S`, `P1D`) or a bare `0`; a week has 7 days, a day 24 hours,
and months and years are refused because they have no fixed length. Source: shared/spec/ingress.md, section 7; shared/spec/admin.md, 6.
"""

import re
from decimal import Decimal
from typing import Annotated, Final

import msgspec

from perdure.base.errors import ConfigurationError

DurationMs = Annotated[int, msgspec.Meta(ge=0, extra={"unit": "duration"})]
"""Milliseconds; written as a duration in configuration."""

SizeBytes = Annotated[int, msgspec.Meta(ge=0, extra={"unit": "size"})]
"""Bytes; written as a size in configuration."""

_MS_BY_UNIT: Final = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_NAMES: Final = {
    "w": ("w", "wk", "wks", "week", "weeks"),
    "d": ("d", "day", "days"),
    "h": ("h", "hr", "hrs", "hour", "hours"),
    "m": ("m", "min", "mins", "minute", "minutes"),
    "s": ("s", "sec", "secs", "second", "seconds"),
    "ms": ("ms", "msec", "msecs", "milli", "millis", "millisecond", "milliseconds"),
}
_SCALE_BY_NAME: Final = {name: Decimal(_MS_BY_UNIT[unit]) for unit, names in _NAMES.items() for name in names} | {
    name: Decimal(1) / divisor
    for divisor, names in (
        (1_000, ("us", "µs", "μs", "usec", "usecs", "micro", "micros", "microsecond", "microseconds")),
        (1_000_000, ("ns", "nsec", "nsecs", "nano", "nanos", "nanosecond", "nanoseconds")),
    )
    for name in names
}
_CALENDAR_NAMES: Final = frozenset({"mo", "mos", "month", "months", "y", "yr", "yrs", "year", "years"})
_FRIENDLY_PART: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Zµμ]+)\s*,?")
_ISO: Final = re.compile(
    r"\+?P(?!$)(?:(?P<calendar>\d+[YM].*)|(?:(?P<w>\d+)W)?(?:(?P<d>\d+)D)?"
    r"(?:T(?=\d)(?:(?P<h>\d+(?:[.,]\d+)?)H)?(?:(?P<m>\d+(?:[.,]\d+)?)M)?(?:(?P<s>\d+(?:[.,]\d+)?)S)?)?)",
    re.IGNORECASE,
)
_SIZE: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*")
_BYTES_BY_UNIT: Final = {"": 1, "b": 1} | {
    name: base**power
    for power, letter in enumerate("kmgt", start=1)
    for name, base in ((letter, 1024), (f"{letter}b", 1000), (f"{letter}ib", 1024))
}


class InvalidDuration(ConfigurationError):
    """A text is not a duration."""

    status = 400


class InvalidSize(ConfigurationError):
    """A text is not a size."""

    status = 400


def parse_duration_ms(text: str) -> int:
    """Return the milliseconds of a duration, rounded down.

    Raises:
        InvalidDuration: Not a duration, negative, or with months or years.
    """
    stripped = text.strip()
    if stripped in ("0", "+0"):
        return 0
    if stripped[:2].lstrip("+")[:1] in ("P", "p"):
        return _parse_iso(stripped)
    return _parse_friendly(stripped)


def format_duration_ms(duration_ms: int) -> str:
    """Return friendly text, largest unit first and days the largest: `1d 12h`, `1m 30s`, `500ms`, `0s`."""
    assert duration_ms >= 0
    parts: list[str] = []
    rest = duration_ms
    for unit in ("d", "h", "m", "s", "ms"):
        count, rest = divmod(rest, _MS_BY_UNIT[unit])
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts) or "0s"


def parse_size_bytes(text: str) -> int:
    """Return the bytes of a size: `512`, `64KiB`, `4 MiB`, `10MB` (powers of 1000), `1g` (powers of 1024).

    Raises:
        InvalidSize: Not a size.
    """
    match = _SIZE.fullmatch(text)
    scale = _BYTES_BY_UNIT.get(match[2].lower()) if match else None
    if match is None or scale is None:
        raise InvalidSize(f"{text!r} is not a size; write it like 64KiB or 4MiB")
    return int(Decimal(match[1]) * scale)


def format_size_bytes(size_bytes: int) -> str:
    """Return a size in the largest binary unit that divides it: `4MiB`, `1000B`."""
    assert size_bytes >= 0
    count, unit = size_bytes, "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if count == 0 or count % 1024:
            break
        count, unit = count // 1024, larger
    return f"{count}{unit}"


def _parse_friendly(text: str) -> int:
    total = Decimal(0)
    body = text.removeprefix("+")
    position = 0
    while position < len(body):
        match = _FRIENDLY_PART.match(body, position)
        if match is None:
            raise InvalidDuration(f"{text!r} is not a duration; write it like 30s or 1h 30m")
        name = match[2].lower()
        scale = _SCALE_BY_NAME.get(name)
        if scale is None:
            raise _unknown_unit(text, name)
        total += Decimal(match[1]) * scale
        position = match.end()
    if position == 0 or body.endswith(","):
        raise InvalidDuration(f"{text!r} is not a duration; write it like 30s or 1h 30m")
    return int(total)


def _parse_iso(text: str) -> int:
    match = _ISO.fullmatch(text)
    if match is None:
        raise InvalidDuration(f"{text!r} is not an ISO 8601 duration; write it like PT30S or P1D")
    if match["calendar"]:
        raise _unknown_unit(text, "month")
    total = Decimal(0)
    for unit in ("w", "d", "h", "m", "s"):
        if match[unit]:
            total += Decimal(match[unit].replace(",", ".")) * _MS_BY_UNIT[unit]
    return int(total)


def _unknown_unit(text: str, name: str) -> InvalidDuration:
    if name in _CALENDAR_NAMES:
        return InvalidDuration(f"{text!r} has months or years; please use units of days or smaller")
    return InvalidDuration(f"{text!r} has the unknown unit {name!r}; write it like 30s or 1h 30m")
