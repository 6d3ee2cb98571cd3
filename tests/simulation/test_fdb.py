"""The seeded world on the real code for FoundationDB: every rule holds, whatever errors the cluster returns."""

from collections import Counter

import pytest

from perdure.sim import cluster
from tests.fdb import errors
from tests.simulation.cases import FAULTS
from tests.simulation.fdb_store import FdbSimStore
from tests.simulation.suite import Everything
from tests.simulation.workloads import TransferRing
from tests.simulation.world import Case, simulate

SEEDS = range(2)


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> list[FdbSimStore]:
    monkeypatch.setattr(cluster, "SimStore", FdbSimStore)
    monkeypatch.setattr(FdbSimStore, "made", [])
    return FdbSimStore.made


@pytest.mark.parametrize("faults", ["no faults", "kills", "stops", "cut off", "slow store", "failing store", "everything"])
def test_every_rule_holds_on_foundationdb(stores: list[FdbSimStore], faults: str) -> None:
    for seed in SEEDS:
        verdict = simulate(Case(seed, (TransferRing, Everything)[seed % 2], faults, FAULTS[faults]))
        assert verdict.violations == [], f"seed {seed}"
    met = {fault.code for store in stores for fault in store.cluster.met}
    assert met >= {errors.COMMIT_UNKNOWN, errors.NOT_COMMITTED, errors.TOO_OLD}


def test_a_seed_is_a_run(stores: list[FdbSimStore]) -> None:
    case = Case(1, TransferRing, "everything", FAULTS["everything"])
    first, second = simulate(case), simulate(case)
    assert first.trace == second.trace
    assert first.events == second.events


def test_transactions_begin_at_their_processes_last_commits_and_conflict_where_others_wrote(stores: list[FdbSimStore]) -> None:
    for seed in range(1, 6):
        simulate(Case(seed, Everything, "cut off", FAULTS["cut off"]))
    totals: Counter[str] = Counter()
    for client in [client for store in stores for client in store.clients]:
        counters = client.tries.counters
        totals += Counter({"transactions": counters.transactions, "cached": counters.cached_starts, "stale": counters.stale_starts})
        totals += counters.conflicts
    assert totals["cached"] > totals["transactions"] // 10
    assert totals["lease"] > 0
