"""Which workload and which faults a seed stands for: every combination comes round, each time with other dice."""

from pathlib import Path
from typing import Final

from perdure.sim.bus import BusFaults
from perdure.sim.cluster import Faults
from perdure.sim.deployments import DeploymentFaults
from perdure.sim.store import StoreFaults
from tests.simulation.suite import WORKLOADS
from tests.simulation.world import Case

_LOSSY_BUS = BusFaults(drop_probability=0.05, double_probability=0.05, slow_probability=0.1)
_BAD_STORE = StoreFaults(delay_s_min=0.0002, delay_s_max=0.02, conflict=0.1, unknown_applied=0.05, unknown_lost=0.05)
_SLOW_STORE = StoreFaults(delay_s_min=0.001, delay_s_max=0.5, conflict=0.05, unknown_applied=0.02)
_BAD_DEPLOYMENTS = DeploymentFaults(
    connect_probability=0.04,
    status_probability=0.04,
    content_type_probability=0.02,
    cut_probability=0.06,
    reset_probability=0.06,
    goaway_probability=0.04,
    error_probability=0.06,
    nonsense_probability=0.04,
    double_probability=0.1,
    late_probability=0.03,
    hang_probability=0.02,
)

FAULTS: Final[dict[str, Faults]] = {
    "no faults": Faults(),
    "kills": Faults(kill_every_s=2.0),
    "stops": Faults(stop_every_s=3.0),
    "lossy bus": Faults(bus=_LOSSY_BUS),
    "cut off": Faults(cut_off_every_s=4.0),
    "bad store": Faults(store=_BAD_STORE),
    "slow store": Faults(store=_SLOW_STORE, kill_every_s=6.0),
    "failing store": Faults(store=StoreFaults(delay_s_min=0.0002, delay_s_max=0.01, failure=0.02), read_failure=0.05),
    "bad deployments": Faults(deployments=_BAD_DEPLOYMENTS),
    "jumping clocks": Faults(jump_clock_every_s=3.0),
    "everything": Faults(
        bus=_LOSSY_BUS, store=_BAD_STORE, deployments=_BAD_DEPLOYMENTS, kill_every_s=4.0, cut_off_every_s=8.0, jump_clock_every_s=10.0
    ),
}

_NAMES: Final = tuple(FAULTS)


def case_of(seed: int) -> Case:
    """Return what a seed stands for."""
    name = _NAMES[seed // len(WORKLOADS) % len(_NAMES)]
    return Case(seed, WORKLOADS[seed % len(WORKLOADS)], name, FAULTS[name])


def regressions() -> list[int]:
    """Return the seeds that failed once."""
    lines = (Path(__file__).parent / "regressions.txt").read_text().splitlines()
    return [int(line.split()[0]) for line in lines if line.strip() and not line.startswith("#")]
