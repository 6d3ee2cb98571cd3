"""Durations of the `delay` parameter: ISO 8601 or the friendly form of the duration library that clients know.

Source: shared/spec/ingress.md, section 7. Units from weeks down to nanoseconds; a week is 7 days, a day 24 hours.
Values are whole nanoseconds while they are added up, and milliseconds (rounded down) in the end.
"""

import re
from typing import Final

_UNITS: Final[tuple[tuple[tuple[str, ...], int], ...]] = (
    (("years", "year", "yrs", "yr", "y"), 0),
    (("months", "month", "mos", "mo"), 0),
    (("weeks", "week", "wks", "wk", "w"), 7 * 86_400 * 10**9),
    (("days", "day", "d"), 86_400 * 10**9),
    (("hours", "hour", "hrs", "hr", "h"), 3_600 * 10**9),
    (("minutes", "minute", "mins", "min", "m"), 60 * 10**9),
    (("seconds", "second", "secs", "sec", "s"), 10**9),
    (("milliseconds", "millisecond", "millis", "milli", "msecs", "msec", "ms"), 10**6),
    (("microseconds", "microsecond", "micros", "micro", "usecs", "usec", "us", "µs", "μs"), 10**3),
    (("nanoseconds", "nanosecond", "nanos", "nano", "nsecs", "nsec", "ns"), 1),
)
_RANK_BY_NAME: Final = {name: rank for rank, (names, _) in enumerate(_UNITS) for name in names}
_NS_BY_RANK: Final = tuple(ns for _, ns in _UNITS)
_DAY_RANK: Final = _RANK_BY_NAME["d"]
_ISO_RANKS: Final = {"Y": 0, "W": 2, "D": 3, "H": 4, "S": 6}
_DELAY_MS_MAX: Final = 7_000 * 366 * 86_400_000
"""Beyond this an execution time would leave the calendar."""

_BLANK: Final = r"[ \t\n\r\f\v]"
_PART: Final = re.compile(rf"(?a:(\d+)(?:[.,](\d{{1,9}}))?){_BLANK}*([a-zµμ]+)(,{_BLANK}+|{_BLANK}*)")
_CLOCK: Final = re.compile(r"(?a:(\d+):(\d{2}):(\d{2})(?:[.,](\d{1,9}))?)$")
_ISO: Final = re.compile(r"(?a:(\d+)(?:[.,](\d{1,9}))?)([A-Z])")

_NO_NUMBER: Final = "expected duration to start with a unit value (a decimal integer) after an optional sign, but no integer was found"
_NO_UNIT: Final = "expected to find unit designator suffix (e.g., `years` or `secs`) after parsing integer"
_WRONG_ORDER: Final = "units must be written from largest to smallest, each at most once"
_NOTHING_AFTER: Final = "only the smallest unit may have a fraction"
_CALENDAR: Final = "please use units of days or smaller"
_NEGATIVE: Final = "negative signed durations cannot be converted to an unsigned duration"


class BadDelay(ValueError):  # a verdict on the text
    """Not a duration; the argument says why."""


def parse_delay_ms(text: str) -> int:
    """Return the milliseconds of a duration.

    Raises:
        BadDelay: With the reason.
    """
    if not text:
        raise BadDelay("an empty string is not a valid duration in either the ISO 8601 format or the friendly format")
    is_negative = text[0] == "-"
    rest = text[1:] if text[0] in "+-" else text
    if rest[:1] in {"P", "p"}:
        total_ns = _iso_ns(rest[1:].upper())
    else:
        total_ns, is_ago = _friendly_ns(rest)
        is_negative = is_negative or is_ago
    if is_negative and total_ns:
        raise BadDelay(_NEGATIVE)
    if total_ns > _DELAY_MS_MAX * 10**6:
        raise BadDelay("the duration is too long")
    return total_ns // 10**6


def _friendly_ns(text: str) -> tuple[int, bool]:
    if text == "0":
        return 0, False
    if not text[:1].isdecimal():
        raise BadDelay(_NO_NUMBER)
    is_ago = text.endswith("ago") and len(text) > 3
    rest = text[:-3].rstrip() if is_ago else text
    sum_of = _Sum()
    position = 0
    while position < len(rest):
        if clock := _CLOCK.match(rest, position):
            return sum_of.total_ns + _clock_ns(sum_of, clock), is_ago
        part = _PART.match(rest, position)
        rank = None if part is None else _RANK_BY_NAME.get(part[3])
        if part is None or rank is None:
            raise BadDelay(_NO_UNIT)
        position = part.end()
        if position == len(rest) and part[4]:
            raise BadDelay("unparsed input remains")
        sum_of.add(rank, part[1], part[2])
    return sum_of.total_ns, is_ago


def _clock_ns(sum_of: "_Sum", clock: re.Match[str]) -> int:
    """Return `HH:MM:SS`, which may follow units above hours."""
    hours, minutes, seconds, fraction = clock.groups()
    if sum_of.rank > _DAY_RANK or sum_of.has_fraction:
        raise BadDelay(_WRONG_ORDER)
    if int(minutes) > 59 or int(seconds) > 59:
        raise BadDelay("minutes and seconds go up to 59")
    return (int(hours) * 3_600 + int(minutes) * 60 + int(seconds)) * 10**9 + int((fraction or "").ljust(9, "0"))


def _iso_ns(text: str) -> int:
    date, separator, time = text.partition("T")
    if separator and not _ISO.match(time):
        raise BadDelay("found a time designator (`T` or `t`) in an ISO 8601 duration string, but did not find any time units")
    if not date and not separator:
        raise BadDelay("found no units after `P` in an ISO 8601 duration string")
    sum_of = _Sum()
    for section, letters, month_rank in ((date, "YMWD", 1), (time, "HMS", 5)):
        position = 0
        while position < len(section):
            part = _ISO.match(section, position)
            if part is None or part[3] not in letters:
                raise BadDelay("expected a number and a unit designator in an ISO 8601 duration string")
            position = part.end()
            sum_of.add(month_rank if part[3] == "M" else _ISO_RANKS[part[3]], part[1], part[2])
    return sum_of.total_ns


class _Sum:
    """Adds units that must fall in size, of which only the last may have a fraction."""

    def __init__(self) -> None:
        self.total_ns = 0
        self.rank = -1
        self.has_fraction = False

    def add(self, rank: int, whole: str, fraction: str | None) -> None:
        if rank <= self.rank:
            raise BadDelay(_WRONG_ORDER)
        if self.has_fraction:
            raise BadDelay(_NOTHING_AFTER)
        if len(whole) > 19:
            raise BadDelay("the number is too large")
        unit_ns = _NS_BY_RANK[rank]
        self.rank = rank
        if unit_ns == 0 and int(whole):
            raise BadDelay(_CALENDAR)
        self.total_ns += int(whole) * unit_ns
        if fraction is not None:
            if rank <= _DAY_RANK:
                raise BadDelay(f"fractional {_UNITS[rank][0][0]} are not supported")
            self.has_fraction = True
            self.total_ns += int(fraction.ljust(9, "0")) * unit_ns // 10**9
