"""Rows as `COPY ... TO STDOUT` sends them: text, CSV or binary. Source: PostgreSQL documentation, page "COPY"."""

import enum
import struct
from collections.abc import Sequence
from typing import Final

import msgspec

from perdure.codec.pgwire.backend import Column, message
from perdure.codec.pgwire.values import encoder

_SIGNATURE: Final = b"PGCOPY\n\xff\r\n\x00" + struct.pack(">ii", 0, 0)
_TRAILER: Final = struct.pack(">h", -1)
_ESCAPES: Final = {
    "\\": "\\\\",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
}

COPY_DONE: Final = message(b"c")


class CopyFormat(enum.Enum):
    """How rows look."""

    TEXT = "text"
    CSV = "csv"
    BINARY = "binary"


class CopyOptions(msgspec.Struct, frozen=True):
    """What a client may choose; None for what its format has by default."""

    format: CopyFormat = CopyFormat.TEXT
    has_header: bool = False
    delimiter: str | None = None
    null: str | None = None
    quote: str = '"'


class CopyEncoder:
    """Encode the rows of one result."""

    def __init__(self, columns: Sequence[Column], options: CopyOptions) -> None:
        is_csv = options.format is CopyFormat.CSV
        self._columns = columns
        self._options = options
        self._is_binary = options.format is CopyFormat.BINARY
        self._signature = _SIGNATURE
        self._encoders = [encoder(column.oid, int(self._is_binary)) for column in columns]
        self._delimiter = options.delimiter or ("," if is_csv else "\t")
        self._null = options.null if options.null is not None else ("" if is_csv else "\\N")
        self._escapes = str.maketrans(_ESCAPES | ({} if self._delimiter in _ESCAPES else {self._delimiter: f"\\{self._delimiter}"}))

    def begin(self) -> bytes:
        """Return what comes before the rows."""
        code = int(self._is_binary)
        count = len(self._columns)
        head = message(b"H", struct.pack(f">bh{count}h", code, count, *[code] * count))
        if self._options.has_header and not self._is_binary:
            return head + self._line([column.name for column in self._columns])
        return head

    def row(self, values: Sequence[object]) -> bytes:
        """Return one row."""
        encoded = [None if value is None else encode(value) for encode, value in zip(self._encoders, values, strict=True)]
        if not self._is_binary:
            return self._line([None if value is None else value.decode() for value in encoded])
        parts = [b"\xff\xff\xff\xff" if value is None else struct.pack(">i", len(value)) + value for value in encoded]
        return message(b"d", self._take_signature() + struct.pack(">h", len(parts)) + b"".join(parts))

    def end(self) -> bytes:
        """Return what comes behind the rows."""
        return message(b"d", self._take_signature() + _TRAILER) + COPY_DONE if self._is_binary else COPY_DONE

    def _take_signature(self) -> bytes:
        """Return what clients expect in one message with the first row."""
        taken, self._signature = self._signature, b""
        return taken

    def _line(self, texts: Sequence[str | None]) -> bytes:
        shown = self._quoted if self._options.format is CopyFormat.CSV else self._escaped
        line = self._delimiter.join(self._null if text is None else shown(text) for text in texts)
        return message(b"d", line.encode() + b"\n")

    def _escaped(self, text: str) -> str:
        return text.translate(self._escapes)

    def _quoted(self, text: str) -> str:
        quote = self._options.quote
        if text != self._null and not any(mark in text for mark in (quote, self._delimiter, "\n", "\r")):
            return text
        return quote + text.replace(quote, quote * 2) + quote
