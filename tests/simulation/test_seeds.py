"""Workloads under faults, one seed after the other: whatever goes wrong names the seed that repeats it.

`make simulate SEEDS=n` runs the first n seeds, `make simulate SEED=k` one, with all that happened to it.
"""

import os
from typing import Final

import pytest

from tests.simulation.cases import case_of, regressions
from tests.simulation.world import simulate

SEEDS: Final = int(os.environ.get("SEEDS", "500"))
SEED: Final = os.environ.get("SEED")
BLOCK: Final = 20


def blocks() -> list[list[int]]:
    if SEED is not None:
        return [[int(SEED)]]
    seeds = range(SEEDS)
    return [regressions(), *[list(seeds[start : start + BLOCK]) for start in range(0, SEEDS, BLOCK)]]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seeds", blocks(), ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}" if seeds else "none")
def test_every_rule_holds(seeds: list[int]) -> None:
    failures: list[str] = []
    for seed in seeds:
        case = case_of(seed)
        verdict = simulate(case)
        if verdict.violations:
            story = verdict.events if SEED is not None else []
            failures.append("\n    ".join([f"seed {case.name}: make simulate SEED={seed}", *story, *verdict.violations[:10]]))
    assert not failures, "\n".join(failures)
