"""Retry policies: option by option, and delays that stay within their bounds whatever the numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.model.deployment import RetryPolicy
from perdure.registry.retry import EffectiveRetryPolicy, merge_retry_policies

POLICIES = st.builds(
    EffectiveRetryPolicy,
    initial_interval_ms=st.integers(0, 10**7),
    factor=st.floats(0, 1000),
    max_interval_ms=st.integers(0, 10**9),
)


def test_the_default_policy_doubles_up_to_a_minute_and_then_some_jitter() -> None:
    policy = EffectiveRetryPolicy()
    assert [policy.delay_ms(n, 0.0) for n in range(1, 10)] == [503, 1003, 2003, 4003, 8003, 16003, 32003, 60003, 60003]
    assert policy.delay_ms(69, 1 - 2**-53) == 78_000


def test_a_short_delay_has_exactly_three_milliseconds_of_jitter() -> None:
    policy = EffectiveRetryPolicy(initial_interval_ms=10, factor=1.0)
    assert {policy.delay_ms(1, fraction) for fraction in (0.0, 0.5, 0.99)} == {13}


@given(POLICIES, st.integers(2, 10**6), st.floats(0, 1, exclude_max=True))
def test_a_delay_stays_between_its_jitter_and_the_longest_interval(policy: EffectiveRetryPolicy, retry: int, fraction: float) -> None:
    assert 3 <= policy.delay_ms(retry, fraction) <= max(1.3 * policy.max_interval_ms, policy.max_interval_ms + 3) + 1


@given(POLICIES.filter(lambda policy: policy.factor >= 1), st.integers(2, 500))
def test_delays_grow_with_a_factor_above_one(policy: EffectiveRetryPolicy, retry: int) -> None:
    assert policy.delay_ms(retry, 0.0) <= policy.delay_ms(retry + 1, 0.0)


@given(POLICIES, st.integers(1, 60))
def test_each_interval_is_the_one_before_times_the_factor_capped(policy: EffectiveRetryPolicy, retry: int) -> None:
    interval = float(policy.initial_interval_ms)
    for _ in range(retry - 1):
        interval = min(interval * policy.factor, policy.max_interval_ms)
    assert policy.delay_ms(retry, 0.0) == pytest.approx(interval + 3, abs=1, rel=1e-9)


@pytest.mark.parametrize(("max_attempts", "failed", "expected"), [(3, 2, False), (3, 3, True), (1, 1, True), (None, 10**9, False)])
def test_attempts_are_exhausted_when_as_many_failed_as_are_allowed(max_attempts: int | None, failed: int, expected: bool) -> None:
    assert EffectiveRetryPolicy(max_attempts=max_attempts).is_exhausted(failed) is expected


def test_each_option_is_decided_by_itself() -> None:
    merged = merge_retry_policies(
        RetryPolicy(factor=3.0, pauses_on_max_attempts=False),
        RetryPolicy(factor=9.0, max_attempts=4, pauses_on_max_attempts=True),
        EffectiveRetryPolicy(initial_interval_ms=7),
    )
    assert merged == EffectiveRetryPolicy(
        initial_interval_ms=7, factor=3.0, max_interval_ms=60_000, max_attempts=4, pauses_on_max_attempts=False
    )


@pytest.mark.parametrize(
    ("handler", "service", "default", "cap", "expected"),
    [
        (None, None, None, 5, None),
        (None, 9, None, 5, 5),
        (3, 9, 70, 5, 3),
        (0, None, 70, None, 1),
        (None, None, 70, 10, 10),
    ],
)
def test_attempts_are_capped_unless_unlimited(
    handler: int | None, service: int | None, default: int | None, cap: int | None, expected: int | None
) -> None:
    defaults = EffectiveRetryPolicy(max_attempts=default)
    merged = merge_retry_policies(RetryPolicy(max_attempts=handler), RetryPolicy(max_attempts=service), defaults, attempts_cap=cap)
    assert merged.max_attempts == expected
