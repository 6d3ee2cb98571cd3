"""The application: which path leads where. Source: shared/spec/admin.md."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp

from perdure.base.errors import PerdureError
from services.admin.access import BearerToken
from services.admin.batches import batch_operation
from services.admin.context import AdminContext
from services.admin.deployments import (
    delete_deployment,
    get_deployment,
    list_deployments,
    register_deployment,
)
from services.admin.errors import PlainError, on_defect, on_http_exception, on_perdure_error, on_plain_error
from services.admin.invocations import REFUSALS, delete_invocation, operation, restart_as_new, resume
from services.admin.kafka_clusters import (
    create_kafka_cluster,
    delete_kafka_cluster,
    get_kafka_cluster,
    list_kafka_clusters,
    patch_kafka_cluster,
)
from services.admin.meta import get_cluster_health, get_health, get_openapi, get_version, refuse_limits
from services.admin.page import page_routes
from services.admin.query import post_query
from services.admin.routing import VersionPrefix, resource
from services.admin.seed_era import get_deployment_descriptors, get_method, get_service_descriptors, list_methods
from services.admin.services import get_handler, get_service, get_service_openapi, list_handlers, list_services, patch_service
from services.admin.state import modify_state
from services.admin.subscriptions import (
    create_subscription,
    delete_subscription,
    get_subscription,
    list_subscriptions,
    pause_subscription,
    resume_subscription,
)
from services.admin.updates import patch_deployment, put_deployment
from services.admin.usage import get_usage

COMPRESSED_BYTES_MIN = 32

ROUTES = [
    resource("/health", GET=get_health),
    resource("/version", GET=get_version),
    resource("/openapi", GET=get_openapi),
    resource("/cluster-health", GET=get_cluster_health),
    resource("/query", POST=post_query),
    resource("/deployments", GET=list_deployments, POST=register_deployment),
    resource("/deployments/{deployment}", GET=get_deployment, DELETE=delete_deployment, PATCH=patch_deployment, PUT=put_deployment),
    resource("/deployments/{deployment}/usage", GET=get_usage),
    resource("/deployments/{deployment}/descriptors", GET=get_deployment_descriptors),
    resource("/services", GET=list_services),
    resource("/services/{service}", GET=get_service, PATCH=patch_service),
    resource("/services/{service}/openapi", GET=get_service_openapi),
    resource("/services/{service}/state", POST=modify_state),
    resource("/services/{service}/methods", GET=list_methods),
    resource("/services/{service}/methods/{method}", GET=get_method),
    resource("/services/{service}/descriptors", GET=get_service_descriptors),
    resource("/services/{service}/handlers", GET=list_handlers),
    resource("/services/{service}/handlers/{handler}", GET=get_handler),
    resource("/invocations/{invocation_id}", DELETE=delete_invocation),
    resource("/invocations/{invocation_id}/cancel", PATCH=operation("cancel")),
    resource("/invocations/{invocation_id}/kill", PATCH=operation("kill")),
    resource("/invocations/{invocation_id}/purge", PATCH=operation("purge")),
    resource("/invocations/{invocation_id}/purge-journal", PATCH=operation("purge_journal")),
    resource("/invocations/{invocation_id}/pause", PATCH=operation("pause")),
    resource("/invocations/{invocation_id}/resume", PATCH=resume),
    resource("/invocations/{invocation_id}/restart-as-new", PATCH=restart_as_new),
    resource("/subscriptions", POST=create_subscription, GET=list_subscriptions),
    resource("/subscriptions/{subscription}", GET=get_subscription, DELETE=delete_subscription),
    resource("/subscriptions/{subscription}/pause", PATCH=pause_subscription),
    resource("/subscriptions/{subscription}/resume", PATCH=resume_subscription),
    resource("/kafka-clusters", POST=create_kafka_cluster, GET=list_kafka_clusters),
    resource("/kafka-clusters/{cluster_name}", GET=get_kafka_cluster, PATCH=patch_kafka_cluster, DELETE=delete_kafka_cluster),
    *(resource(f"/internal/invocations_batch_operations/{action.replace('_', '-')}", POST=batch_operation(action)) for action in REFUSALS),
]

ABSENT = [
    resource("/limits/rules", PUT=refuse_limits),
    resource("/limits/rules/bulk-delete", POST=refuse_limits),
    resource("/vqueues/{vqueue_id}/pause", POST=refuse_limits),
    resource("/vqueues/{vqueue_id}/resume", POST=refuse_limits),
]
"""What the description leaves out because it cannot be had."""


def build_api(context: AdminContext, *, auth_token: str = "", has_page: bool = True) -> ASGIApp:
    """Return the ASGI application over what is handed in; with a token for those only who bring it."""
    app = Starlette(
        routes=ROUTES + ABSENT + (page_routes() if has_page else []),
        middleware=[Middleware(GZipMiddleware, minimum_size=COMPRESSED_BYTES_MIN, compresslevel=1)],
        exception_handlers={
            PerdureError: on_perdure_error,
            PlainError: on_plain_error,
            HTTPException: on_http_exception,
            Exception: on_defect,
        },
    )
    app.router.redirect_slashes = False
    app.state.context = context
    return VersionPrefix(BearerToken(app, auth_token) if auth_token else app)
