"""Frames of the service protocol: bytes in, frames out, and back.

A frame is an 8-byte header (u16 type, u16 flags, u32 payload length; big-endian) and its payload.
Source: shared/spec/service-protocol.md, section 3. Holds at most one incomplete frame.
"""

import enum
import struct
from collections.abc import Callable, Iterator
from typing import Final

from perdure.base.errors import RemoteProtocolError
from perdure.base.limits import KIB

HEADER: Final = struct.Struct(">HHI")
ACK_FLAG: Final = 0x8000
"""Of the flags: the sender wants to know when the message is durable."""

FRAME_SLACK_BYTES: Final = 256 * KIB
"""What a frame may exceed the message limit by, for the fields around a body. Source: section 3."""

Frame = tuple[int, bool, bytes]
"""Type code, whether an acknowledgement is wanted, payload."""


class FrameTooLarge(RemoteProtocolError):
    """The peer announced a message above the limit."""

    code, status = "RT0003", 413
    hint = "Send less at once, or raise message_bytes_max of the server."


class MessageType(enum.IntEnum):
    """Type codes; a completion has the low byte of its command."""

    START = 0x0000
    SUSPENSION = 0x0001
    ERROR = 0x0002
    END = 0x0003
    COMMAND_ACK = 0x0004
    PROPOSE_RUN_COMPLETION = 0x0005
    AWAITING_ON = 0x0006
    PROPOSE_RUN_COMPLETION_ACK = 0x0007

    INPUT = 0x0400
    OUTPUT = 0x0401
    GET_LAZY_STATE = 0x0402
    SET_STATE = 0x0403
    CLEAR_STATE = 0x0404
    CLEAR_ALL_STATE = 0x0405
    GET_LAZY_STATE_KEYS = 0x0406
    GET_EAGER_STATE = 0x0407
    GET_EAGER_STATE_KEYS = 0x0408
    GET_PROMISE = 0x0409
    PEEK_PROMISE = 0x040A
    COMPLETE_PROMISE = 0x040B
    SLEEP = 0x040C
    CALL = 0x040D
    ONE_WAY_CALL = 0x040E
    SEND_SIGNAL = 0x0410
    RUN = 0x0411
    ATTACH_INVOCATION = 0x0412
    GET_INVOCATION_OUTPUT = 0x0413
    COMPLETE_AWAKEABLE = 0x0414

    GET_LAZY_STATE_COMPLETION = 0x8002
    GET_LAZY_STATE_KEYS_COMPLETION = 0x8006
    GET_PROMISE_COMPLETION = 0x8009
    PEEK_PROMISE_COMPLETION = 0x800A
    COMPLETE_PROMISE_COMPLETION = 0x800B
    SLEEP_COMPLETION = 0x800C
    CALL_COMPLETION = 0x800D
    CALL_INVOCATION_ID_COMPLETION = 0x800E
    RUN_COMPLETION = 0x8011
    ATTACH_INVOCATION_COMPLETION = 0x8012
    GET_INVOCATION_OUTPUT_COMPLETION = 0x8013
    SIGNAL = 0xFBFF

    @property
    def is_command(self) -> bool:
        """Whether it is journaled as a command."""
        return 0x0400 <= self < 0x8000

    @property
    def readable(self) -> str:
        """The name that users read, as `GetLazyState` or `Run`."""
        return self.name.title().replace("_", "")


_NAMES: Final = {int(code): code.readable for code in MessageType}


def name_of(code: int) -> str:
    """Return the name of a type code; hexadecimal where it has none."""
    return _NAMES.get(code) or f"0x{code:04X}"


def encode_frame(code: int, payload: bytes) -> bytes:
    """Return a frame without flags; the server sets none."""
    return HEADER.pack(code, 0, len(payload)) + payload


class FrameDecoder:
    """Cut a byte stream into frames.

    Args:
        payload_bytes_max: A header that announces this much or more raises `FrameTooLarge`, which bounds the memory of a stream.
        name_of: Names type codes in errors.
    """

    def __init__(self, *, payload_bytes_max: int, name_of: Callable[[int], str] = name_of) -> None:
        assert payload_bytes_max > 0
        self._name_of = name_of
        self._payload_bytes_max = payload_bytes_max
        self._buffer = bytearray()

    def receive(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that `data` completes, in order; once all are taken, the rest is kept for the next call.

        Raises:
            FrameTooLarge: The next header announces too much.
        """
        buffer = self._buffer
        source: bytes | bytearray = data
        if buffer:
            buffer += data
            source = buffer
        start, size = 0, len(source)
        while size - start >= 8:
            code, flags, length = HEADER.unpack_from(source, start)
            if length >= self._payload_bytes_max:
                raise FrameTooLarge(f"message {self._name_of(code)} of {length} bytes, limit {self._payload_bytes_max}")
            end = start + 8 + length
            if end > size:
                break
            yield code, flags & ACK_FLAG != 0, bytes(source[start + 8 : end])
            start = end
        if source is buffer:
            del buffer[:start]
        elif start < size:
            buffer += data[start:]
