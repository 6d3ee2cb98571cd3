"""Brokers as processes of a test's own: librdkafka's mock of Kafka, and a NATS server with JetStream. Both take records the same way."""

import asyncio
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Protocol

import nats
from confluent_kafka import Producer
from nats.js.api import RetentionPolicy

from perdure.model.subscription import Broker, Subscription
from services.invoker.subscriptions.source import Source
from tests.contract.bus.nats_server import NatsServer

REPOSITORY: Final = Path(__file__).resolve().parents[3]
SUBSCRIPTION_ID: Final = "sub_10000000000000000000001"

Message = tuple[str, bytes]
"""key, value"""


class BrokerProcess(Protocol):
    """A broker and the one topic or stream that a test uses."""

    properties: dict[str, str]
    start_options: dict[str, str]
    """Make a subscription begin with the oldest record."""
    end_options: dict[str, str]
    """Make it begin with what comes next."""

    def create(self, topic: str) -> None: ...

    def produce(self, topic: str, messages: Iterable[Message]) -> None:
        """Add records, in order for each key; return once they are there."""
        ...

    def source(self, topic: str, **options: str) -> Source: ...

    def kill(self) -> None: ...


def a_subscription(broker: Broker, topic: str, options: dict[str, str]) -> Subscription:
    return Subscription(SUBSCRIPTION_ID, broker, "mine", topic, "Ledger", "note", 0, options)


class KafkaCluster:
    """A cluster of one broker; topics have four partitions, and come into being with their first record."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.contract.subscriptions.mock_kafka"], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.properties = {"bootstrap.servers": self._process.stdout.readline().strip()}
        assert self.properties["bootstrap.servers"]
        self.start_options = {"auto.offset.reset": "earliest"}
        self.end_options = {"auto.offset.reset": "latest"}
        self._producer = Producer({**self.properties, "log_level": 0, "linger.ms": 1})

    def create(self, topic: str) -> None:
        self._producer.list_topics(topic, timeout=10)

    def produce(self, topic: str, messages: Iterable[Message]) -> None:
        for key, value in messages:
            self._producer.produce(topic, key=key, value=value)
            self._producer.poll(0)
        assert self._producer.flush(30) == 0

    def source(self, topic: str, **options: str) -> Source:
        from services.invoker.subscriptions.kafka import KafkaSource

        return KafkaSource(a_subscription(Broker.KAFKA, topic, options), self.properties)

    def kill(self) -> None:
        assert self._process.stdout is not None
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()


class StreamServer:
    """A NATS server; a topic is a stream of the subjects `topic.>`, and a key the rest of a subject."""

    def __init__(self, directory: Path) -> None:
        self._server = NatsServer(directory, f'jetstream {{ store_dir: "{directory}/jetstream" }}\n')
        self._server.start()
        self.properties = {"url": self._server.url}
        self.start_options: dict[str, str] = {}
        self.end_options = {"deliver.policy": "new"}

    def create(self, topic: str, retention: RetentionPolicy = RetentionPolicy.LIMITS) -> None:
        async def create(client: nats.NATS) -> None:
            await client.jetstream().add_stream(name=topic, subjects=[f"{topic}.>"], retention=retention)

        self._do(create)

    def produce(self, topic: str, messages: Iterable[Message]) -> None:
        async def produce(client: nats.NATS) -> None:
            stream = client.jetstream(publish_async_max_pending=1_000)
            for key, value in messages:
                await stream.publish_async(f"{topic}.{key}", value)
            await stream.publish_async_completed()

        self._do(produce)

    def count(self, topic: str) -> int:
        """Return how many messages the stream holds."""

        async def count(client: nats.NATS) -> None:
            found.append((await client.jetstream().stream_info(topic)).state.messages)

        found: list[int] = []
        self._do(count)
        return found[0]

    def source(self, topic: str, **options: str) -> Source:
        from services.invoker.subscriptions.jetstream import JetStreamSource

        return JetStreamSource(a_subscription(Broker.NATS, topic, options), self.properties)

    def kill(self) -> None:
        self._server.kill()

    def _do(self, work: "Work") -> None:
        async def run() -> None:
            client = await nats.connect(self._server.url)
            try:
                await work(client)
            finally:
                await client.close()

        asyncio.run(run())


class Work(Protocol):
    async def __call__(self, client: nats.NATS) -> None: ...
