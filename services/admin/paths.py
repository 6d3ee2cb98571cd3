"""Ids in paths, and the refusals of what is none. Source: shared/spec/admin.md, section 1.3."""

from starlette.requests import Request

from perdure.base.ids import InvalidId, InvocationId, parse_invocation_id, parse_resource_id
from services.admin.errors import InvalidField, PlainError


def deployment_id_of(request: Request) -> str:
    """Return the id of the deployment that the path names.

    Raises:
        PlainError: It is none.
    """
    text: str = request.path_params["deployment"]
    try:
        parse_resource_id("dp", text)
    except InvalidId as error:
        raise PlainError(400, f"Invalid URL: Cannot parse `deployment` with value `{text}`: {error}") from None
    return text


def invocation_id_of(request: Request) -> InvocationId:
    """Return the id of the invocation that the path names.

    Raises:
        InvalidField: It is none.
    """
    try:
        return parse_invocation_id(request.path_params["invocation_id"])
    except InvalidId as error:
        raise InvalidField("invocation_id", str(error)) from None
