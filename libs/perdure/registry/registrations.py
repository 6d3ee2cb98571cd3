"""How metadata changes: each function here is one transaction's body, so that a registration is whole or absent.

What a change comes to is decided by pure functions over a schema (`plan_registration`), which dry runs use as well.
Deployment ids, times and what discovery found are handed in: the bodies may run several times.
Source: shared/spec/lifecycle.md, sections 6.1 and 9; shared/spec/admin.md, sections 3 and 4.2.
"""

import enum
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import msgspec

from perdure.model.deployment import Deployment, HandlerOptions, RetryPolicy, Service
from perdure.model.target import ServiceType
from perdure.registry.errors import DeploymentInUse, NotRegistered, UnsupportedRetention
from perdure.registry.rules import check_services
from perdure.registry.schema import (
    Schema,
    bump_meta_version,
    put_deployment,
    put_service,
    read_schema,
    remove_deployment,
)
from perdure.store.interface import Transaction
from perdure.store.keyspace import Keyspace


class RegistrationOutcome(enum.Enum):
    NEW = "new"
    OVERWRITTEN = "overwritten"
    UNCHANGED = "unchanged"
    """The endpoint is registered already; nothing was written."""


class Registration(msgspec.Struct, frozen=True):
    """What a registration came to."""

    outcome: RegistrationOutcome
    deployment: Deployment
    services: list[Service]
    """The revisions that the deployment serves."""
    meta_version: int
    """The version of the metadata after it."""
    replaced: Deployment | None = None
    """What was there before, where it was overwritten."""


class ServiceChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator changes at the active revision of a service; None leaves as it is."""

    public: bool | None = None
    idempotency_retention_ms: int | None = None
    workflow_completion_retention_ms: int | None = None
    journal_retention_ms: int | None = None
    inactivity_timeout_ms: int | None = None
    abort_timeout_ms: int | None = None
    retry_policy: RetryPolicy = RetryPolicy()


def same_endpoint(schema: Schema, url: str, *, lambda_arn: str | None = None) -> Deployment | None:
    """Return the youngest deployment at this address: equal authority and path, or equal ARN. The scheme does not count."""
    wanted = _address(url, lambda_arn)
    candidates = [each for each in schema.deployments.values() if _address(each.url, each.lambda_arn) == wanted]
    return max(candidates, key=lambda each: each.created_at_ms, default=None)


def _address(url: str, lambda_arn: str | None) -> tuple[str, str]:
    if lambda_arn is not None:
        return "lambda", lambda_arn
    parts = urlsplit(url)
    return parts.netloc.lower(), parts.path.rstrip("/")


def unchanged(schema: Schema, deployment: Deployment) -> Registration:
    """Return the registration that finds `deployment` there and leaves it."""
    return Registration(RegistrationOutcome.UNCHANGED, deployment, services_of(schema, deployment), schema.meta_version)


def services_of(schema: Schema, deployment: Deployment) -> list[Service]:
    """Return the revisions that a deployment serves."""
    return [schema.revisions[name][revision] for name, revision in deployment.services.items()]


def active_services_of(schema: Schema, deployment: Deployment) -> list[str]:
    """Return the names of the services whose new invocations go to a deployment."""
    return sorted(name for name in deployment.services if schema.services[name].deployment_id == deployment.id)


def plan_registration(
    schema: Schema, deployment: Deployment, services: Sequence[Service], *, is_forced: bool, may_break: bool
) -> Registration:
    """Decide what registering a discovered deployment does to a schema.

    `deployment` carries a fresh id and no services yet; an overwritten deployment keeps its id. `services` are as
    discovered: revision 0, no deployment, and distinct names. Force implies `may_break`.

    Raises:
        PerdureError: The rules of registration (`registry.rules`) forbid it.
    """
    assert len({service.name for service in services}) == len(services)
    present = same_endpoint(schema, deployment.url, lambda_arn=deployment.lambda_arn)
    if present is not None and not is_forced:
        return unchanged(schema, present)
    check_services(services, schema, may_break=may_break or is_forced)
    deployment_id = deployment.id if present is None else present.id
    numbered = [_next_revision(schema, service, deployment_id) for service in services]
    return Registration(
        outcome=RegistrationOutcome.NEW if present is None else RegistrationOutcome.OVERWRITTEN,
        deployment=msgspec.structs.replace(deployment, id=deployment_id, services={service.name: service.revision for service in numbered}),
        services=numbered,
        meta_version=schema.meta_version + 1,
        replaced=present,
    )


def _next_revision(schema: Schema, service: Service, deployment_id: str) -> Service:
    active = schema.services.get(service.name)
    if active is None:
        return msgspec.structs.replace(service, revision=1, deployment_id=deployment_id)
    # A descriptor says nothing of options: what an operator chose holds on, unless the deployment itself is replaced.
    keeps_options = service.instance_type is not None and active.deployment_id != deployment_id
    options = active.options if keeps_options else service.options
    return msgspec.structs.replace(service, revision=active.revision + 1, deployment_id=deployment_id, options=options)


def register(
    tr: Transaction, keyspace: Keyspace, deployment: Deployment, services: Sequence[Service], *, is_forced: bool, may_break: bool
) -> Registration:
    """Register a discovered deployment: see `plan_registration`. Nothing is written where the endpoint is there already."""
    schema = read_schema(tr, keyspace)
    repeated = _repeated(schema, deployment)
    if repeated is not None:
        return repeated
    registration = plan_registration(schema, deployment, services, is_forced=is_forced, may_break=may_break)
    if registration.outcome is RegistrationOutcome.UNCHANGED:
        return registration
    if registration.replaced is not None:
        remove_deployment(tr, keyspace, registration.replaced)
    put_deployment(tr, keyspace, registration.deployment)
    for service in registration.services:
        put_service(tr, keyspace, service)
    assert bump_meta_version(tr, keyspace) == registration.meta_version
    return registration


def _repeated(schema: Schema, deployment: Deployment) -> Registration | None:
    """Return what this very registration did, where a commit of unknown outcome makes the body run after it succeeded.

    A new deployment is known by its id. An overwritten one kept its own, and is known by its time and everything else.
    """
    present = schema.deployments.get(deployment.id)
    outcome = RegistrationOutcome.NEW
    if present is None:
        outcome = RegistrationOutcome.OVERWRITTEN
        present = same_endpoint(schema, deployment.url, lambda_arn=deployment.lambda_arn)
        if present is None or msgspec.structs.replace(present, id=deployment.id, services={}) != deployment:
            return None
    return Registration(outcome, present, services_of(schema, present), schema.meta_version)


def delete(tr: Transaction, keyspace: Keyspace, deployment_id: str, *, is_forced: bool) -> int:
    """Remove a deployment with the revisions that it serves; return the new version of the metadata.

    The highest revision that remains of a service becomes the active one; a service without any is gone.

    Raises:
        NotRegistered: There is no such deployment (any more: also where the body runs again after it committed).
        DeploymentInUse: New invocations go to it, and that does not matter only to `is_forced`.
    """
    schema = read_schema(tr, keyspace)
    deployment = schema.deployments.get(deployment_id)
    if deployment is None:
        raise NotRegistered(f"not found in the schema registry: deployment with id '{deployment_id}'")
    active = active_services_of(schema, deployment)
    if active and not is_forced:
        raise DeploymentInUse(f"the deployment '{deployment_id}' serves the newest revision of {', '.join(active)}; use force to remove it")
    remove_deployment(tr, keyspace, deployment)
    return bump_meta_version(tr, keyspace)


def modify_service(tr: Transaction, keyspace: Keyspace, name: str, changes: ServiceChanges) -> tuple[Service, int]:
    """Change options of the active revision of a service in place; return it and the new version of the metadata.

    Raises:
        NotRegistered: There is no such service.
        UnsupportedRetention: A workflow's retention for a service that is none.
    """
    service = read_schema(tr, keyspace).services.get(name)
    if service is None:
        raise NotRegistered(f"not found in the schema registry: service with name '{name}'")
    if changes.workflow_completion_retention_ms is not None and service.service_type is not ServiceType.WORKFLOW:
        kind = "VirtualObject" if service.service_type is ServiceType.VIRTUAL_OBJECT else "Service"
        raise UnsupportedRetention(f"modifying retention time for service type {kind} is unsupported")
    modified = msgspec.structs.replace(service, options=_changed(service.options, changes))
    put_service(tr, keyspace, modified)
    return modified, bump_meta_version(tr, keyspace)


def _changed(options: HandlerOptions, changes: ServiceChanges) -> HandlerOptions:
    wanted: Mapping[str, int | bool | None] = {
        "ingress_private": None if changes.public is None else not changes.public,
        "idempotency_retention_ms": changes.idempotency_retention_ms,
        "workflow_completion_retention_ms": changes.workflow_completion_retention_ms,
        "journal_retention_ms": changes.journal_retention_ms,
        "inactivity_timeout_ms": changes.inactivity_timeout_ms,
        "abort_timeout_ms": changes.abort_timeout_ms,
    }
    retries = {name: value for name, value in msgspec.structs.asdict(changes.retry_policy).items() if value is not None}
    policy = msgspec.structs.replace(options.retry_policy, **retries)
    return msgspec.structs.replace(options, retry_policy=policy, **{name: value for name, value in wanted.items() if value is not None})
