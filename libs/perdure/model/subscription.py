"""What admin registers of event sources: subscriptions, and the Kafka clusters that they read from.

Source: shared/spec/admin.md, section 6; shared/spec/lifecycle.md, section 11.
"""

import enum

import msgspec


class Broker(enum.StrEnum):
    """What a subscription reads from; the value is the scheme of its source."""

    KAFKA = "kafka"
    """`kafka://CLUSTER/TOPIC`"""
    NATS = "nats"
    """`nats://CLUSTER/STREAM`, a JetStream stream"""


class Source(msgspec.Struct, frozen=True):
    """A subscription's source, taken apart; `topic` is the stream's name at NATS."""

    broker: Broker
    cluster: str
    topic: str


class Subscription(msgspec.Struct, frozen=True, omit_defaults=True):
    """A topic or stream whose records become invocations of one handler. `id` is `sub_1…`; immutable but for the pause."""

    id: str
    broker: Broker
    cluster: str
    topic: str
    service: str
    handler: str
    created_at_ms: int
    options: dict[str, str] = {}
    """What the broker's client is told; wins over the properties of the cluster."""
    is_paused: bool = False

    @property
    def source(self) -> str:
        return f"{self.broker}://{self.cluster}/{self.topic}"

    @property
    def sink(self) -> str:
        return f"service://{self.service}/{self.handler}"


class KafkaCluster(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a Kafka cluster is and how to log in: properties of librdkafka, by a name that subscriptions use."""

    name: str
    properties: dict[str, str]
    created_at_ms: int
