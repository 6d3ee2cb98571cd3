"""The same seed gives the same run: in one process, and in another one whose hashes of strings differ."""

import os
import subprocess
import sys

import pytest

from tests.simulation.cases import FAULTS, case_of
from tests.simulation.suite import WORKLOADS
from tests.simulation.world import simulate

SEEDS = [number * len(WORKLOADS) + number % len(WORKLOADS) for number in range(len(FAULTS))]
PRINT_TRACES = (
    "import sys; from tests.simulation.cases import case_of; from tests.simulation.world import simulate\n"
    "for seed in map(int, sys.argv[1:]): print(simulate(case_of(seed)).trace)"
)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_seed_gives_the_same_trace_twice(seed: int) -> None:
    first, second = simulate(case_of(seed)), simulate(case_of(seed))
    assert first.trace
    assert first == second


def test_seeds_give_traces_of_their_own() -> None:
    assert len({simulate(case_of(seed)).trace for seed in SEEDS}) == len(SEEDS)


def test_a_seed_gives_the_same_trace_whatever_the_order_of_sets() -> None:
    def traces(hash_seed: str) -> list[str]:
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        command = [sys.executable, "-c", PRINT_TRACES, *map(str, SEEDS)]
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.split()

    assert traces("1") == traces("2")
