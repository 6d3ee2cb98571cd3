"""Failures of handlers of the seed era: gRPC codes on the wire, HTTP codes in the model.

A failure of a handler of the era keeps its gRPC code beside the HTTP code, as metadata: nothing is lost between two such handlers.
Source: shared/spec/seed-era.md, 4.2 and section 11, row 11.
"""

from typing import Final

from perdure.model.result import Failure

GRPC_CODE: Final = "grpc-status"
"""The metadata of a failure that holds its gRPC code."""

CANCELLED: Final = 1
UNKNOWN: Final = 2
_CODE_MAX: Final = 16

_HTTP_BY_GRPC: Final = (200, 408, 500, 400, 408, 404, 409, 403, 429, 412, 409, 400, 501, 500, 503, 500, 401)
_GRPC_BY_HTTP: Final = {400: 3, 401: 16, 403: 7, 404: 5, 408: 4, 409: 10, 412: 9, 413: 8, 429: 8, 499: CANCELLED, 501: 12, 503: 14, 504: 4}


def failure_of(code: int, message: str) -> Failure:
    """Return a failure by its gRPC code; one that is none, or no failure, is UNKNOWN."""
    code = code if 0 < code <= _CODE_MAX else UNKNOWN
    return Failure(_HTTP_BY_GRPC[code], message, ((GRPC_CODE, str(code)),))


def http_code_of(code: int) -> int:
    """Return the HTTP code of a gRPC code."""
    return _HTTP_BY_GRPC[code if 0 < code <= _CODE_MAX else UNKNOWN]


def grpc_code_of(failure: Failure) -> int:
    """Return the gRPC code of a failure, 1 to 16: that which it came with, else that of its HTTP code."""
    for name, value in failure.metadata:
        if name == GRPC_CODE and value.isdecimal() and 0 < int(value) <= _CODE_MAX:
            return int(value)
    if failure.code == 409 and failure.message == "canceled":
        return CANCELLED  # how the server tells that an invocation was cancelled before it began
    return _GRPC_BY_HTTP.get(failure.code, UNKNOWN)
