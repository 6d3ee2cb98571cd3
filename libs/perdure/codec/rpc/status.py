"""gRPC status codes, and how a status travels in headers. Source: the gRPC over HTTP/2 protocol description."""

import enum
import re
from urllib.parse import quote, unquote, unquote_to_bytes

from perdure.base.errors import PerdureError
from perdure.codec.rpc.details import ErrorInfo


class Status(enum.IntEnum):
    """The status of a call."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


def connect_name(status: Status) -> str:
    """Return the name of a status in the Connect protocol."""
    return "canceled" if status is Status.CANCELLED else status.name.lower()


class CallFailed(PerdureError):
    """A call ends with another status than OK."""

    def __init__(self, call_status: Status, message: str, info: ErrorInfo | None = None) -> None:
        super().__init__(message)
        self.call_status = call_status
        self.info = info


_BROKEN_ESCAPE = re.compile(rb"%.?$")
_PRINTABLE = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")


def encode_text(text: str) -> bytes:
    """Return `grpc-message`: UTF-8, percent-encoded outside printable ASCII."""
    return quote(text, safe=_PRINTABLE).encode()


def cut_text(text: str, bytes_max: int) -> str:
    """Return as much of the beginning of a text as has `bytes_max` bytes in `grpc-message`."""
    encoded = encode_text(text)
    if len(encoded) <= bytes_max:
        return text
    return unquote_to_bytes(_BROKEN_ESCAPE.sub(b"", encoded[:bytes_max])).decode(errors="ignore")


def decode_text(value: bytes) -> str:
    """Return the text of `grpc-message`; malformed parts stay as they are."""
    return unquote(value.decode("latin-1"), errors="replace")


_MS_BY_UNIT = {"H": 3_600_000, "M": 60_000, "S": 1_000, "m": 1, "u": 0.001, "n": 0.000001}


def parse_timeout_ms(value: bytes) -> int:
    """Return the milliseconds of a `grpc-timeout` header, such as `5S` or `250m`, rounded up.

    Raises:
        CallFailed: INVALID_ARGUMENT, not a timeout.
    """
    text = value.decode("latin-1").strip()
    scale = _MS_BY_UNIT.get(text[-1:])
    digits = text[:-1]
    if scale is None or not digits.isascii() or not digits.isdigit() or len(digits) > 8:
        raise CallFailed(Status.INVALID_ARGUMENT, f"grpc-timeout {text!r} is not a number of at most 8 digits and a unit")
    return -int(-int(digits) * scale // 1)
