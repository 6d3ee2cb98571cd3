"""Registering, showing, changing and removing Kafka clusters. Source: shared/spec/admin.md, section 6."""

from typing import Annotated, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from perdure.model.subscription import KafkaCluster
from perdure.registry import subscriptions as registry
from services.admin.bodies import read_flag, read_record
from services.admin.context import AdminContext, context_of
from services.admin.errors import NotFound, json_response
from services.admin.views import View, kafka_cluster_view, subscription_view

NAME_BEGINNING: Final = r"^[A-Za-z0-9._~:\[\]@!$&'()*+,;=%-]+"
"""A name is a part of the sources' URIs, and of a path here. Its end is written in one way for Python and in another for JSON schema."""


class _NewCluster(msgspec.Struct, frozen=True):
    name: Annotated[str, msgspec.Meta(pattern=NAME_BEGINNING + r"\Z")]
    properties: dict[str, str]


class _ClusterPatch(msgspec.Struct, frozen=True):
    properties: dict[str, str]


async def create_kafka_cluster(request: Request) -> Response:
    """`POST /kafka-clusters`."""
    context, body = context_of(request), await read_record(request, _NewCluster)
    cluster = KafkaCluster(body.name, body.properties, context.clock.now_ms())
    await context.change(lambda tr: registry.add_kafka_cluster(tr, context.keyspace, context.clusters, cluster), lambda version: version)
    return json_response(201, kafka_cluster_view(cluster), {"location": f"kafka-clusters/{cluster.name}"})


async def list_kafka_clusters(request: Request) -> Response:
    """`GET /kafka-clusters`: those registered and those of the configuration."""
    context = context_of(request)
    registered = (await context.schema()).kafka_clusters
    clusters = [cluster for name, cluster in registered.items() if name not in context.clusters.kafka]
    views = [_static_view(context, name) for name in context.clusters.kafka] + [kafka_cluster_view(cluster) for cluster in clusters]
    return json_response(200, {"clusters": views})


async def get_kafka_cluster(request: Request) -> Response:
    """`GET /kafka-clusters/{cluster}`; `include_subscriptions=true` shows who reads from it."""
    context, is_full = context_of(request), read_flag(request, "include_subscriptions")
    name: str = request.path_params["cluster_name"]
    schema, failures = await context.schema(), context.subscription_failures()
    cluster = schema.kafka_clusters.get(name)
    if name in context.clusters.kafka:
        view = _static_view(context, name)
    elif cluster is not None:
        view = kafka_cluster_view(cluster)
    else:
        raise NotFound(f"The requested Kafka cluster '{name}' does not exist")
    readers = registry.subscriptions_of(schema, name) if is_full else []
    return json_response(200, view | {"subscriptions": [subscription_view(each, failures.get(each.id)) for each in readers]})


async def patch_kafka_cluster(request: Request) -> Response:
    """`PATCH /kafka-clusters/{cluster}`: replace all properties; subscriptions read on with the new ones."""
    context, body = context_of(request), await read_record(request, _ClusterPatch)
    name: str = request.path_params["cluster_name"]
    cluster, _ = await context.change(
        lambda tr: registry.update_kafka_cluster(tr, context.keyspace, context.clusters, name, body.properties), lambda result: result[1]
    )
    return json_response(200, kafka_cluster_view(cluster))


async def delete_kafka_cluster(request: Request) -> Response:
    """`DELETE /kafka-clusters/{cluster}`; one in use only with `force=true`."""
    context, is_forced = context_of(request), read_flag(request, "force")
    name: str = request.path_params["cluster_name"]
    await context.change(
        lambda tr: registry.delete_kafka_cluster(tr, context.keyspace, context.clusters, name, is_forced=is_forced),
        lambda version: version,
    )
    return Response(status_code=202)


def _static_view(context: AdminContext, name: str) -> View:
    view = kafka_cluster_view(KafkaCluster(name, context.clusters.kafka[name], 0))
    return view | {"info": [{"message": "This Kafka cluster is part of the server's configuration."}]}
