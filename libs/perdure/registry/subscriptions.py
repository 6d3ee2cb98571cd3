"""How subscriptions and Kafka clusters change: each function that takes a transaction is one transaction's body, safe to run again.

Ids and times are handed in. Clusters of the configuration are handed in as well: they are everywhere, and cannot be changed here.
Source: shared/spec/admin.md, section 6; shared/spec/lifecycle.md, section 11.
"""

import re
from collections.abc import Collection
from typing import Final

import msgspec

from perdure.model.subscription import Broker, KafkaCluster, Source, Subscription
from perdure.registry.errors import ClusterConflict, InvalidCluster, InvalidSubscription, NotRegistered, UnknownCluster
from perdure.registry.schema import (
    Schema,
    bump_meta_version,
    put_kafka_cluster,
    put_subscription,
    read_schema,
    remove_kafka_cluster,
    remove_subscription,
)
from perdure.store.interface import Transaction
from perdure.store.keyspace import Keyspace

OWN_CLUSTER: Final = "own"
"""The NATS server that the processes themselves talk over, as a source of subscriptions."""

GROUP_ID: Final = "group.id"
CLIENT_ID: Final = "client.id"
_CLIENT: Final = "restate"
DELIVER_POLICY: Final = "deliver.policy"
SUBJECT_FILTER: Final = "filter.subject"
KEY_HEADER: Final = "key.header"
STREAM_OPTIONS: Final = (DELIVER_POLICY, SUBJECT_FILTER, KEY_HEADER)
DELIVER_POLICIES: Final = ("all", "new")
_BROKER_NAMES: Final = {Broker.KAFKA: "Kafka", Broker.NATS: "NATS"}
_URI: Final = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?#\s]*)(?:/([^?#\s]*))?(?:\?[^#\s]*)?")
"""A query says nothing, as clients know it."""
_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")
_ADDRESSES: Final = ("bootstrap.servers", "metadata.broker.list")


class StaticClusters(msgspec.Struct, frozen=True):
    """The clusters of the configuration: name -> properties."""

    kafka: dict[str, dict[str, str]] = {}
    nats: dict[str, dict[str, str]] = {}

    def names(self, broker: Broker, schema: Schema) -> list[str]:
        """Return the clusters that a subscription can name, in order."""
        known: Collection[str] = {*self.kafka, *schema.kafka_clusters} if broker is Broker.KAFKA else {*self.nats, OWN_CLUSTER}
        return sorted(known)


def parse_source(uri: str) -> Source:
    """Return the source that a URI names.

    Raises:
        InvalidSubscription: Another scheme, or no such name of a topic or stream.
    """
    match = _URI.fullmatch(uri)
    if match is None or match[1] not in Broker.__members__.values():
        supported = ", ".join(Broker)
        raise InvalidSubscription(f"invalid source URI '{uri}': must have a scheme segment, with supported schemes: [{supported}].")
    topic = match[3] or ""
    if not match[2] or not _TOPIC.fullmatch(topic):
        raise InvalidSubscription(f"invalid source URI '{uri}': must name a cluster and, as its path, a topic or stream.")
    return Source(Broker(match[1]), match[2], topic)


def parse_sink(uri: str, schema: Schema) -> tuple[str, str]:
    """Return service and handler of a sink.

    Raises:
        InvalidSubscription: Another scheme, or no such handler.
    """
    match = _URI.fullmatch(uri)
    if match is None or match[1] != "service":
        raise InvalidSubscription(f"invalid sink URI '{uri}': must have a scheme segment, with supported schemes: [service].")
    service = schema.services.get(match[2])
    if service is None or (match[3] or "") not in service.handlers:
        shown = uri if match[3] is not None else f"{uri}/"
        raise InvalidSubscription(f"invalid sink URI '{shown}': cannot find service/handler specified in the sink URI.")
    return match[2], match[3]


