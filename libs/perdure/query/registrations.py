"""`sys_service` and `sys_deployment`: what is registered. Source: shared/spec/sql.md, section 4.7."""

from collections.abc import Iterator
from typing import Final

from perdure.query.table import ColumnType, Row, Snapshot, Table
from perdure.registry.schema import read_schema


def _read_services(snapshot: Snapshot) -> Iterator[Row]:
    for service in read_schema(snapshot.tr, snapshot.keyspace).services.values():
        is_public = not service.options.ingress_private
        yield (service.name, service.revision, is_public, service.service_type.value.lower(), service.deployment_id)


def _read_deployments(snapshot: Snapshot) -> Iterator[Row]:
    for deployment in read_schema(snapshot.tr, snapshot.keyspace).deployments.values():
        yield (
            deployment.id,
            "http" if deployment.lambda_arn is None else "lambda",
            deployment.url if deployment.lambda_arn is None else deployment.lambda_arn,
            deployment.created_at_ms,
            deployment.protocol_version_min,
            deployment.protocol_version_max,
            sorted(deployment.services),
        )


SYS_SERVICE: Final = Table(
    "sys_service",
    (
        ("name", ColumnType.TEXT),
        ("revision", ColumnType.U64),
        ("public", ColumnType.BOOL),
        ("ty", ColumnType.TEXT),
        ("deployment_id", ColumnType.TEXT),
    ),
    _read_services,
)

SYS_DEPLOYMENT: Final = Table(
    "sys_deployment",
    (
        ("id", ColumnType.TEXT),
        ("ty", ColumnType.TEXT),
        ("endpoint", ColumnType.TEXT),
        ("created_at", ColumnType.TIMESTAMP),
        ("min_service_protocol_version", ColumnType.U32),
        ("max_service_protocol_version", ColumnType.U32),
        ("services", ColumnType.TEXT_LIST),
    ),
    _read_deployments,
)
