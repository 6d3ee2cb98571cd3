"""What recurs meets at whole multiples of its interval."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.base.clock import until_beat_s

INTERVALS_S = st.sampled_from((0.05, 0.5, 1.0, 2.0, 15.0))


@given(st.floats(0, 1e8), INTERVALS_S)
def test_a_beat_is_a_whole_multiple_of_its_interval_and_never_hardly_away(now_s: float, interval_s: float) -> None:
    left_s = until_beat_s(now_s, interval_s)
    assert interval_s / 10 < left_s <= interval_s * 1.1
    beats = (now_s + left_s) / interval_s
    assert beats == pytest.approx(round(beats), abs=1e-4)


@given(st.floats(0, 1e8), INTERVALS_S, st.floats(-0.0009, 0.04))
def test_timers_that_fire_early_or_a_little_late_beat_once_per_interval(now_s: float, interval_s: float, late_s: float) -> None:
    first_s = now_s + until_beat_s(now_s, interval_s)
    woken_s = first_s + late_s * interval_s
    second_s = woken_s + until_beat_s(woken_s, interval_s)
    assert second_s - first_s == pytest.approx(interval_s, abs=1e-4)
