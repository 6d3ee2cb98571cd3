"""Changing a deployment where it stands: its address and headers, and with `overwrite` what it serves.

As in `registry.registrations`, the functions over a transaction are bodies that may run several times, and what they come to is pure.
Source: shared/spec/admin.md, section 3.5; that an overwrite keeps numbers and renews options was observed.
"""

from collections.abc import Sequence

import msgspec

from perdure.model.deployment import Deployment, Service
from perdure.registry.errors import AddressOfAnother, NotRegistered, ProtocolRangeChanged
from perdure.registry.registrations import same_endpoint, services_of
from perdure.registry.rules import check_services
from perdure.registry.schema import Schema, bump_meta_version, put_deployment, put_service, read_schema, remove_deployment
from perdure.store.interface import Transaction
from perdure.store.keyspace import Keyspace


class Update(msgspec.Struct, frozen=True):
    """What an update came to."""

    deployment: Deployment
    services: list[Service]
    meta_version: int


def plan_update(schema: Schema, endpoint: Deployment, services: Sequence[Service] | None) -> Update:
    """Decide what a deployment becomes.

    `endpoint` is the deployment with its new address, headers and what discovery told of the connection. `services` replace what it
    serves: those that it had keep their revision, others get the next one. None leaves them.

    Raises:
        NotRegistered: The deployment is gone.
        ProtocolRangeChanged: Another range of protocol versions, which invocations in flight may not survive.
        AddressOfAnother: Another deployment is there.
        PerdureError: The rules of registration forbid a service; that it changes its type is allowed.
    """
    present = schema.deployments.get(endpoint.id)
    if present is None:
        raise NotRegistered(f"The requested deployment '{endpoint.id}' does not exist")
    _check(schema, present, endpoint)
    kept = msgspec.structs.replace(endpoint, services=present.services, metadata=present.metadata, created_at_ms=present.created_at_ms)
    if services is None:
        return Update(kept, services_of(schema, present), schema.meta_version + 1)
    check_services(services, schema, may_break=True)
    numbered = [_numbered(schema, present, service) for service in services]
    served = {service.name: service.revision for service in numbered}
    return Update(msgspec.structs.replace(kept, services=served), numbered, schema.meta_version + 1)


def _check(schema: Schema, present: Deployment, endpoint: Deployment) -> None:
    ranges = [(each.protocol_version_min, each.protocol_version_max) for each in (present, endpoint)]
    if ranges[0] != ranges[1]:
        raise ProtocolRangeChanged(
            f"the deployment '{present.id}' speaks service protocol versions {list(ranges[0])}, and the endpoint speaks {list(ranges[1])}"
        )
    there = same_endpoint(schema, endpoint.url, lambda_arn=endpoint.lambda_arn)
    if there is not None and there.id != present.id:
        raise AddressOfAnother(f"deployment '{there.id}' is registered at {endpoint.url} already")


def _numbered(schema: Schema, present: Deployment, service: Service) -> Service:
    revision = present.services.get(service.name)
    if revision is None:
        revision = max(schema.revisions.get(service.name, {}), default=0) + 1
    return msgspec.structs.replace(service, revision=revision, deployment_id=present.id)


def update(tr: Transaction, keyspace: Keyspace, endpoint: Deployment, services: Sequence[Service] | None) -> Update:
    """Update a deployment: see `plan_update`. To run it again after it committed changes nothing but the version."""
    schema = read_schema(tr, keyspace)
    planned = plan_update(schema, endpoint, services)
    if services is not None:
        remove_deployment(tr, keyspace, schema.deployments[endpoint.id])
        for service in planned.services:
            put_service(tr, keyspace, service)
    put_deployment(tr, keyspace, planned.deployment)
    assert bump_meta_version(tr, keyspace) == planned.meta_version
    return planned
