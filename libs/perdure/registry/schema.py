"""All registered metadata as one immutable value, and how it is read from and written to the store.

Values are msgpack of the model's records, in chunks where they are large. A revision of a service belongs to exactly one deployment.
Source: shared/spec/lifecycle.md, section 9.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from perdure.model.deployment import Deployment, Service
from perdure.model.subscription import KafkaCluster, Subscription
from perdure.store.chunks import clear_chunked, get_range_chunked, set_chunked
from perdure.store.interface import ReadTransaction, Transaction
from perdure.store.keyspace import Keyspace, range_of

_encoder: Final = msgspec.msgpack.Encoder()
_deployment_decoder: Final = msgspec.msgpack.Decoder(Deployment)
_service_decoder: Final = msgspec.msgpack.Decoder(Service)
_subscription_decoder: Final = msgspec.msgpack.Decoder(Subscription)
_cluster_decoder: Final = msgspec.msgpack.Decoder(KafkaCluster)


class Schema(msgspec.Struct, frozen=True):
    """The metadata at one version. Read-only: a change makes a new one."""

    meta_version: int = 0
    deployments: dict[str, Deployment] = {}
    """deployment id -> deployment"""
    services: dict[str, Service] = {}
    """service name -> its latest revision"""
    revisions: dict[str, dict[int, Service]] = {}
    """service name -> revision -> service"""
    subscriptions: dict[str, Subscription] = {}
    """subscription id -> subscription"""
    kafka_clusters: dict[str, KafkaCluster] = {}
    """name -> cluster, without those of the configuration"""

    def deployment_of(self, service_name: str) -> Deployment | None:
        """Return the deployment of the latest revision of a service: where invocations that are not pinned run."""
        service = self.services.get(service_name)
        return None if service is None else self.deployments.get(service.deployment_id)

    def service_at(self, deployment_id: str, service_name: str) -> Service | None:
        """Return the revision of a service that a deployment serves: what counts for attempts that run there."""
        deployment = self.deployments.get(deployment_id)
        revision = None if deployment is None else deployment.services.get(service_name)
        return None if revision is None else self.revisions.get(service_name, {}).get(revision)


def schema_of(
    meta_version: int,
    deployments: Sequence[Deployment],
    services: Sequence[Service],
    *,
    subscriptions: Sequence[Subscription] = (),
    clusters: Sequence[KafkaCluster] = (),
) -> Schema:
    """Return the schema that consists of these records."""
    revisions: dict[str, dict[int, Service]] = {}
    for service in services:
        revisions.setdefault(service.name, {})[service.revision] = service
    return Schema(
        meta_version=meta_version,
        deployments={deployment.id: deployment for deployment in deployments},
        services={name: by_revision[max(by_revision)] for name, by_revision in revisions.items()},
        revisions=revisions,
        subscriptions={subscription.id: subscription for subscription in subscriptions},
        kafka_clusters={cluster.name: cluster for cluster in clusters},
    )


def read_meta_version(tr: ReadTransaction, keyspace: Keyspace) -> int:
    """Return the counter of changes, 0 in a new store."""
    value = tr.get(keyspace.meta_version)
    return 0 if value is None else int.from_bytes(value, "little", signed=True)


def read_schema(tr: ReadTransaction, keyspace: Keyspace) -> Schema:
    """Return everything that is registered. In a transaction all of it becomes part of the conflict set."""
    deployments = [_deployment_decoder.decode(value) for _, value in get_range_chunked(tr, *range_of(keyspace.deployments))]
    services = [_service_decoder.decode(value) for _, value in get_range_chunked(tr, *range_of(keyspace.services))]
    subscriptions = [_subscription_decoder.decode(value) for _, value in get_range_chunked(tr, *range_of(keyspace.subscriptions))]
    clusters = [_cluster_decoder.decode(value) for _, value in get_range_chunked(tr, *range_of(keyspace.kafka_clusters))]
    return schema_of(read_meta_version(tr, keyspace), deployments, services, subscriptions=subscriptions, clusters=clusters)


def put_deployment(tr: Transaction, keyspace: Keyspace, deployment: Deployment) -> None:
    """Write a deployment; the caller bumps the version."""
    set_chunked(tr, keyspace.deployment(deployment.id), _encoder.encode(deployment))


def put_service(tr: Transaction, keyspace: Keyspace, service: Service) -> None:
    """Write a revision of a service; the caller bumps the version."""
    assert service.revision > 0
    assert service.deployment_id
    set_chunked(tr, keyspace.service(service.name, service.revision), _encoder.encode(service))


def remove_deployment(tr: Transaction, keyspace: Keyspace, deployment: Deployment) -> None:
    """Remove a deployment and the revisions that it serves; the caller bumps the version."""
    clear_chunked(tr, keyspace.deployment(deployment.id))
    for name, revision in deployment.services.items():
        clear_chunked(tr, keyspace.service(name, revision))


def put_subscription(tr: Transaction, keyspace: Keyspace, subscription: Subscription) -> None:
    """Write a subscription; the caller bumps the version."""
    set_chunked(tr, keyspace.subscription(subscription.id), _encoder.encode(subscription))


def remove_subscription(tr: Transaction, keyspace: Keyspace, subscription_id: str) -> None:
    """Remove a subscription and how far it has read; the caller bumps the version."""
    clear_chunked(tr, keyspace.subscription(subscription_id))
    tr.clear_range(*range_of(keyspace.positions_of(subscription_id)))


def put_kafka_cluster(tr: Transaction, keyspace: Keyspace, cluster: KafkaCluster) -> None:
    """Write a Kafka cluster; the caller bumps the version."""
    set_chunked(tr, keyspace.kafka_cluster(cluster.name), _encoder.encode(cluster))


def remove_kafka_cluster(tr: Transaction, keyspace: Keyspace, name: str) -> None:
    """Remove a Kafka cluster; the caller bumps the version."""
    clear_chunked(tr, keyspace.kafka_cluster(name))


def bump_meta_version(tr: Transaction, keyspace: Keyspace) -> int:
    """Count one change and return the new version."""
    tr.add(keyspace.meta_version, 1)
    return read_meta_version(tr, keyspace)
