"""Puts values together again that were cut, row by row in key order, and tells which of them are incomplete."""

import struct
from typing import Final

from perdure.store.chunks import ahead_of

_HEAD: Final = struct.Struct(">BI")
_HEAD_OF_AHEAD: Final = struct.Struct(">BI16s")
_WHOLE, _FIRST, _PIECE, _AHEAD = 0, 1, 2, 3
_NUMBER_MIN: Final = b"\x15"


class Assembly:
    """Takes the rows of one range. Source: `perdure.store.chunks`."""

    def __init__(self) -> None:
        self._key = b""
        self._prefix = b""
        self._parts: list[bytes] = []
        self._missing = 0

    def take(self, key: bytes, stored: bytes) -> tuple[bytes, bytes] | None:
        """Return the key and the whole value that this row completes, if it does.

        Raises:
            Incomplete: The value before this row, or this row itself, lacks what belongs to it.
            Stray: This row is a piece of no value that is there.
        """
        kind = stored[0] if stored else -1
        if kind == _PIECE:
            return self._continue(key, stored)
        self.finish()
        if kind == _WHOLE:
            return key, stored[1:]
        if kind == _FIRST and len(stored) >= _HEAD.size:
            self._prefix, self._parts = key, [stored[_HEAD.size :]]
            self._missing = _HEAD.unpack_from(stored)[1]
        elif kind == _AHEAD and len(stored) == _HEAD_OF_AHEAD.size:
            _, self._missing, writing = _HEAD_OF_AHEAD.unpack(stored)
            self._prefix, self._parts = ahead_of(key, writing), []
        else:
            raise Incomplete(key, "the row does not say how its value is stored")
        self._key = key
        return None

    def finish(self) -> None:
        """Say that no row follows in this range.

        Raises:
            Incomplete: The last value lacks pieces.
        """
        key, missing = self._key, self._missing
        self._key, self._parts, self._missing = b"", [], 0
        if missing:
            raise Incomplete(key, f"{missing} pieces of the value are missing")

    def _continue(self, key: bytes, stored: bytes) -> tuple[bytes, bytes] | None:
        is_ours = key.startswith(self._prefix) and key[len(self._prefix) :] >= _NUMBER_MIN
        if not self._missing or not is_ours:
            raise Stray(key, "a piece without the value that it belongs to")
        self._parts.append(stored[1:])
        self._missing -= 1
        return None if self._missing else (self._key, b"".join(self._parts))


class Incomplete(Exception):
    """A cut value is not whole: its key, and what is wrong."""

    def __init__(self, key: bytes, reason: str) -> None:
        super().__init__(reason)
        self.key = key
        self.reason = reason


class Stray(Incomplete):
    """A piece of no value that is there: it is being written ahead, or was left over."""
