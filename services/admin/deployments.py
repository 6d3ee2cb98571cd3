"""Registering, listing and removing deployments. Source: shared/spec/admin.md, section 3."""

from starlette.requests import Request
from starlette.responses import Response

from perdure.model.deployment import Deployment
from perdure.registry.errors import DeploymentInUse
from perdure.registry.registrations import (
    Registration,
    RegistrationOutcome,
    active_services_of,
    delete,
    plan_registration,
    register,
    same_endpoint,
    services_of,
    unchanged,
)
from services.admin.bodies import HttpRegistration, LambdaRegistration, check_arn, read_flag, read_registration
from services.admin.context import AdminContext, context_of
from services.admin.errors import AddressTaken, AlreadyExists, NotFound, json_response
from services.admin.paths import deployment_id_of
from services.admin.routing import api_version, names_a_version
from services.admin.usage import usage_of
from services.admin.views import deployment_detail_view, deployment_list_view, registration_view


async def list_deployments(request: Request) -> Response:
    """`GET /deployments`."""
    schema = await context_of(request).schema()
    return json_response(200, {"deployments": [deployment_list_view(each) for each in schema.deployments.values()]})


async def get_deployment(request: Request) -> Response:
    """`GET /deployments/{deployment}`."""
    context, deployment_id = context_of(request), deployment_id_of(request)
    schema = await context.schema()
    deployment = schema.deployments.get(deployment_id)
    if deployment is None:
        raise NotFound(f"The requested deployment '{deployment_id}' does not exist")
    return json_response(200, deployment_detail_view(deployment, services_of(schema, deployment), context.defaults))


async def delete_deployment(request: Request) -> Response:
    """`DELETE /deployments/{deployment}?force=true`: without force only what nothing holds any more is removed."""
    context, deployment_id = context_of(request), deployment_id_of(request)
    is_forced = read_flag(request, "force")
    if not is_forced:
        await _check_pinned(context, deployment_id)
    await context.change(lambda tr: delete(tr, context.keyspace, deployment_id, is_forced=is_forced), int)
    return Response(status_code=202)


async def _check_pinned(context: AdminContext, deployment_id: str) -> None:
    """Refuse where invocations are pinned; whether services are is checked in the transaction."""
    schema = await context.schema()
    deployment = schema.deployments.get(deployment_id)
    if deployment is None or active_services_of(schema, deployment):
        return  # the transaction tells
    usage = await usage_of(context, schema, deployment)
    if usage.invocations:
        counts = ", ".join(f"{count} {status}" for status, count in usage.invocations.items())
        raise DeploymentInUse(f"invocations are pinned to the deployment '{deployment_id}' ({counts}); use force to remove it")


async def register_deployment(request: Request) -> Response:
    """`POST /deployments`: discover an endpoint and make its services the newest revisions."""
    context, body = context_of(request), await read_registration(request)
    if isinstance(body, LambdaRegistration):
        check_arn(body.arn)
    is_version_2 = api_version(request) == 2
    registration = await _register(context, body, is_version_2=is_version_2, names_a_version=names_a_version(request))
    is_of_seed = bool(registration.deployment.descriptor_set)
    if registration.outcome is RegistrationOutcome.UNCHANGED and (is_version_2 or (is_of_seed and not names_a_version(request))):
        conflict = f"Conflict: deployment {registration.deployment.id} already exists"
        if is_of_seed:
            raise AddressTaken(f"{conflict}: register the new code at a new address, or repeat with `force`")
        raise AlreadyExists(conflict)
    is_overwritten = registration.outcome is RegistrationOutcome.OVERWRITTEN
    is_created = registration.outcome is RegistrationOutcome.NEW or is_version_2 or (is_of_seed and is_overwritten)
    headers = {"location": f"deployments/{registration.deployment.id}"}
    return json_response(201 if is_created else 200, registration_view(registration, context.defaults, is_dry_run=body.dry_run), headers)


async def _register(
    context: AdminContext, body: HttpRegistration | LambdaRegistration, *, is_version_2: bool, names_a_version: bool
) -> Registration:
    if isinstance(body, HttpRegistration):
        url, arn, role_arn, use_http_11, google = body.uri, None, None, body.use_http_11, body.google_id_token
    else:
        url, arn, role_arn, use_http_11, google = body.arn, body.arn, body.assume_role_arn, False, None
    schema = await context.schema()
    present = same_endpoint(schema, url, lambda_arn=arn)
    is_of_seed = present is not None and bool(present.descriptor_set)
    is_forced = (is_version_2 or (is_of_seed and not names_a_version)) if body.force is None else body.force
    if present is not None and not is_forced:
        return unchanged(schema, present)
    headers = body.additional_headers or {}
    found = await context.discover(
        url, additional_headers=headers, use_http_11=use_http_11, assume_role_arn=role_arn, google_id_token=google
    )
    deployment = Deployment(
        id=context.new_deployment_id(),
        url=url,
        protocol_mode=found.protocol_mode,
        http_version=found.http_version,
        protocol_version_min=found.protocol_version_min,
        protocol_version_max=found.protocol_version_max,
        created_at_ms=context.clock.now_ms(),
        sdk_version=found.sdk_version,
        additional_headers=headers,
        metadata=body.metadata,
        lambda_arn=arn,
        lambda_assume_role_arn=role_arn,
        lambda_compression=None if arn is None else found.lambda_compression,
        descriptor_set=found.descriptor_set,
        google_id_token=google,
    )
    services = list(found.services)
    if body.dry_run:
        return plan_registration(await context.schema(), deployment, services, is_forced=is_forced, may_break=body.breaking)
    return await context.change(
        lambda tr: register(tr, context.keyspace, deployment, services, is_forced=is_forced, may_break=body.breaking),
        lambda registration: registration.meta_version,
    )
