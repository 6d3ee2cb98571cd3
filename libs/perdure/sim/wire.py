"""The endpoint's side of the service protocol's frames, just as much of it as the simulated deployments speak.

Independent of the server's own codec but for the message classes. Source: shared/spec/service-protocol.md, sections 3 and 4.
"""

import struct
from typing import Final

from google.protobuf.message import Message

from perdure.codec.service_protocol import messages_pb2 as pb

_HEADER: Final = struct.Struct(">HHI")

START: Final = 0x0000
SUSPENSION: Final = 0x0001
ERROR: Final = 0x0002
END: Final = 0x0003
COMMAND_ACK: Final = 0x0004
PROPOSE_RUN_COMPLETION: Final = 0x0005
PROPOSE_RUN_COMPLETION_ACK: Final = 0x0007
INPUT: Final = 0x0400
OUTPUT: Final = 0x0401
GET_LAZY_STATE: Final = 0x0402
SET_STATE: Final = 0x0403
CLEAR_STATE: Final = 0x0404
GET_EAGER_STATE: Final = 0x0407
SLEEP: Final = 0x040C
GET_PROMISE: Final = 0x0409
PEEK_PROMISE: Final = 0x040A
COMPLETE_PROMISE: Final = 0x040B
CALL: Final = 0x040D
ONE_WAY_CALL: Final = 0x040E
RUN: Final = 0x0411
ATTACH_INVOCATION: Final = 0x0412
GET_INVOCATION_OUTPUT: Final = 0x0413
COMPLETE_AWAKEABLE: Final = 0x0414
SIGNAL_NOTIFICATION: Final = 0xFBFF

COMMANDS: Final[dict[int, type[Message]]] = {
    INPUT: pb.Input,
    OUTPUT: pb.Output,
    GET_LAZY_STATE: pb.GetLazyState,
    SET_STATE: pb.SetState,
    CLEAR_STATE: pb.ClearState,
    GET_EAGER_STATE: pb.GetEagerState,
    SLEEP: pb.Sleep,
    CALL: pb.Call,
    ONE_WAY_CALL: pb.OneWayCall,
    RUN: pb.Run,
    COMPLETE_AWAKEABLE: pb.CompleteAwakeable,
    GET_PROMISE: pb.GetPromise,
    PEEK_PROMISE: pb.PeekPromise,
    COMPLETE_PROMISE: pb.CompletePromise,
    ATTACH_INVOCATION: pb.AttachInvocation,
    GET_INVOCATION_OUTPUT: pb.GetInvocationOutput,
}


def is_notification(code: int) -> bool:
    """Return whether a frame answers a command or carries a signal."""
    return code == SIGNAL_NOTIFICATION or code & 0xFF00 == 0x8000


def frame(code: int, message: Message, *, wants_ack: bool = False) -> bytes:
    """Return the bytes of one frame."""
    payload = message.SerializeToString()
    return _HEADER.pack(code, 0x8000 if wants_ack else 0, len(payload)) + payload


class FrameReader:
    """Cut a byte stream into (type code, payload)."""

    def __init__(self) -> None:
        self._buffer = b""

    def receive(self, data: bytes) -> list[tuple[int, bytes]]:
        """Return the frames that `data` completes."""
        self._buffer += data
        frames: list[tuple[int, bytes]] = []
        while len(self._buffer) >= _HEADER.size:
            code, _, size = _HEADER.unpack_from(self._buffer)
            end = _HEADER.size + size
            if len(self._buffer) < end:
                break
            frames.append((code, self._buffer[_HEADER.size : end]))
            self._buffer = self._buffer[end:]
        return frames


def nonsense_frames() -> list[bytes]:
    """Return frames that no endpoint may send; a server has to fail the attempt on each of them."""
    return [
        _HEADER.pack(0x0FFF, 0, 0),
        _HEADER.pack(0x00AB, 0, 3) + b"abc",
        _HEADER.pack(RUN, 0, 0xFFFF_FFF0),
        _HEADER.pack(SLEEP, 0, 4) + b"\xff\xff\xff\xff",
        frame(0x8011, pb.Notification(completion_id=1, value=pb.Value(content=b"forged"))),
        frame(COMMAND_ACK, pb.CommandAck(command_index=1)),
        frame(SUSPENSION, pb.Suspension()),
        frame(PROPOSE_RUN_COMPLETION, pb.ProposeRunCompletion(result_completion_id=1)),
    ]
