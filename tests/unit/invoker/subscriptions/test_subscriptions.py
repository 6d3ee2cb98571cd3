"""Which invoker reads what, and what it tells of it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.bus.messages import VERSION, Heartbeat
from perdure.model.subscription import Broker, KafkaCluster, Subscription
from perdure.registry.schema import Schema
from perdure.registry.subscriptions import StaticClusters
from services.invoker.assignment import holder_of
from services.invoker.subscriptions.admission import RECORDS_MAX, Arrival, batches
from services.invoker.subscriptions.source import Source, SourceFailed
from services.invoker.subscriptions.subscriptions import Properties, Subscriptions
from tests.unit.invoker.subscriptions.simulated import LOG, an_arrival

FIRST = Subscription("sub_1a", Broker.KAFKA, "mine", "orders", "Ledger", "note", 0)
SECOND = Subscription("sub_1b", Broker.NATS, "own", "ORDERS", "Ledger", "note", 0)
MINE = KafkaCluster("mine", {"bootstrap.servers": "a:1"}, 0)
names = st.lists(st.text("abc", min_size=1, max_size=5), min_size=1, max_size=5, unique=True)


class MutableSchema:
    def __init__(self, *subscriptions: Subscription, clusters: tuple[KafkaCluster, ...] = (MINE,)) -> None:
        self.change(*subscriptions, clusters=clusters)

    def change(self, *subscriptions: Subscription, clusters: tuple[KafkaCluster, ...] = (MINE,)) -> None:
        self.current = Schema(
            subscriptions={each.id: each for each in subscriptions}, kafka_clusters={cluster.name: cluster for cluster in clusters}
        )


class NoPeers:
    def alive(self, role: str | None = None, *, now_ms: int | None = None) -> list[Heartbeat]:
        return [Heartbeat(VERSION, "invoker", "other", "", "", 0, counters={"invocations": 10})]


class Opened:
    """Remembers what was opened, and opens nothing."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Properties | None]] = []

    def __call__(self, subscription: Subscription, properties: Properties | None) -> Source:
        self.calls.append((subscription.id, properties))
        raise SourceFailed("x" * 1_000)


def with_subscriptions(schema: MutableSchema, test: Callable[[Subscriptions, Opened], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        opened = Opened()
        subscriptions = Subscriptions(
            invoker_id="me",
            schema=schema,
            clusters=StaticClusters(),
            peers=NoPeers(),
            open_source=opened,
            mapper=LOG.mapper,
            admission=LOG.admission(),
            invocations_max=100,
        )
        running = asyncio.ensure_future(subscriptions.run())
        await turns()
        await test(subscriptions, opened)
        running.cancel()
        await asyncio.wait([running])
        assert subscriptions.pumps == []

    asyncio.run(run())


async def turns() -> None:
    """Let everything happen that waits for nothing but its turn."""
    for _ in range(20):
        await asyncio.sleep(0)


def test_what_is_registered_is_read_with_the_properties_of_its_cluster() -> None:
    async def test(subscriptions: Subscriptions, opened: Opened) -> None:
        assert opened.calls == [(FIRST.id, MINE.properties), (SECOND.id, None)]
        assert [pump.subscription for pump in subscriptions.pumps] == [FIRST, SECOND]

    with_subscriptions(MutableSchema(FIRST, SECOND), test)


@pytest.mark.parametrize("after", [[], [msgspec.structs.replace(FIRST, is_paused=True)]], ids=["deleted", "paused"])
def test_what_is_deleted_or_paused_is_read_no_more(after: list[Subscription]) -> None:
    schema = MutableSchema(FIRST)

    async def test(subscriptions: Subscriptions, opened: Opened) -> None:
        schema.change(*after)
        subscriptions.nudge()
        await turns()
        assert subscriptions.pumps == []
        assert len(opened.calls) == 1

    with_subscriptions(schema, test)


def test_reading_begins_anew_when_the_properties_of_the_cluster_change() -> None:
    schema = MutableSchema(FIRST, SECOND)

    async def test(subscriptions: Subscriptions, opened: Opened) -> None:
        changed = msgspec.structs.replace(MINE, properties={"bootstrap.servers": "b:1"})
        schema.change(FIRST, SECOND, clusters=(changed,))
        subscriptions.nudge()
        await turns()
        assert opened.calls[2:] == [(FIRST.id, changed.properties)]

    with_subscriptions(schema, test)


def test_a_failure_is_told_in_a_length_that_fits_a_heartbeat() -> None:
    async def test(subscriptions: Subscriptions, opened: Opened) -> None:
        assert subscriptions.failures() == {FIRST.id: "x" * 300}
        assert [pump.failures for pump in subscriptions.pumps] == [1]

    with_subscriptions(MutableSchema(FIRST), test)


@given(names, st.lists(st.integers(0, 50), unique=True))
def test_every_partition_has_exactly_one_reader_whoever_looks(living: list[str], partitions: list[int]) -> None:
    for partition in partitions:
        item = f"sub_1a/{partition}"
        assert holder_of(item, living) == holder_of(item, living[::-1])
        assert holder_of(item, living) in living


@given(names, st.data())
def test_only_what_the_dead_had_changes_its_reader(living: list[str], data: st.DataObject) -> None:
    dead = data.draw(st.sampled_from(living))
    rest = [name for name in living if name != dead]
    for partition in range(20):
        before = holder_of(f"sub_1a/{partition}", living)
        assert before == dead or holder_of(f"sub_1a/{partition}", rest) == before


@given(st.lists(st.integers(0, 2_000_000), max_size=30), st.integers(0, 1_200))
def test_batches_keep_order_and_fit_a_transaction(sizes: list[int], small: int) -> None:
    arrivals: list[Arrival] = [an_arrival(number, b"x" * min(size, 1_500_000)) for number, size in enumerate([*sizes, *[1] * small])]
    cut = batches(arrivals)
    assert [arrival for batch in cut for arrival in batch] == arrivals
    for batch in cut:
        assert 0 < len(batch) <= RECORDS_MAX
        assert len(batch) == 1 or sum(len(arrival.mail.body) for arrival in batch) <= 2**20
