"""What a failed call says beside status and text: `google.rpc.ErrorInfo`, as gRPC and Connect carry it.

Source: the public definitions of google.rpc.Status (1 code, 2 message, 3 details) and ErrorInfo (1 reason, 2 domain, 3 metadata).
"""

import base64
from typing import Final

import msgspec

from perdure.codec.descriptors.keys import LENGTH, VARINT, encode_varint

TYPE_NAME: Final = "google.rpc.ErrorInfo"
_TYPE_URL: Final = f"type.googleapis.com/{TYPE_NAME}".encode()


class ErrorInfo(msgspec.Struct, frozen=True):
    """Why a call failed, for programs."""

    reason: str
    domain: str
    metadata: tuple[tuple[str, str], ...] = ()

    def within(self, bytes_max: int) -> "ErrorInfo":
        """Return it with as much of its metadata, from the first, as fits into so many encoded bytes."""
        metadata = self.metadata
        while metadata and len(encode_info(ErrorInfo(self.reason, self.domain, metadata))) > bytes_max:
            metadata = metadata[:-1]
        return ErrorInfo(self.reason, self.domain, metadata)


def encode_info(info: ErrorInfo) -> bytes:
    """Return the bytes of a `google.rpc.ErrorInfo`."""
    entries = (_bytes_field(3, _bytes_field(1, name.encode()) + _bytes_field(2, value.encode())) for name, value in info.metadata)
    return _bytes_field(1, info.reason.encode()) + _bytes_field(2, info.domain.encode()) + b"".join(entries)


def encode_status(code: int, message: str, info: ErrorInfo) -> bytes:
    """Return the bytes of a `google.rpc.Status` with one detail."""
    detail = _bytes_field(1, _TYPE_URL) + _bytes_field(2, encode_info(info))
    return encode_varint(1 << 3 | VARINT) + encode_varint(code) + _bytes_field(2, message.encode()) + _bytes_field(3, detail)


def unpadded(raw: bytes) -> bytes:
    """Return base64 without padding, as binary headers and Connect's details have it."""
    return base64.b64encode(raw).rstrip(b"=")


def _bytes_field(number: int, content: bytes) -> bytes:
    return encode_varint(number << 3 | LENGTH) + encode_varint(len(content)) + content
