"""Operators move partitions while workloads run: every rule holds."""

import pytest

from perdure.sim.cluster import Faults
from tests.simulation.cases import FAULTS
from tests.simulation.suite import WORKLOADS
from tests.simulation.world import Case, simulate

MOVES = {
    "moves": Faults(move_every_s=0.3),
    "moves and stops": Faults(move_every_s=0.3, stop_every_s=3.0),
    "moves and kills": Faults(move_every_s=0.5, kill_every_s=3.0, store=FAULTS["bad store"].store),
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", MOVES)
def test_every_rule_holds_while_partitions_move(name: str) -> None:
    failures: list[str] = []
    moves = 0
    for seed, workload in enumerate(WORKLOADS):
        verdict = simulate(Case(seed, workload, name, MOVES[name]))
        moves += sum("move partition" in event for event in verdict.events)
        failures += [f"{seed} ({workload.__name__}): {violation}" for violation in verdict.violations[:5]]
    assert not failures, "\n".join(failures)
    assert moves > len(WORKLOADS)
