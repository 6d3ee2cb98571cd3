"""How failures of invocations and the ingress's own refusals are told by calls. Source: shared/spec/seed-era.md, 4.2 and 11."""

from collections.abc import Callable
from typing import Final

from perdure.codec.rpc.details import ErrorInfo
from perdure.codec.rpc.failures import grpc_code_of
from perdure.codec.rpc.status import CallFailed, Status
from perdure.model.result import Failure
from services.ingress.refusals import Refused

DOMAIN: Final = "restate"
FAILED: Final = "INVOCATION_FAILED"

_STATUS_BY_HTTP: Final = {
    400: Status.INVALID_ARGUMENT,
    401: Status.UNAUTHENTICATED,
    403: Status.PERMISSION_DENIED,
    404: Status.NOT_FOUND,
    408: Status.DEADLINE_EXCEEDED,
    409: Status.ABORTED,
    412: Status.FAILED_PRECONDITION,
    413: Status.RESOURCE_EXHAUSTED,
    429: Status.RESOURCE_EXHAUSTED,
    499: Status.CANCELLED,
    501: Status.UNIMPLEMENTED,
    503: Status.UNAVAILABLE,
    504: Status.DEADLINE_EXCEEDED,
}
_CANCELLED: Final = frozenset({"canceled", "cancelled"})


def of_failure(failure: Failure, invocation_id: str) -> CallFailed:
    """Return how a handler's failure is told, with its own code and metadata in the details."""
    metadata = (("code", str(failure.code)), ("invocation_id", invocation_id), *failure.metadata)
    return CallFailed(_status_of(failure), failure.message, ErrorInfo(FAILED, DOMAIN, metadata))


def of_era_failure(failure: Failure, _invocation_id: str) -> CallFailed:
    """Return how the failure of a handler of the seed era is told: by its own status, without details."""
    return CallFailed(Status(grpc_code_of(failure)), failure.message)


def of_refusal(refused: Refused) -> CallFailed:
    """Return how the ingress's own refusal is told."""
    fallback = Status.INTERNAL if refused.status >= 500 else Status.INVALID_ARGUMENT
    return CallFailed(_STATUS_BY_HTTP.get(refused.status, fallback), refused.message)


FailureTeller = Callable[[Failure, str], CallFailed]


def _status_of(failure: Failure) -> Status:
    if failure.code == 409 and failure.message.lower() in _CANCELLED:
        return Status.CANCELLED
    return _STATUS_BY_HTTP.get(failure.code, Status.UNKNOWN)


def service_not_found(service: str) -> CallFailed:
    """No registered service has this name."""
    return CallFailed(Status.NOT_FOUND, f"service '{service}' not found. Check that its deployment is registered.")


def method_not_found(service: str, method: str) -> CallFailed:
    """The latest revision of the service has no such method."""
    return CallFailed(Status.NOT_FOUND, f"method '{service}/{method}' not found. Check that the deployment that has it is registered.")


def not_public(service: str) -> CallFailed:
    """The service or handler is private to the ingress."""
    return CallFailed(Status.PERMISSION_DENIED, f"service '{service}' is not accessible from outside.")


_REMOTE_CONTEXT: Final = "dev.restate.internal.RemoteContext"
_INTERNAL: Final = frozenset({"dev.restate.internal.Proxy", "dev.restate.internal.IdempotentInvoker"})


def internal(service: str) -> CallFailed | None:
    """Return the answer to calls of a service that the seed era's server had for itself or for its embedded API; None for others."""
    if service in _INTERNAL:
        return not_public(service)
    if service == _REMOTE_CONTEXT:
        text = "handlers outside of a deployment (`restate.connection`) are not offered: serve them on an endpoint and register that"
        return CallFailed(Status.UNIMPLEMENTED, f"{service}: {text}")
    return None


def bad_path(path: bytes) -> CallFailed:
    """Not a service and a method."""
    return CallFailed(Status.INVALID_ARGUMENT, f"request path invalid: {path.decode('latin-1')}. It must be /package.Service/Method.")


def overloaded() -> CallFailed:
    """Too many requests wait already."""
    return CallFailed(Status.RESOURCE_EXHAUSTED, "too many requests, the ingress is overloaded. Retry later.")
