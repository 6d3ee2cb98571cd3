"""Entries that are journaled as they came, as the value of a run's proposal: type code and payload.

Source: the public protocol.proto of V3 and the custom entries of the SDKs of that time.
"""

import struct
from typing import Final

from perdure.model.result import Success

_TYPE: Final = struct.Struct(">H")


def keep(code: int, payload: bytes) -> Success:
    """Return what to journal for an entry."""
    return Success(_TYPE.pack(code) + payload)


def kept(value: bytes) -> tuple[int, bytes]:
    """Return type code and payload of what `keep` made."""
    return _TYPE.unpack_from(value)[0], value[_TYPE.size :]
