"""What a PostgreSQL client is answered: one function per message, each returns its bytes.

Source: PostgreSQL documentation, chapter "Frontend/Backend Protocol".
"""

import struct
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from perdure.codec.pgwire.values import Oid, size_of

_INT32: Final = struct.Struct(">i")
_INT16: Final = struct.Struct(">H")
_FIELD: Final = struct.Struct(">IhIhih")
_NULL: Final = b"\xff\xff\xff\xff"

ENCRYPTION_DECLINED: Final = b"N"
TLS_ACCEPTED: Final = b"S"


def message(kind: bytes, content: bytes = b"") -> bytes:
    """Return a message of a kind, with its length."""
    return kind + _INT32.pack(len(content) + 4) + content


def _text(value: str) -> bytes:
    return value.replace("\x00", "\ufffd").encode() + b"\x00"


AUTHENTICATION_OK: Final = message(b"R", _INT32.pack(0))
PARSE_COMPLETE: Final = message(b"1")
BIND_COMPLETE: Final = message(b"2")
CLOSE_COMPLETE: Final = message(b"3")
NO_DATA: Final = message(b"n")
PORTAL_SUSPENDED: Final = message(b"s")
EMPTY_QUERY_RESPONSE: Final = message(b"I")


def authentication_sasl(mechanisms: Sequence[str]) -> bytes:
    """Ask who the client is, by one of some SASL mechanisms."""
    return message(b"R", _INT32.pack(10) + b"".join(map(_text, mechanisms)) + b"\x00")


def authentication_sasl_continue(challenge: bytes) -> bytes:
    """Go on with a SASL exchange."""
    return message(b"R", _INT32.pack(11) + challenge)


def authentication_sasl_final(outcome: bytes) -> bytes:
    """End a SASL exchange that has succeeded."""
    return message(b"R", _INT32.pack(12) + outcome)


TransactionStatus = Literal[b"I", b"T", b"E"]
"""Idle, in a transaction, in a failed transaction."""


def ready_for_query(status: TransactionStatus) -> bytes:
    """Ask for the next query or series of extended messages."""
    return message(b"Z", status)


def parameter_status(name: str, value: str) -> bytes:
    """Tell a setting that drivers go by."""
    return message(b"S", _text(name) + _text(value))


def backend_key_data(process_id: int, secret: bytes) -> bytes:
    """Tell what a cancel request for this connection must carry."""
    return message(b"K", _INT32.pack(process_id) + secret)


def negotiate_protocol_version(minor_version: int, unknown_options: Sequence[str]) -> bytes:
    """Tell the highest minor version of protocol 3 that is spoken here, and what of the startup was not understood."""
    options = b"".join(map(_text, unknown_options))
    return message(b"v", _INT32.pack(minor_version) + _INT32.pack(len(unknown_options)) + options)


def command_complete(tag: str) -> bytes:
    """End a statement; `tag` as `SELECT 3`."""
    return message(b"C", _text(tag))


class Column(msgspec.Struct, frozen=True):
    """A column of a result."""

    name: str
    oid: Oid


def row_description(columns: Sequence[Column], formats: Sequence[int]) -> bytes:
    """Describe a result; `formats` has one code for each column."""
    fields = [
        _text(column.name) + _FIELD.pack(0, 0, column.oid, size_of(column.oid), -1, code)
        for column, code in zip(columns, formats, strict=True)
    ]
    return message(b"T", _INT16.pack(len(columns)) + b"".join(fields))


def data_row(values: Sequence[bytes | None]) -> bytes:
    """Return a row of encoded values; None is SQL's null."""
    parts = [_NULL if value is None else _INT32.pack(len(value)) + value for value in values]
    content = b"".join(parts)
    return b"D" + _INT32.pack(len(content) + 6) + _INT16.pack(len(parts)) + content


def parameter_description(oids: Sequence[int]) -> bytes:
    """Tell the types of a statement's parameters."""
    return message(b"t", _INT16.pack(len(oids)) + struct.pack(f">{len(oids)}I", *oids))


Severity = Literal["ERROR", "FATAL"]


def error_response(severity: Severity, sqlstate: str, reason: str, *, detail: str = "", hint: str = "", position: int = 0) -> bytes:
    """Report an error; after `FATAL` the server closes the connection. `position` counts the statement's characters from 1; 0: none."""
    fields = [("S", severity), ("V", severity), ("C", sqlstate), ("M", reason or "error without a message")]
    told = (("D", detail), ("H", hint), ("P", str(position or "")))
    fields += [(key, value) for key, value in told if value]
    return message(b"E", b"".join(key.encode() + _text(value) for key, value in fields) + b"\x00")
