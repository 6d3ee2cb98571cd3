"""gzip and zstd of messages and bodies, bounded."""

import gzip
import zlib
from typing import Final

from perdure.base.limits import KIB, MIB
from perdure.codec.rpc.status import CallFailed, Status

COMPRESSED_BYTES_MIN: Final = 1 * KIB
"""Answers below this are not worth the time."""

_LEVEL: Final = 1
_GZIP_WINDOW: Final = 31
_ZSTD_WINDOW_BYTES_MAX: Final = 8 * MIB
"""What decoders must support; more is memory for nothing."""
_ZSTD_GROWTH_MAX: Final = 32 * KIB
"""A block of 4 bytes can stand for 128 KiB."""
_ZSTD_STEP_BYTES_MIN: Final = 64


def compress(data: bytes) -> bytes:
    """Return gzip of bytes; the same bytes give the same gzip."""
    return gzip.compress(data, _LEVEL, mtime=0)


def decompress(data: bytes, bytes_max: int) -> bytes:
    """Return what gzip holds.

    Raises:
        CallFailed: INTERNAL where it is not gzip, RESOURCE_EXHAUSTED above `bytes_max`.
    """
    unzip = zlib.decompressobj(_GZIP_WINDOW)
    try:
        whole = unzip.decompress(data, bytes_max + 1)
    except zlib.error as error:
        raise CallFailed(Status.INTERNAL, f"message is not gzip: {error}") from None
    if len(whole) > bytes_max:
        raise CallFailed(Status.RESOURCE_EXHAUSTED, f"message of more than {bytes_max} bytes when uncompressed")
    if not unzip.eof:
        raise CallFailed(Status.INTERNAL, "message is not gzip: it ends too early")
    return whole


def decompress_zstd(data: bytes, bytes_max: int) -> bytes:
    """Return what the zstd frame of a message holds. It is read in steps, none of which can become much more than `bytes_max`.

    Raises:
        CallFailed: INTERNAL where it is not one whole frame, RESOURCE_EXHAUSTED above `bytes_max`.
    """
    import zstandard  # few clients use it

    frame = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES_MAX).decompressobj()
    step = max(_ZSTD_STEP_BYTES_MIN, bytes_max // _ZSTD_GROWTH_MAX)
    whole = bytearray()
    try:
        for start in range(0, len(data), step):
            whole += frame.decompress(data[start : start + step])
            if len(whole) > bytes_max:
                raise CallFailed(Status.RESOURCE_EXHAUSTED, f"message of more than {bytes_max} bytes when uncompressed")
    except zstandard.ZstdError as error:
        raise CallFailed(Status.INTERNAL, f"message is not zstd: {error}") from None
    if not frame.eof or frame.unused_data:
        raise CallFailed(Status.INTERNAL, "message is not one whole frame of zstd")
    return bytes(whole)


def accepts_gzip(header: bytes | None) -> bool:
    """Tell whether an `accept-encoding` of HTTP or gRPC names gzip."""
    return header is not None and any(part.split(b";")[0].strip() == b"gzip" for part in header.split(b","))
