"""Unary calls of gRPC over HTTP/2 and of gRPC-Web, binary and text: the same frames, but for where the status goes."""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Final

from perdure.base.limits import KIB
from perdure.codec.rpc.compression import COMPRESSED_BYTES_MIN, accepts_gzip, compress
from perdure.codec.rpc.details import encode_status, unpadded
from perdure.codec.rpc.grpc import ENCODINGS, PREFIX_BYTES, MessageDecoder, encode_message, status_fields
from perdure.codec.rpc.status import CallFailed, Status, cut_text, parse_timeout_ms
from perdure.codec.rpc.unary import Answer, Headers

TEXT_BYTES_MAX: Final = 2 * KIB
INFO_BYTES_MAX: Final = 1 * KIB
"""Clients refuse trailers above 8 KiB, with the status that is in them. The text is there twice: also in the details, in base64."""

_ACCEPTED: Final = (b"grpc-accept-encoding", b",".join(ENCODINGS))
_OK: Final = (b"grpc-status", b"0")
_TRAILERS_FLAG: Final = 0x80
_TEXT_PART: Final = re.compile(rb"[A-Za-z0-9+/]+={0,2}")


class GrpcCall:
    """A call of gRPC."""

    def __init__(self, headers: Mapping[bytes, bytes], *, message_bytes_max: int) -> None:
        self.content_type = headers.get(b"content-type", b"application/grpc")
        self.is_json = self.content_type.partition(b";")[0].endswith(b"+json")
        self._encoding = headers.get(b"grpc-encoding", b"identity")
        self._gzips = accepts_gzip(headers.get(b"grpc-accept-encoding"))
        self._message_bytes_max = message_bytes_max
        self.body_bytes_max = message_bytes_max + PREFIX_BYTES
        self._timeout = headers.get(b"grpc-timeout")

    def timeout_ms(self) -> int | None:
        """Return how long the client waits.

        Raises:
            CallFailed: The header is malformed.
        """
        return None if self._timeout is None else parse_timeout_ms(self._timeout)

    def request(self, body: bytes) -> bytes:
        """Return the one message of a body; a second one is not read, as of a client stream.

        Raises:
            CallFailed: There is none, or it cannot be taken.
        """
        messages = MessageDecoder(message_bytes_max=self._message_bytes_max, encoding=self._encoding).receive(body)
        if not messages:
            raise CallFailed(Status.INTERNAL, "the request ended before its message did")
        return messages[0]

    def success(self, message: bytes, metadata: Headers = ()) -> Answer:
        """Return headers, one message, and OK in the trailers."""
        headers = [(b"content-type", self.content_type), _ACCEPTED, *metadata]
        return Answer(200, headers, self._framed(message, headers), [_OK])

    def failure(self, failed: CallFailed, metadata: Headers = ()) -> Answer:
        """Return the status in the trailers, with the metadata; a long text is cut."""
        return Answer(200, [(b"content-type", self.content_type), _ACCEPTED], b"", [*failure_fields(shortened(failed)), *metadata])

    def _framed(self, message: bytes, headers: list[tuple[bytes, bytes]]) -> bytes:
        if self._gzips and len(message) >= COMPRESSED_BYTES_MIN:
            headers.append((b"grpc-encoding", b"gzip"))
            return encode_message(compress(message), flags=1)
        return encode_message(message)


class GrpcWebCall(GrpcCall):
    """A call of gRPC-Web: the trailers are the last frame of the body, and the text form is base64."""

    def __init__(self, headers: Mapping[bytes, bytes], *, message_bytes_max: int) -> None:
        super().__init__(headers, message_bytes_max=message_bytes_max)
        self._is_text = self.content_type.startswith(b"application/grpc-web-text")
        if self._is_text:
            self.body_bytes_max = -(-self.body_bytes_max // 3) * 4

    def request(self, body: bytes) -> bytes:
        """Return the one message of a body.

        Raises:
            CallFailed: There is none, or it cannot be taken, or the text is no base64.
        """
        return super().request(from_text(body) if self._is_text else body)

    def success(self, message: bytes, metadata: Headers = ()) -> Answer:
        """Return a message and a frame of trailers."""
        headers = [(b"content-type", self.content_type), _ACCEPTED, *metadata]
        return self._answer(headers, self._framed(message, headers) + trailers_frame([_OK]))

    def failure(self, failed: CallFailed, metadata: Headers = ()) -> Answer:
        """Return a frame of trailers alone."""
        fields = [*failure_fields(failed), *metadata]
        return self._answer([(b"content-type", self.content_type), _ACCEPTED], trailers_frame(fields))

    def _answer(self, headers: list[tuple[bytes, bytes]], body: bytes) -> Answer:
        if self._is_text:
            body = base64.b64encode(body)
        headers.append((b"content-length", b"%d" % len(body)))
        return Answer(200, headers, body)


def shortened(failed: CallFailed) -> CallFailed:
    """Return the failure with no more text and details than every client takes."""
    text = cut_text(failed.message, TEXT_BYTES_MAX)
    if text != failed.message:
        text += f"… (the first part of {len(failed.message.encode())} bytes)"
    info = None if failed.info is None else failed.info.within(INFO_BYTES_MAX)
    return CallFailed(failed.call_status, text, info)


def failure_fields(failed: CallFailed) -> list[tuple[bytes, bytes]]:
    """Return the fields that say how a call failed."""
    fields = status_fields(failed.call_status, failed.message)
    if failed.info is not None:
        fields.append((b"grpc-status-details-bin", unpadded(encode_status(failed.call_status, failed.message, failed.info))))
    return fields


def trailers_frame(fields: Headers) -> bytes:
    """Return the frame of gRPC-Web that ends a body."""
    return encode_message(b"".join(name + b": " + value + b"\r\n" for name, value in fields), flags=_TRAILERS_FLAG)


def from_text(body: bytes) -> bytes:
    """Decode base64, which a client may have padded in several places: at the end of each part that it encoded.

    Raises:
        CallFailed: It is no base64.
    """
    parts = _TEXT_PART.findall(body)
    if sum(map(len, parts)) != len(body):
        raise CallFailed(Status.INTERNAL, "the body is not base64")
    try:
        return b"".join(base64.b64decode(part) for part in parts)
    except binascii.Error as error:
        raise CallFailed(Status.INTERNAL, f"the body is not base64: {error}") from None
