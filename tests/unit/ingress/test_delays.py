"""The duration grammar of the `delay` parameter, as observed with the real server."""

import pytest

from services.ingress.delays import BadDelay, parse_delay_ms

GOOD = {
    "0": 0,
    "0s": 0,
    "1000ms": 1_000,
    "500us": 0,
    "1ns": 0,
    "1.5ms": 1,
    "1.5s": 1_500,
    "1,5s": 1_500,
    "60sec": 60_000,
    "60 sec": 60_000,
    "1  s": 1_000,
    "5 seconds": 5_000,
    "1m30s": 90_000,
    "1m1.5s": 61_500,
    "1.5m": 90_000,
    "1h 30m": 5_400_000,
    "1h, 30m": 5_400_000,
    "4days 2hours": 352_800_000,
    "1d": 86_400_000,
    "1w": 604_800_000,
    "1week": 604_800_000,
    "1wks": 604_800_000,
    "+5s": 5_000,
    "10millis": 10,
    "5 micros": 0,
    "1µs": 0,
    "01:02:03": 3_723_000,
    "1d 01:02:03": 90_123_000,
    "1d01:02:03.5": 90_123_500,
    "PT60S": 60_000,
    "pt60s": 60_000,
    "PT1.5S": 1_500,
    "PT1,5S": 1_500,
    "PT1M30S": 90_000,
    "P1D": 86_400_000,
    "P1W": 604_800_000,
    "P1DT1H": 90_000_000,
    "+PT5S": 5_000,
    "PT0.0001S": 0,
    "-0s": 0,
}
BAD = {
    "": "empty",
    "1000": "unit designator",
    "1h30": "unit designator",
    "1S": "unit designator",
    "1_0s": "unit designator",
    "1mss": "unit designator",
    "abc": "no integer",
    ".5s": "no integer",
    " 1s": "no integer",
    "+-5s": "no integer",
    "--5s": "no integer",
    "1h,30m": "unit designator",
    "30s1m": "largest to smallest",
    "1s1s": "largest to smallest",
    "1h 01:02:03": "largest to smallest",
    "1.5h30m": "fraction",
    "1.5d": "fractional days",
    "1.5w": "fractional weeks",
    "1month": "days or smaller",
    "1mo": "days or smaller",
    "1y": "days or smaller",
    "P1Y2M": "days or smaller",
    "P1M": "days or smaller",
    "-1s": "negative",
    "5s ago": "negative",
    "-PT5S": "negative",
    "PT": "time designator",
    "P1DT": "time designator",
    "PT-1S": "time designator",
    "P": "no units",
    "P1H": "unit designator",
    "1s ": "unparsed",
    "01:61:00": "59",
    "99999999999999999999s": "too large",
    "9999999999999s": "too long",
}


@pytest.mark.parametrize(("text", "expected_ms"), GOOD.items())
def test_a_duration_is_read_in_milliseconds(text: str, expected_ms: int) -> None:
    assert parse_delay_ms(text) == expected_ms


@pytest.mark.parametrize(("text", "reason"), BAD.items())
def test_anything_else_is_refused_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(BadDelay, match=reason):
        parse_delay_ms(text)
