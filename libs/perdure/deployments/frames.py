"""The few HTTP/2 frames that zttp 0.0.35 cannot write for a client, and three corrections of what it does write. Pure.

zttp has no way to send a PING, to choose window sizes, or to hold back the credit of one stream; it names every
request's scheme `https`, and ends those without a body with an empty DATA frame. All of it can be mended on the bytes,
because its output always ends at a frame's boundary.
Source: RFC 9113, sections 4.1, 6.5, 6.7, 6.9; RFC 7541, 6.1 and 6.2.2.
"""

import struct
from collections.abc import Container
from typing import Final

import zttp

HEADER_BYTES: Final = 9
DATA: Final = 0x0
SETTINGS: Final = 0x4
PING: Final = 0x6
GOAWAY: Final = 0x7
WINDOW_UPDATE: Final = 0x8

END_STREAM: Final = 0x1
"""A flag of HEADERS and DATA."""

SETTING_ENABLE_PUSH: Final = 0x2
SETTING_MAX_CONCURRENT_STREAMS: Final = 0x3
SETTING_INITIAL_WINDOW_SIZE: Final = 0x4

NO_ERROR: Final = 0x0
CANCEL: Final = 0x8
FRAME_SIZE_ERROR: Final = 0x6

INITIAL_WINDOW_BYTES: Final = 65_535

_SCHEME_HTTPS: Final = b"\x06\x05https"
_SCHEME_HTTP_INDEXED: Final = b"\x86"


def frame(frame_type: int, stream_id: int, payload: bytes) -> bytes:
    """Return one frame without flags."""
    return struct.pack(">I", len(payload) << 8 | frame_type) + b"\x00" + struct.pack(">I", stream_id) + payload


def settings_frame(*, stream_window_bytes: int) -> bytes:
    """Return SETTINGS that turn off server push and set the receive window of each stream."""
    return frame(SETTINGS, 0, struct.pack(">HIHI", SETTING_ENABLE_PUSH, 0, SETTING_INITIAL_WINDOW_SIZE, stream_window_bytes))


def ping_frame() -> bytes:
    return frame(PING, 0, b"perdure\x00")


def window_update_frame(stream_id: int, increment: int) -> bytes:
    """Return a grant of `increment` bytes; stream 0 is the connection."""
    return frame(WINDOW_UPDATE, stream_id, struct.pack(">I", increment))


def with_http_scheme(head: bytes) -> bytes:
    """Return the HEADERS frame `head` of zttp with `:scheme http` for its `https`; method and scheme come first in it."""
    at = head.index(_SCHEME_HTTPS, HEADER_BYTES)
    shorter = len(_SCHEME_HTTPS) - len(_SCHEME_HTTP_INDEXED)
    length = int.from_bytes(head[:3], "big") - shorter
    return length.to_bytes(3, "big") + head[3:at] + _SCHEME_HTTP_INDEXED + head[at + len(_SCHEME_HTTPS) :]


def with_end_of_stream(head: bytes) -> bytes:
    """Return the HEADERS frame `head` of a request without a body, so that it ends its stream itself.

    Not only for thrift: hypercorn gives up a whole connection at a DATA frame for a request that it has answered already.
    """
    return head[:4] + bytes((head[4] | END_STREAM,)) + head[5:]


def withhold_credit(output: bytes, stream_ids: Container[int]) -> tuple[bytes, dict[int, int]]:
    """Take the WINDOW_UPDATE frames of `stream_ids` out of `output`.

    Returns:
        What is left, and stream id -> the credit that was taken out.
    """
    kept: list[bytes] = []
    withheld: dict[int, int] = {}
    start = 0
    while start < len(output):
        end = start + HEADER_BYTES + int.from_bytes(output[start : start + 3], "big")
        stream_id = int.from_bytes(output[start + 5 : start + 9], "big")
        if output[start + 3] == WINDOW_UPDATE and stream_id in stream_ids:
            withheld[stream_id] = withheld.get(stream_id, 0) + int.from_bytes(output[end - 4 : end], "big")
        else:
            kept.append(output[start:end])
        start = end
    return b"".join(kept), withheld


def looks_like_http2(first: bytes) -> bool:
    """Return whether bytes from a server begin with a SETTINGS or GOAWAY frame of HTTP/2."""
    return len(first) >= HEADER_BYTES and first[0] == 0 and first[3] in (SETTINGS, GOAWAY) and first[5:9] == bytes(4)


def error_name(code: int) -> str:
    """Return the RFC's name of an HTTP/2 error code."""
    try:
        return zttp.H2ErrorCode(code).name
    except ValueError:
        return f"error {code:#x}"
