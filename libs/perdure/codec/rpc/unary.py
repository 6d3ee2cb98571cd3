"""One unary call in any protocol of the family: the whole request in, the whole answer out.

`GrpcCall`, `GrpcWebCall`, `ConnectCall` and `ConnectGetCall` give the request message, and shape answers.
Source: the public descriptions of gRPC over HTTP/2, gRPC-Web and Connect; shared/spec/seed-era.md, 4.1 to 4.3.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol
from urllib.parse import unquote

import msgspec

from perdure.codec.rpc.status import CallFailed

Headers = Sequence[tuple[bytes, bytes]]


class Answer(msgspec.Struct, gc=False):
    """A whole HTTP response; `trailers` is None where the protocol has none."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""
    trailers: list[tuple[bytes, bytes]] | None = None


class UnaryCall(Protocol):
    """A call whose protocol is known."""

    is_json: bool
    """Whether messages are JSON; else they are protobuf."""

    body_bytes_max: int
    """How large a body may be whose message is within the limit."""

    def timeout_ms(self) -> int | None:
        """Return how long the client waits.

        Raises:
            CallFailed: The client says it in no form that is known.
        """
        ...

    def request(self, body: bytes) -> bytes:
        """Return the message of a whole request body.

        Raises:
            CallFailed: It is malformed, too large or compressed in an unknown way.
        """
        ...

    def success(self, message: bytes, metadata: Headers = ()) -> Answer:
        """Return the answer that carries a message."""
        ...

    def failure(self, failed: CallFailed, metadata: Headers = ()) -> Answer:
        """Return the answer that carries another status than OK."""
        ...


_NOT_METADATA: Final = frozenset(
    {
        b"accept",
        b"accept-encoding",
        b"connection",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"host",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"x-grpc-web",
    }
)
_NOT_METADATA_PREFIXES: Final = (b"grpc-", b"connect-", b":")


def metadata_of(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Return what the client itself added to a request: all headers but those of HTTP and of the protocol."""
    return [pair for pair in headers if pair[0] not in _NOT_METADATA and not pair[0].startswith(_NOT_METADATA_PREFIXES)]


def path_of(raw_path: bytes) -> tuple[str, str] | None:
    """Return service and method of a path with exactly two segments, else None."""
    segments = raw_path.split(b"/")
    if len(segments) != 3 or segments[0] or not segments[1] or not segments[2]:
        return None
    return unquote(segments[1].decode("latin-1")), unquote(segments[2].decode("latin-1"))


def by_name(headers: Headers) -> Mapping[bytes, bytes]:
    """Return the first value of each header."""
    return dict(reversed(headers))
