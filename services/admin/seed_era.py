"""What clients of the seed era read: methods and descriptors of protobuf services.

Everything else has one form for both eras: a service that is shown carries the keys of either.
Source: shared/spec/seed-era.md, sections 5.1, 5.2 and 11 (rows 13 to 20).
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from perdure.codec.descriptors.keys import encode_varint
from perdure.model.deployment import Deployment, Service
from services.admin.context import context_of
from services.admin.errors import NotFound, json_response
from services.admin.paths import deployment_id_of
from services.admin.views import method_view

_PROTOBUF: Final = "application/x-protobuf"
_FILE_TAG: Final = b"\x0a"
"""Field 1, the serialized files, of a reflection `FileDescriptorResponse`."""


async def list_methods(request: Request) -> Response:
    """`GET /services/{service}/methods`."""
    service, _ = await _protobuf_service(request)
    return json_response(200, {"methods": [method_view(handler) for handler in service.handlers.values()]})


async def get_method(request: Request) -> Response:
    """`GET /services/{service}/methods/{method}`."""
    service, _ = await _protobuf_service(request)
    name: str = request.path_params["method"]
    handler = service.handlers.get(name)
    if handler is None:
        raise NotFound(f"The requested method '{name}' on service '{service.name}' does not exist")
    return json_response(200, method_view(handler))


async def get_service_descriptors(request: Request) -> Response:
    """`GET /services/{service}/descriptors`: its file and all that this imports, named by deployment as reflection names them."""
    from perdure.codec.descriptors.pool import Descriptors  # protobuf, which only these clients want

    service, deployment = await _protobuf_service(request)
    descriptors = Descriptors(deployment.descriptor_set)
    body = bytearray()
    for file in descriptors.with_dependencies(descriptors.file_containing(service.name)):
        file.name = f"{deployment.id}/{file.name}"
        file.dependency[:] = [f"{deployment.id}/{name}" for name in file.dependency]
        encoded = file.SerializeToString()
        body += _FILE_TAG + encode_varint(len(encoded)) + encoded
    return Response(bytes(body), media_type=_PROTOBUF)


async def get_deployment_descriptors(request: Request) -> Response:
    """`GET /deployments/{deployment}/descriptors`: the descriptor set as it was discovered."""
    deployment_id = deployment_id_of(request)
    deployment = (await context_of(request).schema()).deployments.get(deployment_id)
    if deployment is None:
        raise NotFound(f"The requested deployment '{deployment_id}' does not exist")
    if not deployment.descriptor_set:
        raise NotFound(f"The deployment '{deployment_id}' serves no protobuf services, and has no descriptors")
    return Response(deployment.descriptor_set, media_type=_PROTOBUF)


async def _protobuf_service(request: Request) -> tuple[Service, Deployment]:
    """Return the service that the path names and the deployment that serves it.

    Raises:
        NotFound: There is none, or it is one of today.
    """
    schema = await context_of(request).schema()
    name: str = request.path_params["service"]
    service = schema.services.get(name)
    if service is None:
        raise NotFound(f"The requested service '{name}' does not exist")
    if service.instance_type is None:
        raise NotFound(f"The service '{name}' is no protobuf service; its handlers are at /services/{name}/handlers")
    return service, schema.deployments[service.deployment_id]
