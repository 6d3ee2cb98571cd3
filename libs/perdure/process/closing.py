"""Close a listening socket without resetting anybody.

A connection that the kernel has established, but the process has not accepted yet, is reset when the listener closes: its client believes
that it is connected, and may have sent a request. So first let no more of them come, then accept what is there, then close.
Source: Linux, socket(7), SO_ATTACH_FILTER.
"""

import ctypes
import socket
import struct
import sys
from typing import Final

_SO_ATTACH_FILTER: Final = 26
_FLAGS_OFFSET: Final = 13
_SYN: Final = 0x02
_LOAD_BYTE, _JUMP_IF_SET, _RETURN = 0x30, 0x45, 0x06
_WHOLE: Final = 0xFFFFFFFF

_DROP_NEW_CONNECTIONS: Final = b"".join(
    struct.pack("HBBI", *instruction)
    for instruction in (
        (_LOAD_BYTE, 0, 0, _FLAGS_OFFSET),
        (_JUMP_IF_SET, 0, 1, _SYN),
        (_RETURN, 0, 0, 0),
        (_RETURN, 0, 0, _WHOLE),
    )
)


def refuse_newcomers(listener: socket.socket) -> None:
    """Let the kernel begin no more connections at a TCP listener; those that it has begun go on. Their clients try again a second later.

    Elsewhere than on Linux it does nothing.
    """
    if sys.platform != "linux":
        return
    program = ctypes.create_string_buffer(_DROP_NEW_CONNECTIONS, len(_DROP_NEW_CONNECTIONS))
    count = len(_DROP_NEW_CONNECTIONS) // struct.calcsize("HBBI")
    listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", count, ctypes.addressof(program)))
