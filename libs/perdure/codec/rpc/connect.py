"""Unary calls of the Connect protocol, POST and GET, and of the seed era's JSON, which was Connect's of its time.

The two differ in how errors are told: a client that names the protocol's version gets names, statuses and details of its specification, one
that does not gets those of the era. Source: the public Connect protocol description; shared/spec/seed-era.md, 4.2.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec

from perdure.codec.rpc.compression import COMPRESSED_BYTES_MIN, accepts_gzip, compress, decompress
from perdure.codec.rpc.details import TYPE_NAME, encode_info, unpadded
from perdure.codec.rpc.status import CallFailed, Status, connect_name
from perdure.codec.rpc.unary import Answer, Headers

VERSION_HEADER: Final = b"connect-protocol-version"
_VERSION: Final = b"1"
_TIMEOUT_DIGITS_MAX: Final = 10

_ERA_HTTP: Final = {
    Status.CANCELLED: 408,
    Status.INVALID_ARGUMENT: 400,
    Status.DEADLINE_EXCEEDED: 408,
    Status.NOT_FOUND: 404,
    Status.ALREADY_EXISTS: 409,
    Status.PERMISSION_DENIED: 403,
    Status.RESOURCE_EXHAUSTED: 429,
    Status.FAILED_PRECONDITION: 412,
    Status.ABORTED: 409,
    Status.OUT_OF_RANGE: 400,
    Status.UNIMPLEMENTED: 501,
    Status.UNAVAILABLE: 503,
    Status.UNAUTHENTICATED: 401,
}
"""HTTP status by status of a call; 500 where absent."""

_CONNECT_HTTP: Final = _ERA_HTTP | {Status.CANCELLED: 499, Status.DEADLINE_EXCEEDED: 504, Status.FAILED_PRECONDITION: 400}

_encode: Final = msgspec.json.Encoder().encode


class ConnectCall:
    """A call whose body is the message itself.

    Args:
        names_version: The client follows the specification, not only the era's form of it.
    """

    def __init__(self, headers: Mapping[bytes, bytes], *, is_json: bool, names_version: bool, message_bytes_max: int) -> None:
        self.is_json = is_json
        self._names_version = names_version
        self._version = headers.get(VERSION_HEADER, _VERSION)
        self._content_type = headers.get(b"content-type") or (b"application/json" if is_json else b"application/proto")
        self._encoding = headers.get(b"content-encoding", b"identity")
        self._gzips = accepts_gzip(headers.get(b"accept-encoding"))
        self._message_bytes_max = self.body_bytes_max = message_bytes_max
        self._timeout = headers.get(b"connect-timeout-ms") if names_version else None

    def timeout_ms(self) -> int | None:
        """Return how long the client waits.

        Raises:
            CallFailed: The header is malformed.
        """
        if self._timeout is None:
            return None
        if not self._timeout.isdigit() or len(self._timeout) > _TIMEOUT_DIGITS_MAX:
            text = self._timeout.decode("latin-1")
            raise CallFailed(
                Status.INVALID_ARGUMENT, f"connect-timeout-ms {text!r} is not a number of at most {_TIMEOUT_DIGITS_MAX} digits"
            )
        return int(self._timeout)

    def request(self, body: bytes) -> bytes:
        """Return the message of a body.

        Raises:
            CallFailed: UNIMPLEMENTED for an unknown compression, RESOURCE_EXHAUSTED where it is too large, INVALID_ARGUMENT for another
                version of the protocol.
        """
        if self._version != _VERSION:
            text = f"{VERSION_HEADER.decode()} {self._version.decode('latin-1')!r} is not known; send {_VERSION.decode()}"
            raise CallFailed(Status.INVALID_ARGUMENT, text)
        if self._encoding == b"gzip":
            return decompress(body, self._message_bytes_max)
        if self._encoding != b"identity":
            raise CallFailed(
                Status.UNIMPLEMENTED, f"content-encoding {self._encoding.decode('latin-1')} is not understood; send gzip or identity"
            )
        if len(body) > self._message_bytes_max:
            raise CallFailed(Status.RESOURCE_EXHAUSTED, f"message of {len(body)} bytes, limit {self._message_bytes_max}")
        return body

    def success(self, message: bytes, metadata: Headers = ()) -> Answer:
        """Return a message as the body."""
        headers = [(b"content-type", self._content_type), *metadata]
        if self._gzips and len(message) >= COMPRESSED_BYTES_MIN:
            message = compress(message)
            headers.append((b"content-encoding", b"gzip"))
        headers.append((b"content-length", b"%d" % len(message)))
        return Answer(200, headers, message)

    def failure(self, failed: CallFailed, metadata: Headers = ()) -> Answer:
        """Return an error as JSON, whatever the request was."""
        status = failed.call_status
        name = connect_name(status) if self._names_version else status.name.lower()
        body: dict[str, Any] = {"code": name, "message": failed.message}
        if self._names_version and failed.info is not None:
            body["details"] = [{"type": TYPE_NAME, "value": unpadded(encode_info(failed.info)).decode()}]
        encoded = _encode(body)
        http_status = (_CONNECT_HTTP if self._names_version else _ERA_HTTP).get(status, 500)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(encoded)), *metadata]
        return Answer(http_status, headers, encoded)


class ConnectGetCall(ConnectCall):
    """A call whose message is in the query of its address."""

    def __init__(self, headers: Mapping[bytes, bytes], query: bytes, *, message_bytes_max: int) -> None:
        self._query = {
            name: values[0] for name, values in parse_qs(query.decode("latin-1"), keep_blank_values=True, encoding="latin-1").items()
        }
        is_json = self._query.get("encoding") != "proto"
        super().__init__({**headers, b"content-type": b""}, is_json=is_json, names_version=True, message_bytes_max=message_bytes_max)
        self._encoding = self._query.get("compression", "identity").encode("latin-1")

    def request(self, body: bytes) -> bytes:
        """Return the message of the query; the body does not count.

        Raises:
            CallFailed: INVALID_ARGUMENT where the query does not hold one.
        """
        if self._query.get("encoding") not in ("json", "proto") or "message" not in self._query:
            raise CallFailed(Status.INVALID_ARGUMENT, "a GET needs the query parameters encoding (json or proto) and message")
        message = self._query["message"].encode("latin-1")
        if self._query.get("base64") == "1":
            try:
                message = base64.b64decode(message + b"=" * (-len(message) % 4), altchars=b"-_", validate=True)
            except binascii.Error as error:
                raise CallFailed(Status.INVALID_ARGUMENT, f"the query parameter message is not base64: {error}") from None
        return super().request(message)
