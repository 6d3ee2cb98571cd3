"""Calls that stream over gRPC-Web and Connect: the frames of gRPC, but for what the last one says.

Source: the public descriptions of gRPC-Web and of Connect's streaming.
"""

import base64
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from perdure.codec.rpc.grpc import ASGIMessage, Header, ServerCall, encode_message, is_grpc, status_fields
from perdure.codec.rpc.grpc_unary import from_text, trailers_frame
from perdure.codec.rpc.status import Status, connect_name

_CONNECT: Final = b"application/connect+proto"
_CONNECT_END_FLAG: Final = 2


def streaming_call(headers: Iterable[Header], *, message_bytes_max: int) -> ServerCall | None:
    """Return the call that a request opens, in whichever protocol can stream; None where its content type is of none."""
    content_type = next((value for name, value in headers if name == b"content-type"), b"")
    if is_grpc(headers):
        return ServerCall(headers, message_bytes_max=message_bytes_max)
    if content_type.startswith(b"application/grpc-web"):
        return WebServerCall(headers, message_bytes_max=message_bytes_max)
    if content_type == _CONNECT:
        return ConnectServerCall(headers, message_bytes_max=message_bytes_max)
    return None


class WebServerCall(ServerCall):
    """A call of gRPC-Web: the status is a frame of the body, and the text form is base64."""

    has_trailers = False

    def __init__(self, headers: Iterable[Header], *, message_bytes_max: int) -> None:
        super().__init__(headers, message_bytes_max=message_bytes_max)
        self._is_text = self._content_type.startswith(b"application/grpc-web-text")
        self._text = b""

    def receive_each(self, body: bytes) -> list[bytes]:
        """Take in a part of the body; return the messages that it completes.

        Raises:
            CallFailed: Malformed or too large, or the text is no base64.
        """
        if self._is_text:
            text = self._text + body
            whole = len(text) // 4 * 4
            body, self._text = from_text(text[:whole]), text[whole:]
        return super().receive_each(body)

    def _framed(self, message: bytes) -> bytes:
        frame = super()._framed(message)
        return base64.b64encode(frame) if self._is_text else frame

    def _ending(self, status: Status, text: str) -> list[ASGIMessage]:
        frame = trailers_frame(status_fields(status, text))
        return [{"type": "http.response.body", "body": base64.b64encode(frame) if self._is_text else frame, "more_body": False}]


class ConnectServerCall(ServerCall):
    """A call of Connect: the status is JSON in the last frame."""

    has_trailers = False
    encoding_header = b"connect-content-encoding"
    accepted_header = b"connect-accept-encoding"

    def _ending(self, status: Status, text: str) -> list[ASGIMessage]:
        end: dict[str, Any] = {} if status is Status.OK else {"error": {"code": connect_name(status), "message": text}}
        frame = encode_message(msgspec.json.encode(end), flags=_CONNECT_END_FLAG)
        return [{"type": "http.response.body", "body": frame, "more_body": False}]
