"""Type codes and flags of the versions 1 to 3. Source: shared/spec/service-protocol.md, section 8, and the public protocol.proto of V3."""

import enum
from typing import Final

from perdure.codec.service_protocol.frames import HEADER

COMPLETED_FLAG: Final = 0x0001
"""Of the flags: the entry carries its result."""

CUSTOM_TYPE_MIN: Final = 0xFC00
"""Entries from here on mean something to the SDK alone; the server keeps them and sends them back."""


class EntryType(enum.IntEnum):
    """Type codes."""

    START = 0x0000
    COMPLETION = 0x0001
    SUSPENSION = 0x0002
    ERROR = 0x0003
    ENTRY_ACK = 0x0004
    END = 0x0005

    INPUT = 0x0400
    OUTPUT = 0x0401

    GET_STATE = 0x0800
    SET_STATE = 0x0801
    CLEAR_STATE = 0x0802
    CLEAR_ALL_STATE = 0x0803
    GET_STATE_KEYS = 0x0804
    GET_PROMISE = 0x0808
    PEEK_PROMISE = 0x0809
    COMPLETE_PROMISE = 0x080A

    SLEEP = 0x0C00
    CALL = 0x0C01
    ONE_WAY_CALL = 0x0C02
    AWAKEABLE = 0x0C03
    COMPLETE_AWAKEABLE = 0x0C04
    RUN = 0x0C05
    CANCEL_INVOCATION = 0x0C06
    GET_CALL_INVOCATION_ID = 0x0C07
    ATTACH_INVOCATION = 0x0C08
    GET_INVOCATION_OUTPUT = 0x0C09


_NAMES: Final = {int(code): code.name.title().replace("_", "") for code in EntryType}


def entry_name_of(code: int) -> str:
    """Return the name of a type code; hexadecimal where it has none."""
    return _NAMES.get(code) or f"0x{code:04X}"


def encode_entry_frame(code: int, payload: bytes, *, is_completed: bool = False) -> bytes:
    """Return a frame; the flag tells that an entry has its result."""
    return HEADER.pack(code, COMPLETED_FLAG if is_completed else 0, len(payload)) + payload
