"""What still holds a deployment: services whose newest revision it serves, and invocations that are pinned to it.

Drained is a deployment that nothing holds: it can be removed, and its endpoint stopped, without anybody noticing.
"""

from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from perdure.model.deployment import Deployment
from perdure.registry.registrations import active_services_of
from perdure.registry.schema import Schema
from services.admin.context import AdminContext, context_of
from services.admin.errors import NotFound, json_response
from services.admin.paths import deployment_id_of

_PINNED: Final = (
    "SELECT status, COUNT(1) AS total FROM sys_invocation WHERE pinned_deployment_id = $1 AND status != 'completed' GROUP BY status"
)


class Usage(msgspec.Struct, frozen=True):
    """What holds a deployment, as clients read it."""

    drained: bool
    active_services: list[str]
    """Their new invocations go there."""
    invocations: dict[str, int]
    """status -> how many unfinished invocations are pinned to it"""


async def usage_of(context: AdminContext, schema: Schema, deployment: Deployment) -> Usage:
    """Count what holds a deployment; the cost is that of a query over unfinished invocations.

    Raises:
        PerdureError: Nothing runs queries here, or it failed.
    """
    rows = await context.rows(_PINNED, (deployment.id,))
    invocations: dict[str, int] = {row["status"]: row["total"] for row in sorted(rows, key=_status)}
    active = active_services_of(schema, deployment)
    return Usage(not active and not invocations, active, invocations)


def _status(row: dict[str, Any]) -> str:
    return row["status"]


async def get_usage(request: Request) -> Response:
    """`GET /deployments/{deployment}/usage`."""
    context, deployment_id = context_of(request), deployment_id_of(request)
    schema = await context.schema()
    deployment = schema.deployments.get(deployment_id)
    if deployment is None:
        raise NotFound(f"The requested deployment '{deployment_id}' does not exist")
    return json_response(200, await usage_of(context, schema, deployment))
