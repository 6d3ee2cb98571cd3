"""What every source promises, held against librdkafka's mock of Kafka and a real NATS server."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from nats.js.api import RetentionPolicy

from perdure.model.subscription import Broker
from services.invoker.subscriptions.jetstream import JetStreamSource
from services.invoker.subscriptions.kafka import KafkaSource
from services.invoker.subscriptions.source import Record, Source, SourceFailed
from tests.contract.bus.nats_server import NatsServer
from tests.contract.subscriptions.brokers import SUBSCRIPTION_ID, BrokerProcess, KafkaCluster, StreamServer, a_subscription

MESSAGES = [(f"k{number % 7}", b"%d" % number) for number in range(700)]

ENDLESS = 1_000_000


@pytest.fixture(params=["kafka", "jetstream"])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BrokerProcess]:
    running: BrokerProcess = KafkaCluster() if request.param == "kafka" else StreamServer(tmp_path)
    yield running
    running.kill()


def with_source(source: Callable[[], Source], test: Callable[[Source], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        opened = source()
        try:
            async with asyncio.timeout(30):
                await test(opened)
        finally:
            await opened.close()

    asyncio.run(run())


async def read(source: Source, count: int) -> list[Record]:
    """Take until there are `count` records."""
    records: list[Record] = []
    while len(records) < count:
        records += await source.take()
    return records


async def begin(source: Source) -> dict[int, int]:
    """Read every partition from where a new subscription does."""
    offsets = {partition: await source.first_offset(partition) for partition in await source.partitions()}
    await source.read_from(offsets)
    return offsets


def by_key(records: list[Record]) -> dict[bytes | None, list[bytes]]:
    values: dict[bytes | None, list[bytes]] = defaultdict(list)
    for record in records:
        values[record.key].append(record.value)
    return values


def test_every_record_is_read_in_the_order_of_its_key(broker: BrokerProcess) -> None:
    broker.create("orders")
    broker.produce("orders", MESSAGES)

    async def test(source: Source) -> None:
        await begin(source)
        records = await read(source, len(MESSAGES))
        assert len(records) == len(MESSAGES)
        for key, values in by_key(records).items():
            assert values == [value for its_key, value in MESSAGES if its_key.encode() == key]

    with_source(lambda: broker.source("orders", **broker.start_options), test)


def test_reading_begins_where_it_is_told_as_often_as_it_is(broker: BrokerProcess) -> None:
    broker.create("orders")
    broker.produce("orders", MESSAGES)

    async def test(source: Source) -> None:
        first = await begin(source)
        whole = sorted(await read(source, len(MESSAGES)), key=lambda record: (record.partition, record.offset))
        middle = {partition: offset + 100 for partition, offset in first.items()}
        await source.read_from(middle)
        wanted = [record for record in whole if record.offset >= middle[record.partition]]
        assert sorted(await read(source, len(wanted)), key=lambda record: (record.partition, record.offset)) == wanted

    with_source(lambda: broker.source("orders", **broker.start_options), test)


def test_a_new_subscription_can_begin_with_what_comes_next(broker: BrokerProcess) -> None:
    broker.create("orders")
    broker.produce("orders", MESSAGES)

    async def test(source: Source) -> None:
        await begin(source)
        assert await source.take() == []
        await asyncio.to_thread(broker.produce, "orders", [("k", b"new")])
        assert [record.value for record in await read(source, 1)] == [b"new"]

    with_source(lambda: broker.source("orders", **broker.end_options), test)


def test_a_topic_that_ends_before_the_position_is_told(broker: BrokerProcess) -> None:
    broker.create("orders")
    broker.produce("orders", MESSAGES[:10])

    async def test(source: Source) -> None:
        with pytest.raises(SourceFailed, match="was made anew"):
            await source.read_from(dict.fromkeys(await source.partitions(), 5_000))

    with_source(lambda: broker.source("orders"), test)


def test_a_topic_that_is_not_there_is_told(broker: BrokerProcess) -> None:
    async def test(source: Source) -> None:
        with pytest.raises(SourceFailed, match="missing"):
            await begin(source)

    with_source(lambda: broker.source("missing"), test)


def test_a_server_without_jetstream_is_told(tmp_path: Path) -> None:
    server = NatsServer(tmp_path)
    server.start()

    async def test(source: Source) -> None:
        with pytest.raises(SourceFailed, match="nobody there answers for JetStream"):
            await begin(source)

    try:
        with_source(lambda: JetStreamSource(a_subscription(Broker.NATS, "ORDERS", {}), {"url": server.url}), test)
    finally:
        server.kill()


def test_certificates_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    async def test(source: Source) -> None:
        with pytest.raises(SourceFailed, match="the certificates for the NATS cluster 'mine' cannot be used"):
            await begin(source)

    properties = {"url": "nats://127.0.0.1:1", "tls_ca_file": str(tmp_path / "missing.pem")}
    with_source(lambda: JetStreamSource(a_subscription(Broker.NATS, "ORDERS", {}), properties), test)


def test_an_option_that_nobody_knows_is_told(broker: BrokerProcess) -> None:
    with pytest.raises(SourceFailed, match=r"no\.such\.option"):
        broker.source("orders", **{"no.such.option": "1"})


def test_a_broker_that_dies_is_told(broker: BrokerProcess) -> None:
    broker.create("orders")
    broker.produce("orders", MESSAGES)

    async def test(source: Source) -> None:
        await begin(source)
        await read(source, 10)
        broker.kill()
        with pytest.raises(SourceFailed):
            await read(source, ENDLESS)

    with_source(lambda: broker.source("orders", **broker.start_options), test)


@pytest.fixture
def kafka() -> Iterator[KafkaCluster]:
    running = KafkaCluster()
    yield running
    running.kill()


@pytest.fixture
def jetstream(tmp_path: Path) -> Iterator[StreamServer]:
    running = StreamServer(tmp_path)
    yield running
    running.kill()


def test_a_kafka_record_says_where_it_is_from(kafka: KafkaCluster) -> None:
    kafka.produce("orders", [("é", b"one")])

    async def test(source: Source) -> None:
        await begin(source)
        (record,) = await read(source, 1)
        attributes = dict(record.attributes)
        assert int(attributes.pop("kafka.timestamp")) > 1_600_000_000_000
        assert attributes == {
            "kafka.offset": "0",
            "kafka.topic": "orders",
            "kafka.partition": str(record.partition),
            "restate.subscription.id": SUBSCRIPTION_ID,
            "kafka.key": "w6k=",
        }

    with_source(lambda: kafka.source("orders", **kafka.start_options), test)


def test_a_reader_that_waits_for_its_broker_can_be_closed() -> None:
    async def test() -> None:
        source = KafkaSource(a_subscription(Broker.KAFKA, "orders", {}), {"bootstrap.servers": "127.0.0.1:1"})
        asking = asyncio.ensure_future(source.partitions())
        await asyncio.sleep(0)
        await source.close()
        assert not asking.done()
        asking.cancel()

    asyncio.run(test())


def test_partitions_of_others_are_not_read(kafka: KafkaCluster) -> None:
    kafka.produce("orders", MESSAGES)

    async def test(source: Source) -> None:
        await source.read_from({2: 0})
        assert {record.partition for record in await read(source, 10)} == {2}

    with_source(lambda: kafka.source("orders"), test)


def test_what_is_confirmed_is_where_another_subscription_of_the_group_begins(kafka: KafkaCluster) -> None:
    kafka.produce("orders", MESSAGES)
    options = {"group.id": "shared", "auto.offset.reset": "earliest"}

    async def confirm(source: Source) -> None:
        await begin(source)
        await source.confirm({0: 5})

    async def test(source: Source) -> None:
        assert [await source.first_offset(partition) for partition in (0, 1)] == [5, 0]

    with_source(lambda: kafka.source("orders", **options), confirm)
    with_source(lambda: kafka.source("orders", **options), test)


def test_a_message_of_a_stream_says_where_it_is_from(jetstream: StreamServer) -> None:
    jetstream.create("orders")
    jetstream.produce("orders", [("eu.ada", b"one")])

    async def test(source: Source) -> None:
        await begin(source)
        (record,) = await read(source, 1)
        attributes = dict(record.attributes)
        assert int(attributes.pop("nats.timestamp")) > 1_600_000_000_000
        assert (record.key, record.offset) == (b"ada", 1)
        assert attributes == {
            "nats.stream": "orders",
            "nats.subject": "orders.eu.ada",
            "nats.sequence": "1",
            "restate.subscription.id": SUBSCRIPTION_ID,
        }

    with_source(lambda: jetstream.source("orders"), test)


def test_only_the_subjects_of_the_filter_are_read(jetstream: StreamServer) -> None:
    jetstream.create("orders")
    jetstream.produce("orders", MESSAGES)

    async def test(source: Source) -> None:
        await begin(source)
        assert {record.key for record in await read(source, 100)} == {b"k3"}

    with_source(lambda: jetstream.source("orders", **{"filter.subject": "orders.k3"}), test)


def test_a_second_reader_of_a_stream_ends_the_first(jetstream: StreamServer) -> None:
    jetstream.create("orders")
    jetstream.produce("orders", MESSAGES)

    async def test(source: Source) -> None:
        await begin(source)
        await read(source, 10)
        other = jetstream.source("orders")
        await begin(other)
        with pytest.raises(SourceFailed):
            await read(source, ENDLESS)
        assert len(await read(other, len(MESSAGES))) == len(MESSAGES)
        await other.close()

    with_source(lambda: jetstream.source("orders"), test)


def test_a_queue_keeps_what_is_not_confirmed(jetstream: StreamServer) -> None:
    jetstream.create("jobs", RetentionPolicy.WORK_QUEUE)
    jetstream.produce("jobs", MESSAGES[:100])

    async def test(source: Source) -> None:
        await begin(source)
        await read(source, 100)
        await source.confirm({0: 61})
        await source.read_from({0: 61})
        assert [record.offset for record in await read(source, 40)] == list(range(61, 101))

    with_source(lambda: jetstream.source("jobs"), test)
    assert jetstream.count("jobs") == 40
