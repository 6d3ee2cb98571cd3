"""What was done to the containers, printed when the tests have ended."""

import time
from typing import Final

import pytest

RECORD: Final = pytest.StashKey[list[str]]()
BEGAN: Final = pytest.StashKey[float]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[RECORD] = []
    config.stash[BEGAN] = time.monotonic()


@pytest.fixture(scope="session")
def record(pytestconfig: pytest.Config) -> list[str]:
    """Lines for the summary."""
    return pytestconfig.stash[RECORD]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if lines := config.stash[RECORD]:
        terminalreporter.section("containers")
        for line in [*lines, f"{time.monotonic() - config.stash[BEGAN]:.0f} s in all"]:
            terminalreporter.line(line)