def create_subscription(
    tr: Transaction,
    keyspace: Keyspace,
    clusters: StaticClusters,
    *,
    subscription_id: str,
    source: str,
    sink: str,
    options: dict[str, str],
    created_at_ms: int,
) -> tuple[Subscription, int]:
    """Add a subscription; return it with the new version of the metadata.

    Raises:
        InvalidSubscription: Source, sink or an option cannot be.
        UnknownCluster: Nobody has told where the source's cluster is.
    """
    schema = read_schema(tr, keyspace)
    if subscription_id in schema.subscriptions:  # an earlier run of this body has committed
        return schema.subscriptions[subscription_id], schema.meta_version
    where = parse_source(source)
    service, handler = parse_sink(sink, schema)
    names = clusters.names(where.broker, schema)
    if where.cluster not in names:
        shown = msgspec.json.encode(names).decode().replace(",", ", ")
        raise UnknownCluster(f"{_BROKER_NAMES[where.broker]} cluster '{where.cluster}' not found. Available clusters: {shown}")
    if where.broker is Broker.NATS:
        _check_stream_options(options)
    subscription = Subscription(
        id=subscription_id,
        broker=where.broker,
        cluster=where.cluster,
        topic=where.topic,
        service=service,
        handler=handler,
        created_at_ms=created_at_ms,
        options=_completed(options, where, subscription_id, clusters, schema),
    )
    put_subscription(tr, keyspace, subscription)
    return subscription, bump_meta_version(tr, keyspace)


def _check_stream_options(options: dict[str, str]) -> None:
    """Refuse what no reader of a stream knows. Those of Kafka are librdkafka's, which only a reader has at hand."""
    unknown = next((name for name in options if name not in STREAM_OPTIONS), None)
    if unknown is not None:
        raise InvalidSubscription(f"a subscription of a stream has no option '{unknown}'; there are {', '.join(STREAM_OPTIONS)}")
    policy = options.get(DELIVER_POLICY, DELIVER_POLICIES[0])
    if policy not in DELIVER_POLICIES:
        raise InvalidSubscription(f"{DELIVER_POLICY} is '{policy}'; it can be {' or '.join(DELIVER_POLICIES)}")


def _completed(options: dict[str, str], source: Source, subscription_id: str, clusters: StaticClusters, schema: Schema) -> dict[str, str]:
    """Return the options with the group and the client, unless the cluster's properties say them."""
    if source.broker is not Broker.KAFKA:
        return options
    properties = kafka_properties(source.cluster, clusters, schema) or {}
    defaults = {GROUP_ID: subscription_id, CLIENT_ID: _CLIENT}
    return {**{name: value for name, value in defaults.items() if name not in properties}, **options}


def kafka_properties(name: str, clusters: StaticClusters, schema: Schema) -> dict[str, str] | None:
    """Return the properties of a Kafka cluster; those of the configuration win."""
    if name in clusters.kafka:
        return clusters.kafka[name]
    cluster = schema.kafka_clusters.get(name)
    return None if cluster is None else cluster.properties


def delete_subscription(tr: Transaction, keyspace: Keyspace, subscription_id: str) -> int:
    """Remove a subscription; what commits after this admits no record of it. Return the new version of the metadata.

    Raises:
        NotRegistered: There is no such subscription (any more).
    """
    _subscription(read_schema(tr, keyspace), subscription_id)
    remove_subscription(tr, keyspace, subscription_id)
    return bump_meta_version(tr, keyspace)


def pause_subscription(tr: Transaction, keyspace: Keyspace, subscription_id: str, *, is_paused: bool) -> tuple[Subscription, int]:
    """Let a subscription rest, or go on; return it and the new version of the metadata.

    Raises:
        NotRegistered: There is no such subscription.
    """
    changed = msgspec.structs.replace(_subscription(read_schema(tr, keyspace), subscription_id), is_paused=is_paused)
    put_subscription(tr, keyspace, changed)
    return changed, bump_meta_version(tr, keyspace)


