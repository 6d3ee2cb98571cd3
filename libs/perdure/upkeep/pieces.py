"""Puts values together again that were cut, row by row in key order, and tells which of them are incomplete."""

import struct
from typing import Final

_HEAD: Final = struct.Struct(">BI")
_WHOLE, _FIRST, _PIECE = 0, 1, 2


class Assembly:
    """Takes the rows of one range. Source: `perdure.store.chunks`."""

    def __init__(self) -> None:
        self._key = b""
        self._parts: list[bytes] = []
        self._missing = 0

    def take(self, key: bytes, stored: bytes) -> tuple[bytes, bytes] | None:
        """Return the key and the whole value that this row completes, if it does.

        Raises:
            Incomplete: The value before this row, or this row itself, lacks what belongs to it.
        """
        kind = stored[0] if stored else -1
        if kind == _PIECE:
            return self._continue(key, stored)
        self.finish()
        if kind == _WHOLE:
            return key, stored[1:]
        if kind != _FIRST or len(stored) < _HEAD.size:
            raise Incomplete(key, "the row does not say how its value is stored")
        self._key, self._parts = key, [stored[_HEAD.size :]]
        self._missing = _HEAD.unpack_from(stored)[1]
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
        if not self._missing or not key.startswith(self._key):
            raise Incomplete(key, "a piece without the value that it belongs to")
        self._parts.append(stored[1:])
        self._missing -= 1
        return None if self._missing else (self._key, b"".join(self._parts))


class Incomplete(Exception):
    """A cut value is not whole: its key, and what is wrong."""

    def __init__(self, key: bytes, reason: str) -> None:
        super().__init__(reason)
        self.key = key
        self.reason = reason
