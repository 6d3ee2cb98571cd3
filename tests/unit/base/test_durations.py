import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.base.durations import (
    InvalidDuration,
    InvalidSize,
    format_duration_ms,
    format_size_bytes,
    parse_duration_ms,
    parse_size_bytes,
)

DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("text", "expected_ms"),
    [
        ("1000ms", 1_000),
        ("1500us", 1),
        ("1.5s", 1_500),
        ("60sec", 60_000),
        ("60 sec", 60_000),
        ("5 seconds", 5_000),
        ("1m30s", 90_000),
        ("1h 30m", 5_400_000),
        ("1 hour, 30 minutes", 5_400_000),
        ("1d", DAY_MS),
        ("1w", 7 * DAY_MS),
        ("1week", 7 * DAY_MS),
        ("+5s", 5_000),
        ("PT60S", 60_000),
        ("PT1.5S", 1_500),
        ("PT1M30S", 90_000),
        ("P1D", DAY_MS),
        ("P1W2DT3H", 9 * DAY_MS + 10_800_000),
        ("0", 0),
        ("0s", 0),
        (" 30s ", 30_000),
    ],
)
def test_a_duration_is_read(text: str, expected_ms: int) -> None:
    assert parse_duration_ms(text) == expected_ms


@pytest.mark.parametrize(
    "text", ["", "abc", "1000", "-1s", "PT-1S", "P", "PT", "P1DT", "1s2", "1 s x", "1x", "s", "1s,", "1..5s", "1month", "1y", "P1Y2M"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(InvalidDuration):
        parse_duration_ms(text)


@pytest.mark.parametrize("text", ["1month", "2 years", "P1Y2M", "P3M"])
def test_months_and_years_are_refused_with_what_to_do(text: str) -> None:
    with pytest.raises(InvalidDuration, match="please use units of days or smaller"):
        parse_duration_ms(text)


@pytest.mark.parametrize(
    ("duration_ms", "expected"),
    [(0, "0s"), (500, "500ms"), (90_000, "1m 30s"), (36 * 3_600_000, "1d 12h"), (DAY_MS, "1d"), (8 * DAY_MS, "8d")],
)
def test_a_duration_is_written_with_its_largest_unit_first(duration_ms: int, expected: str) -> None:
    assert format_duration_ms(duration_ms) == expected


@given(st.integers(min_value=0, max_value=10**14))
def test_a_written_duration_reads_as_itself(duration_ms: int) -> None:
    assert parse_duration_ms(format_duration_ms(duration_ms)) == duration_ms


@given(st.text(alphabet="0123456789.+-,PTWDHMSpmsunhdw µ", max_size=12))
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    try:
        duration_ms = parse_duration_ms(text)
    except InvalidDuration:
        return
    assert duration_ms >= 0


@pytest.mark.parametrize(
    ("text", "expected_bytes"),
    [("512", 512), ("64KiB", 65_536), ("4 MiB", 4 << 20), ("10MB", 10_000_000), ("1g", 1 << 30), ("1.5KiB", 1_536), ("0", 0), ("7B", 7)],
)
def test_a_size_is_read(text: str, expected_bytes: int) -> None:
    assert parse_size_bytes(text) == expected_bytes


@pytest.mark.parametrize("text", ["", "MiB", "-1", "4 XiB", "1 2", "1e3"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(InvalidSize):
        parse_size_bytes(text)


@given(st.integers(min_value=0, max_value=1 << 50))
def test_a_written_size_reads_as_itself(size_bytes: int) -> None:
    assert parse_size_bytes(format_size_bytes(size_bytes)) == size_bytes
