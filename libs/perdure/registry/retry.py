"""The retry policy of invocations: which options count, and how long to wait before a retry.

Source: shared/spec/lifecycle.md, section 6.4.
"""

from typing import Final, TypeVar

import msgspec

from perdure.model.deployment import RetryPolicy

T = TypeVar("T")
_JITTER_MS_MIN: Final = 3.0
_JITTER_SHARE: Final = 0.3


class EffectiveRetryPolicy(msgspec.Struct, frozen=True):
    """A policy with every option decided; its defaults are those of the server."""

    initial_interval_ms: int = 500
    factor: float = 2.0
    max_interval_ms: int = 60_000
    max_attempts: int | None = 70
    """The first attempt included; None is unlimited."""
    pauses_on_max_attempts: bool = True
    """False: the invocation ends with its last error."""

    def is_exhausted(self, failed_attempts: int) -> bool:
        """Return whether no attempt may follow `failed_attempts` failed ones."""
        assert failed_attempts >= 0
        return self.max_attempts is not None and failed_attempts >= self.max_attempts

    def delay_ms(self, retry: int, jitter_fraction: float) -> int:
        """Return the wait before the `retry`-th retry (from 1), with a random number in [0, 1) handed in."""
        assert retry >= 1
        assert 0 <= jitter_fraction < 1
        interval = self._interval_ms(retry)
        jitter_max = max(_JITTER_MS_MIN, _JITTER_SHARE * interval)
        return round(interval + _JITTER_MS_MIN + jitter_fraction * (jitter_max - _JITTER_MS_MIN))

    def _interval_ms(self, retry: int) -> float:
        if retry == 1:
            return self.initial_interval_ms
        second = min(self.initial_interval_ms * self.factor, self.max_interval_ms)
        try:
            return min(second * self.factor ** (retry - 2), self.max_interval_ms)
        except OverflowError:
            return self.max_interval_ms


def merge_retry_policies(
    handler: RetryPolicy, service: RetryPolicy, defaults: EffectiveRetryPolicy, *, attempts_cap: int | None = None
) -> EffectiveRetryPolicy:
    """Return the policy in force, option by option: the handler's, else the service's, else the server's.

    `attempts_cap` lowers a number of attempts above it, but never an unlimited one. No attempts at all counts as one.
    """
    attempts = decided(handler.max_attempts, service.max_attempts, defaults.max_attempts)
    if attempts is not None:
        attempts = max(1, attempts if attempts_cap is None else min(attempts, attempts_cap))
    return EffectiveRetryPolicy(
        initial_interval_ms=decided(handler.initial_interval_ms, service.initial_interval_ms, defaults.initial_interval_ms),
        factor=decided(handler.factor, service.factor, defaults.factor),
        max_interval_ms=decided(handler.max_interval_ms, service.max_interval_ms, defaults.max_interval_ms),
        max_attempts=attempts,
        pauses_on_max_attempts=decided(handler.pauses_on_max_attempts, service.pauses_on_max_attempts, defaults.pauses_on_max_attempts),
    )


def decided(handler: T | None, service: T | None, default: T) -> T:
    """Return the first of the three levels that is set."""
    if handler is not None:
        return handler
    return default if service is None else service
