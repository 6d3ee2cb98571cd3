"""Showing services and changing their options. Source: shared/spec/admin.md, section 4."""

from starlette.requests import Request
from starlette.responses import Response

from perdure.model.deployment import Service
from perdure.registry.openapi import service_document
from perdure.registry.registrations import ServiceChanges, modify_service
from perdure.registry.schema import Schema
from services.admin.bodies import read_service_changes
from services.admin.context import AdminContext, context_of
from services.admin.errors import NotFound, json_response
from services.admin.views import View, handler_view, seed_keys, service_view


async def list_services(request: Request) -> Response:
    """`GET /services`: the active revision of each."""
    context = context_of(request)
    schema = await context.schema()
    return json_response(200, {"services": [_view(context, schema, service) for service in schema.services.values()]})


async def get_service(request: Request) -> Response:
    """`GET /services/{service}`."""
    context = context_of(request)
    schema = await context.schema()
    return json_response(200, _view(context, schema, _service(request, schema)))


async def get_service_openapi(request: Request) -> Response:
    """`GET /services/{service}/openapi`: how the active revision is called over HTTP."""
    context = context_of(request)
    service = _service(request, await context.schema())
    return json_response(200, service_document(service, ingress_url=context.ingress_url()))


async def patch_service(request: Request) -> Response:
    """`PATCH /services/{service}`: change options of the active revision; nothing to change is the same as GET."""
    context, changes = context_of(request), await read_service_changes(request)
    if changes == ServiceChanges():
        return await get_service(request)
    name: str = request.path_params["service"]
    service, _ = await context.change(lambda tr: modify_service(tr, context.keyspace, name, changes), lambda result: result[1])
    return json_response(200, _view(context, await context.schema(), service))


async def list_handlers(request: Request) -> Response:
    """`GET /services/{service}/handlers`."""
    schema = await context_of(request).schema()
    service = _service(request, schema)
    deployment = schema.deployments.get(service.deployment_id)
    return json_response(200, {"handlers": [handler_view(service, handler, deployment) for handler in service.handlers.values()]})


async def get_handler(request: Request) -> Response:
    """`GET /services/{service}/handlers/{handler}`."""
    schema = await context_of(request).schema()
    service = schema.services.get(request.path_params["service"])
    handler = None if service is None else service.handlers.get(request.path_params["handler"])
    if service is None or handler is None:
        raise NotFound(
            f"The requested handler '{request.path_params['handler']}' on service '{request.path_params['service']}' does not exist"
        )
    return json_response(200, handler_view(service, handler, schema.deployments.get(service.deployment_id)))


def _service(request: Request, schema: Schema) -> Service:
    name: str = request.path_params["service"]
    service = schema.services.get(name)
    if service is None:
        raise NotFound(f"The requested service '{name}' does not exist")
    return service


def _view(context: AdminContext, schema: Schema, service: Service) -> View:
    """Return a service as shown; once there are services of the seed era, its clients find their keys at all of them."""
    view = service_view(service, schema.deployments.get(service.deployment_id), context.defaults)
    return view | seed_keys(service) if any(each.descriptor_set for each in schema.deployments.values()) else view
