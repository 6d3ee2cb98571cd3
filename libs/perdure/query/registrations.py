"""`sys_service` and `sys_deployment`: what is registered. Source: shared/spec/sql.md, section 4.7."""

from collections.abc import Iterator
from typing import Final

from perdure.model.deployment import Deployment, Service
from perdure.query.table import Column, ColumnType, Snapshot, Table
from perdure.query.wanted import Wanted


def _scan_services(snapshot: Snapshot, wanted: Wanted) -> Iterator[Service]:
    return iter(snapshot.schema.services.values())


def _scan_deployments(snapshot: Snapshot, wanted: Wanted) -> Iterator[Deployment]:
    return iter(snapshot.schema.deployments.values())


def _with_path(url: str) -> str:
    """Return a URL as the real server shows it: one without a path has the path `/`."""
    return url if "/" in url.partition("://")[2] else f"{url}/"


SYS_SERVICE: Final = Table[Service](
    "sys_service",
    (
        Column("name", ColumnType.TEXT, lambda service: service.name),
        Column("revision", ColumnType.U64, lambda service: service.revision),
        Column("public", ColumnType.BOOL, lambda service: not service.options.ingress_private),
        Column("ty", ColumnType.TEXT, lambda service: service.service_type.value.lower()),
        Column("deployment_id", ColumnType.TEXT, lambda service: service.deployment_id),
    ),
    _scan_services,
)

SYS_DEPLOYMENT: Final = Table[Deployment](
    "sys_deployment",
    (
        Column("id", ColumnType.TEXT, lambda deployment: deployment.id),
        Column("ty", ColumnType.TEXT, lambda deployment: "http" if deployment.lambda_arn is None else "lambda"),
        Column("endpoint", ColumnType.TEXT, lambda deployment: deployment.lambda_arn or _with_path(deployment.url)),
        Column("created_at", ColumnType.TIMESTAMP, lambda deployment: deployment.created_at_ms),
        Column("min_service_protocol_version", ColumnType.U32, lambda deployment: deployment.protocol_version_min),
        Column("max_service_protocol_version", ColumnType.U32, lambda deployment: deployment.protocol_version_max),
        Column("services", ColumnType.TEXT_LIST, lambda deployment: sorted(deployment.services)),
    ),
    _scan_deployments,
)