def _subscription(schema: Schema, subscription_id: str) -> Subscription:
    subscription = schema.subscriptions.get(subscription_id)
    if subscription is None:
        raise NotRegistered(f"not found in the schema registry: subscription with id '{subscription_id}'")
    return subscription


def add_kafka_cluster(tr: Transaction, keyspace: Keyspace, clusters: StaticClusters, cluster: KafkaCluster) -> int:
    """Add a Kafka cluster; return the new version of the metadata.

    Raises:
        InvalidCluster: No address among the properties.
        ClusterConflict: The name is taken.
    """
    schema = read_schema(tr, keyspace)
    if schema.kafka_clusters.get(cluster.name) == cluster:  # an earlier run of this body has committed
        return schema.meta_version
    _check_properties(cluster.name, cluster.properties)
    if cluster.name in clusters.kafka:
        raise ClusterConflict(
            f"kafka cluster '{cluster.name}' conflicts with static configuration. "
            "Cluster names in schema registry cannot override statically configured clusters."
        )
    if cluster.name in schema.kafka_clusters:
        raise ClusterConflict(f"kafka cluster '{cluster.name}' already exists in schema registry")
    put_kafka_cluster(tr, keyspace, cluster)
    return bump_meta_version(tr, keyspace)


def update_kafka_cluster(
    tr: Transaction, keyspace: Keyspace, clusters: StaticClusters, name: str, properties: dict[str, str]
) -> tuple[KafkaCluster, int]:
    """Replace the properties of a Kafka cluster; return it and the new version of the metadata.

    Raises:
        NotRegistered: There is no such cluster.
        InvalidCluster: No address among the properties.
        ClusterConflict: It belongs to the configuration.
    """
    _check_properties(name, properties)
    _check_not_static(name, clusters)
    cluster = read_schema(tr, keyspace).kafka_clusters.get(name)
    if cluster is None:
        raise NotRegistered(f"not found in the schema registry: kafka cluster '{name}'")
    changed = msgspec.structs.replace(cluster, properties=properties)
    put_kafka_cluster(tr, keyspace, changed)
    return changed, bump_meta_version(tr, keyspace)


def delete_kafka_cluster(tr: Transaction, keyspace: Keyspace, clusters: StaticClusters, name: str, *, is_forced: bool) -> int:
    """Remove a Kafka cluster; return the new version of the metadata.

    Raises:
        NotRegistered: There is no such cluster.
        ClusterConflict: It belongs to the configuration, or a subscription reads from it and `is_forced` is false.
    """
    _check_not_static(name, clusters)
    schema = read_schema(tr, keyspace)
    if name not in schema.kafka_clusters:
        raise NotRegistered(f"not found in the schema registry: kafka cluster named '{name}'")
    user = next(iter(subscriptions_of(schema, name)), None)
    if user is not None and not is_forced:
        raise ClusterConflict(
            f"Removing the kafka cluster '{name}' leads to subscription '{user.id}' being orphan. "
            "Remove the subscription first, or use the 'force' flag."
        )
    remove_kafka_cluster(tr, keyspace, name)
    return bump_meta_version(tr, keyspace)


def subscriptions_of(schema: Schema, cluster: str) -> list[Subscription]:
    """Return the subscriptions that read from a Kafka cluster."""
    return [each for each in schema.subscriptions.values() if each.broker is Broker.KAFKA and each.cluster == cluster]


def _check_properties(name: str, properties: dict[str, str]) -> None:
    if not any(address in properties for address in _ADDRESSES):
        raise InvalidCluster(f"kafka cluster '{name}' properties must contain either 'bootstrap.servers' or 'metadata.broker.list'")


def _check_not_static(name: str, clusters: StaticClusters) -> None:
    if name in clusters.kafka:
        raise ClusterConflict(
            f"kafka cluster '{name}' cannot be updated, because it is defined in the configuration. Change the configuration instead."
        )
