"""Updating a deployment where it stands. Source: shared/spec/admin.md, section 3.5."""

from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from perdure.deployments.client import HTTP_1_1
from perdure.model.deployment import Deployment, Service
from perdure.registry.registrations import services_of
from perdure.registry.updates import plan_update, update
from services.admin.bodies import DeploymentUpdate, check_arn, check_google_auth, read_deployment_update
from services.admin.context import AdminContext, context_of
from services.admin.errors import MethodDeprecated, NotFound, OperationRefused, json_response
from services.admin.paths import deployment_id_of
from services.admin.routing import api_version
from services.admin.views import deployment_detail_view

_WRONG_KIND: Final = "cannot update the deployment, as the deployment type is {} while the update options are for type {}"


async def put_deployment(request: Request) -> Response:
    """`PUT /deployments/{deployment}`: the older name of PATCH, in version 2 only."""
    if api_version(request) > 2:
        deployment_id_of(request)
        await read_deployment_update(request)
        raise MethodDeprecated("PUT deployment is deprecated, use PATCH instead")
    return await patch_deployment(request)


async def patch_deployment(request: Request) -> Response:
    """`PATCH /deployments/{deployment}`: ask the endpoint as it is to be reached from now on, then change all at once."""
    context, deployment_id = context_of(request), deployment_id_of(request)
    wanted = await read_deployment_update(request)
    schema = await context.schema()
    present = schema.deployments.get(deployment_id)
    if present is None:
        raise NotFound(f"The requested deployment '{deployment_id}' does not exist")
    _check_kind(present, wanted)
    if wanted.is_empty:
        return json_response(200, deployment_detail_view(present, services_of(schema, present), context.defaults))
    endpoint, services = await _discovered(context, present, wanted)
    if wanted.dry_run:
        planned = plan_update(await context.schema(), endpoint, services)
    else:
        planned = await context.change(lambda tr: update(tr, context.keyspace, endpoint, services), lambda done: done.meta_version)
    return json_response(200, deployment_detail_view(planned.deployment, planned.services, context.defaults))


def _check_kind(present: Deployment, wanted: DeploymentUpdate) -> None:
    is_lambda = present.lambda_arn is not None
    if is_lambda and wanted.uri is None and wanted.use_http_11 is not None:
        raise OperationRefused(400, _WRONG_KIND.format("lambda", "http"))
    if not is_lambda and wanted.arn is None and wanted.assume_role_arn is not None:
        raise OperationRefused(400, _WRONG_KIND.format("http", "lambda"))
    if wanted.arn is not None:
        check_arn(wanted.arn)


async def _discovered(context: AdminContext, present: Deployment, wanted: DeploymentUpdate) -> tuple[Deployment, list[Service] | None]:
    """Return the deployment as it is to be, and what it serves from then on, None where that stays."""
    arn = wanted.arn or (present.lambda_arn if wanted.uri is None else None)
    url = arn or wanted.uri or present.url
    headers = present.additional_headers if wanted.additional_headers is None else wanted.additional_headers
    role_arn = None if arn is None else wanted.assume_role_arn or present.lambda_assume_role_arn
    keeps_http_11 = wanted.uri is None and wanted.use_http_11 is None and present.http_version == HTTP_1_1
    google = present.google_id_token if arn is None else None
    if google is not None:
        check_google_auth(url, headers)
    found = await context.discover(
        url,
        additional_headers=headers,
        use_http_11=arn is None and (wanted.use_http_11 or keeps_http_11),
        assume_role_arn=role_arn,
        google_id_token=google,
    )
    endpoint = msgspec.structs.replace(
        present,
        url=url,
        protocol_mode=found.protocol_mode,
        http_version=found.http_version,
        protocol_version_min=found.protocol_version_min,
        protocol_version_max=found.protocol_version_max,
        sdk_version=found.sdk_version,
        additional_headers=headers,
        lambda_arn=arn,
        google_id_token=google,
        lambda_assume_role_arn=role_arn,
        lambda_compression=None if arn is None else found.lambda_compression,
        descriptor_set=found.descriptor_set if wanted.overwrite else present.descriptor_set,
    )
    return endpoint, list(found.services) if wanted.overwrite else None
