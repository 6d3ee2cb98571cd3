"""Invokers that are cut off from the store, but not from each other."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from perdure.model.lease import Lease, decode_lease
from perdure.registry.schema import schema_of
from perdure.sim.cluster import Cluster, Faults
from perdure.sim.loop import VirtualLoop
from perdure.store.keyspace import Keyspace
from tests.simulation.suite import WORKLOADS
from tests.simulation.world import PARTITIONS, ROOT, Case, FixedSchema, run_invoker, simulate

SETTLED_S = 10.0
"""Virtual seconds after which all partitions are where they should be."""
INVOKERS = ["invoker-0.1", "invoker-1.2"]


def leases_of(cluster: Cluster) -> list[Lease]:
    keys = [Keyspace(ROOT).partition(number).lease for number in range(PARTITIONS)]
    return [decode_lease(value) for value in cluster.store.view().get_many(keys) if value is not None]


def shares(cluster: Cluster) -> dict[str, int]:
    return dict(Counter(lease.owner for lease in leases_of(cluster)))


def with_idle_invokers(scene: Callable[[Cluster], Awaitable[None]]) -> None:
    """Run a scene once two invokers without any work share the partitions."""

    async def play() -> None:
        cluster = Cluster(seed=1, faults=Faults(), handlers={})
        schema = FixedSchema(schema_of(1, [], []))
        for number in range(2):
            cluster.start(f"invoker-{number}", "invoker", lambda parts: run_invoker(parts, schema, None))
        await asyncio.sleep(SETTLED_S)
        assert shares(cluster) == dict.fromkeys(INVOKERS, PARTITIONS // 2)
        await scene(cluster)
        assert cluster.crashes == []

    VirtualLoop(duration_max_s=100).run(play())


def test_an_invoker_that_has_nothing_to_commit_is_given_up_and_gets_its_share_back() -> None:
    async def scene(cluster: Cluster) -> None:
        lonely, other = INVOKERS
        cluster.without_store.add(lonely)
        await asyncio.sleep(SETTLED_S)
        assert shares(cluster) == {other: PARTITIONS}
        cluster.without_store.clear()
        await asyncio.sleep(SETTLED_S)
        assert shares(cluster) == dict.fromkeys(INVOKERS, PARTITIONS // 2)

    with_idle_invokers(scene)


@pytest.mark.parametrize("pause_s", [0.0, 0.9])
def test_partitions_stay_where_they_are_when_nobody_reaches_the_store_for_a_while(pause_s: float) -> None:
    async def scene(cluster: Cluster) -> None:
        before = leases_of(cluster)
        cluster.without_store.update(INVOKERS)
        await asyncio.sleep(30.0)
        cluster.without_store.remove(INVOKERS[0])
        await asyncio.sleep(pause_s)
        cluster.without_store.clear()
        await asyncio.sleep(SETTLED_S)
        assert leases_of(cluster) == before

    with_idle_invokers(scene)


@pytest.mark.timeout(300)
def test_every_rule_holds_while_invokers_lose_the_store() -> None:
    failures: list[str] = []
    losses = 0
    for seed, workload in enumerate(WORKLOADS):
        verdict = simulate(Case(seed, workload, "lost store", Faults(lose_store_every_s=3.0)))
        losses += sum("off from the store" in event for event in verdict.events)
        failures += [f"{seed} ({workload.__name__}): {violation}" for violation in verdict.violations[:5]]
    assert not failures, "\n".join(failures)
    assert losses > 0
