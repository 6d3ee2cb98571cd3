"""An HTTP exchange as the JSON that goes into a Lambda function and comes out of it. Pure.

The event is like that of an API gateway, with few of its members; the body travels in base64, and compressed where both sides can.
Source: shared/spec/service-protocol.md, section 2.8.
"""

import base64
import binascii
from collections.abc import Iterable
from typing import Final

import msgspec

from perdure.base.errors import RemoteProtocolError

ZSTD: Final = "zstd"
ZSTD_LEVEL: Final = 3
SHOWN_CHARACTERS_MAX: Final = 1_000
"""Of an answer that cannot be read, so much is shown."""


class _Event(msgspec.Struct, frozen=True, rename="camel"):
    path: str
    http_method: str
    headers: dict[str, str]
    body: bytes
    """msgspec writes bytes as padded base64."""
    is_base64_encoded: bool = msgspec.field(name="isBase64Encoded", default=True)


class _Answer(msgspec.Struct, frozen=True, rename="camel"):
    status_code: int
    headers: dict[str, str | list[str]] | None = None
    body: str | None = None
    is_base64_encoded: bool = msgspec.field(name="isBase64Encoded", default=False)


class FunctionAnswer(msgspec.Struct, frozen=True):
    """What a function answered. Header names are in lower case; `body` is neither encoded nor compressed any more."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def encode_event(
    method: str, path: str, headers: Iterable[tuple[str, str]], body: bytes, *, compression_bytes_min: int | None = None
) -> bytes:
    """Return the event of a request; of several headers with one name the first counts.

    Args:
        compression_bytes_min: Bodies from this size on are compressed, and the answer may be; None where the endpoint cannot do it.
    """
    fields: dict[str, str] = {}
    for name, value in headers:
        fields.setdefault(name.lower(), value)
    if compression_bytes_min is not None:
        fields["accept-encoding"] = ZSTD
        if len(body) >= compression_bytes_min:
            fields["content-encoding"] = ZSTD
            body = compress(body)
    return msgspec.json.encode(_Event(path, method, fields, body))


def decode_answer(payload: bytes, *, body_bytes_max: int) -> FunctionAnswer:
    """Read what a function returned.

    Raises:
        RemoteProtocolError: It is no such answer, or its body is larger than `body_bytes_max` once it is unpacked.
    """
    try:
        answer = msgspec.json.decode(payload, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RemoteProtocolError(f"the function's answer cannot be read: {error}; it was {shown(payload)!r}") from None
    headers = [(name.lower(), value) for name, values in (answer.headers or {}).items() for value in _each(values)]
    body = _decode_body(answer)
    if any(name == "content-encoding" and value.strip().lower() == ZSTD for name, value in headers):
        body = decompress(body, bytes_max=body_bytes_max)
        headers = [field for field in headers if field[0] != "content-encoding"]
    return FunctionAnswer(answer.status_code, headers, body)


def shown(payload: bytes) -> str:
    """Return so much of a payload as an error message may hold."""
    return payload[: 4 * SHOWN_CHARACTERS_MAX].decode("utf-8", "replace")[:SHOWN_CHARACTERS_MAX]


def _each(values: str | list[str]) -> list[str]:
    return [values] if isinstance(values, str) else values


def _decode_body(answer: _Answer) -> bytes:
    if answer.body is None:
        return b""
    if not answer.is_base64_encoded:
        return answer.body.encode()
    try:
        return base64.b64decode(answer.body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RemoteProtocolError(f"the body of the function's answer is no base64: {error}") from None


def compress(data: bytes) -> bytes:
    """Return `data` as one Zstandard frame."""
    import zstandard

    return zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(data)


def decompress(data: bytes, *, bytes_max: int) -> bytes:
    """Return what is in the Zstandard frames of `data`.

    Raises:
        RemoteProtocolError: It is no Zstandard, or larger than `bytes_max`.
    """
    import zstandard

    try:
        with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as reader:
            unpacked = reader.read(bytes_max + 1)
    except zstandard.ZstdError as error:
        raise RemoteProtocolError(f"the body of the function's answer cannot be decompressed: {error}") from None
    if len(unpacked) > bytes_max:
        raise RemoteProtocolError(f"the body of the function's answer is larger than {bytes_max} bytes once it is decompressed")
    return unpacked
