"""The server's side of one gRPC call, as ASGI carries it: headers and body chunks in, request messages and ASGI messages out.

A message is a byte (1 where it is compressed), its length (u32, big-endian) and its bytes. The status follows in the trailers.
Source: the gRPC over HTTP/2 protocol description. Holds at most one incomplete message.
"""

import struct
from collections.abc import Iterable
from typing import Any, Final

from perdure.codec.rpc.compression import decompress, decompress_zstd
from perdure.codec.rpc.status import CallFailed, Status, encode_text, parse_timeout_ms

ASGIMessage = dict[str, Any]  # what ASGI calls a message: a dictionary with a type and keys that depend on it
Header = tuple[bytes, bytes]

ENCODINGS: Final = (b"identity", b"gzip", b"zstd")
_PREFIX: Final = struct.Struct(">BI")
PREFIX_BYTES: Final = _PREFIX.size
"""What a message has in front of it."""


def is_grpc(headers: Iterable[Header]) -> bool:
    """Tell whether a request is a gRPC call (not gRPC-Web)."""
    content_type = next((value for name, value in headers if name == b"content-type"), b"")
    return content_type == b"application/grpc" or content_type.startswith((b"application/grpc+", b"application/grpc;"))


class MessageDecoder:
    """Cut a body into messages.

    Args:
        message_bytes_max: Messages above this, compressed or not, fail with RESOURCE_EXHAUSTED.
        encoding: What the header `grpc-encoding` says.
    """

    def __init__(self, *, message_bytes_max: int, encoding: bytes = b"identity") -> None:
        assert message_bytes_max > 0
        self._message_bytes_max = message_bytes_max
        self._encoding = encoding
        self._buffer = bytearray()

    @property
    def is_empty(self) -> bool:
        """Whether no part of a message waits for the rest."""
        return not self._buffer

    def receive(self, data: bytes) -> list[bytes]:
        """Return the messages that `data` completes, uncompressed.

        Raises:
            CallFailed: Too large, compressed in an unknown way, or malformed.
        """
        self._buffer += data
        messages: list[bytes] = []
        start = 0
        while len(self._buffer) - start >= _PREFIX.size:
            flag, length = _PREFIX.unpack_from(self._buffer, start)
            if length > self._message_bytes_max:
                raise CallFailed(Status.RESOURCE_EXHAUSTED, f"message of {length} bytes, limit {self._message_bytes_max}")
            end = start + _PREFIX.size + length
            if end > len(self._buffer):
                break
            messages.append(self._decompress(flag, bytes(self._buffer[start + _PREFIX.size : end])))
            start = end
        del self._buffer[:start]
        return messages

    def _decompress(self, flag: int, message: bytes) -> bytes:
        if flag == 0:
            return message
        if flag != 1:
            raise CallFailed(Status.INTERNAL, f"message with the unknown flag {flag}")
        if self._encoding == b"zstd":
            return decompress_zstd(message, self._message_bytes_max)
        if self._encoding != b"gzip":
            name = self._encoding.decode("latin-1")
            raise CallFailed(Status.UNIMPLEMENTED, f"messages in the encoding {name} are not understood")
        return decompress(message, self._message_bytes_max)


def encode_message(message: bytes, *, flags: int = 0) -> bytes:
    """Return a message with its prefix; flag 1 says that it is compressed."""
    return _PREFIX.pack(flags, len(message)) + message


class ServerCall:
    """One call: what the client sends is received, what is answered becomes ASGI messages.

    Raises:
        CallFailed: The request headers ask for what does not exist.
    """

    has_trailers = True
    encoding_header = b"grpc-encoding"
    accepted_header = b"grpc-accept-encoding"

    def __init__(self, headers: Iterable[Header], *, message_bytes_max: int) -> None:
        by_name = dict(headers)
        encoding = by_name.get(self.encoding_header, b"identity")
        self._decoder = MessageDecoder(message_bytes_max=message_bytes_max, encoding=encoding)
        self._content_type = by_name.get(b"content-type", b"application/grpc")
        self._request: bytes | None = None
        self._is_started = False
        self._timeout = by_name.get(b"grpc-timeout")

    def timeout_ms(self) -> int | None:
        """Return how long the client waits, or None.

        Raises:
            CallFailed: The header is malformed.
        """
        return None if self._timeout is None else parse_timeout_ms(self._timeout)

    def receive(self, body: bytes, *, is_last: bool) -> bytes | None:
        """Take in a part of the body; return the one request message once all of it is there.

        Raises:
            CallFailed: Malformed, too large, or not exactly one message.
        """
        for message in self._decoder.receive(body):
            if self._request is not None:
                raise CallFailed(Status.UNIMPLEMENTED, "the method takes one message")
            self._request = message
        if not is_last:
            return None
        if self._request is None or not self._decoder.is_empty:
            raise CallFailed(Status.INTERNAL, "the request ended before its message did")
        return self._request

    def receive_each(self, body: bytes) -> list[bytes]:
        """Take in a part of the body of a client's stream; return the messages that it completes.

        Raises:
            CallFailed: Malformed or too large.
        """
        return self._decoder.receive(body)

    def send(self, message: bytes) -> list[ASGIMessage]:
        """Return the ASGI messages that carry a response message."""
        return [*self._start(), {"type": "http.response.body", "body": self._framed(message), "more_body": True}]

    def end(self, status: Status, text: str = "") -> list[ASGIMessage]:
        """Return the ASGI messages that end the call with its status."""
        return [*self._start(), *self._ending(status, text)]

    def _framed(self, message: bytes) -> bytes:
        return encode_message(message)

    def _ending(self, status: Status, text: str) -> list[ASGIMessage]:
        """Tell the status in the trailers.

        Also where there is no message: ASGI has no response of headers alone, and grpcio takes an empty body in its place for an error.
        """
        return [
            {"type": "http.response.body", "body": b"", "more_body": False},
            {"type": "http.response.trailers", "headers": status_fields(status, text), "more_trailers": False},
        ]

    def _start(self) -> list[ASGIMessage]:
        if self._is_started:
            return []
        self._is_started = True
        headers = [(b"content-type", self._content_type), (self.accepted_header, b",".join(ENCODINGS))]
        return [{"type": "http.response.start", "status": 200, "headers": headers, "trailers": self.has_trailers}]


def status_fields(status: Status, text: str) -> list[Header]:
    """Return the fields that tell a status."""
    fields: list[Header] = [(b"grpc-status", b"%d" % status)]
    if text:
        fields.append((b"grpc-message", encode_text(text)))
    return fields
