"""Health, version, the description of the API itself, and the cluster. Source: shared/spec/admin.md, sections 1.2 and 2."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from services.admin.context import SERVER_VERSION, context_of
from services.admin.errors import error_response, json_response
from services.admin.openapi import openapi_document
from services.admin.routing import API_VERSION_MAX, API_VERSION_MIN

_FEATURES: Final = (
    "scoped_virtual_objects",
    "vqueues_async_refill",
    "vqueues",
    "unique_random_seeds",
    "vqueue_obsolete_cleanup",
    "vqueues_migration_skip_completed",
    "preflight_invocation_termination_retention",
    "scoped_promise_table_migration",
    "invoker_yield",
    "protocol_v7",
    "kafka_scope",
    "scoped_state_table_migration",
)
"""Experiments of restate-server that clients ask after; there are none of them here."""


async def get_health(request: Request) -> Response:
    """`GET /health`: that the process answers is the answer."""
    return Response(status_code=200)


async def get_version(request: Request) -> Response:
    """`GET /version`: what clients need to know before they ask anything else."""
    return json_response(
        200,
        {
            "version": SERVER_VERSION,
            "min_admin_api_version": API_VERSION_MIN,
            "max_admin_api_version": API_VERSION_MAX,
            "ingress_endpoint": context_of(request).ingress_url(),
            "features": dict.fromkeys(_FEATURES, False),
        },
    )


async def refuse_limits(request: Request) -> Response:
    """Limit rules and virtual queues: say that they are not here, to clients that would take an empty 404 for a broken server."""
    return error_response(501, "this server has neither limit rules nor virtual queues", None)


async def get_cluster_health(request: Request) -> Response:
    """`GET /cluster-health`, deprecated: metadata lives in the store, so there are no metadata members to list."""
    return json_response(200, {"cluster_name": context_of(request).subjects.root, "metadata_cluster_health": None})


async def get_openapi(request: Request) -> Response:
    """`GET /openapi`."""
    return json_response(200, openapi_document(SERVER_VERSION))
