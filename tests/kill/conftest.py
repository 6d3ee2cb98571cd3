"""Fixtures of the kill tests: those of the end-to-end tests, and the seed of a run."""

import os
import random

import pytest

from tests.e2e.conftest import endpoint, own_suite, tag

__all__ = ["endpoint", "own_suite", "seed", "tag"]


@pytest.fixture
def seed() -> int:
    """Seed of the random moments, shown when a test fails; `PERDURE_KILL_SEED` repeats one."""
    chosen = int(os.environ.get("PERDURE_KILL_SEED", "0")) or random.randrange(1, 1 << 32)
    print(f"repeat with PERDURE_KILL_SEED={chosen}")
    return chosen
