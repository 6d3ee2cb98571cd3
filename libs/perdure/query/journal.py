"""`sys_journal`: the entries of all journals that are kept. Source: shared/spec/sql.md, section 4.4."""

from collections.abc import Iterator
from typing import Final

import msgspec

from perdure.codec.service_protocol import AttemptEncoder
from perdure.model.deployment import Service
from perdure.model.journal import Completion, Entry, Input, Signal, StoredEntry
from perdure.query.entry_json import ServiceOf, entry_type, full_json, lite_json
from perdure.query.places import id_text, invocations_wanted, partition_key_of, range_at
from perdure.query.table import Column, ColumnType, Snapshot, Table, nothing
from perdure.query.wanted import Wanted

_TEXT, _U32, _U64 = ColumnType.TEXT, ColumnType.U32, ColumnType.U64
_VERSION: Final = 2
"""Of journals whose entries are commands and notifications."""
_HEADER_BYTES: Final = 8
"""Before each body on the wire."""

_decode: Final = msgspec.msgpack.Decoder(StoredEntry).decode
_frame: Final = AttemptEncoder(6).entry


class JournalRow:
    """One entry; decoded only if a column needs what is in it."""

    __slots__ = ("_body", "_stored", "_value", "index", "invocation_id", "service_of")

    def __init__(self, invocation_id: bytes, index: int, value: bytes, service_of: ServiceOf) -> None:
        self.invocation_id = invocation_id
        self.index = index
        self.service_of = service_of
        self._value = value
        self._stored: StoredEntry | None = None
        self._body: bytes | None = None

    @property
    def stored(self) -> StoredEntry:
        """The entry with its time."""
        if self._stored is None:
            self._stored = _decode(self._value)
        return self._stored

    @property
    def entry(self) -> Entry:
        return self.stored.entry

    @property
    def body(self) -> bytes:
        """The message as the service protocol has it."""
        if self._body is None:
            self._body = _frame(self.entry)[_HEADER_BYTES:]
        return self._body

    @property
    def name(self) -> str | None:
        """The user's name of a command, empty where there is none; None for notifications."""
        if isinstance(self.entry, Completion | Signal):
            return None
        return "" if isinstance(self.entry, Input) else self.entry.name


def _scan(snapshot: Snapshot, wanted: Wanted) -> Iterator[JournalRow]:
    def service_of(name: str) -> Service | None:
        return snapshot.schema.services.get(name)

    for keys, beginning in invocations_wanted(snapshot, wanted.conditions):
        prefix, invocation_id = b"\xff", b""
        for key, value in snapshot.scan(*range_at(keys.journal, beginning)):
            if not key.startswith(prefix):
                prefix, invocation_id = _journal_of(key, len(keys.journals))
            # As `unpack` finds it, behind a byte that says how long it is: 8 us -> 0.3 us per entry.
            yield JournalRow(invocation_id, int.from_bytes(key[len(prefix) + 1 :], "big"), value, service_of)


def _journal_of(key: bytes, id_at: int) -> tuple[bytes, bytes]:
    """Return what all keys of a journal begin with, and whose it is, from the key of one entry, whose packed id begins at `id_at`."""
    end = key.index(0, id_at + 1)
    while key[end + 1 : end + 2] == b"\xff":  # a zero of the id, escaped
        end = key.index(0, end + 2)
    return key[: end + 1], key[id_at + 1 : end].replace(b"\0\xff", b"\0")


SYS_JOURNAL: Final = Table[JournalRow](
    "sys_journal",
    (
        Column("partition_key", _U64, lambda row: partition_key_of(row.invocation_id)),
        Column("id", _TEXT, lambda row: id_text(row.invocation_id)),
        Column("index", _U32, lambda row: row.index),
        Column("entry_type", _TEXT, lambda row: entry_type(row.entry)),
        Column("name", _TEXT, lambda row: row.name),
        Column("completed", ColumnType.BOOL, nothing),
        Column("invoked_id", _TEXT, nothing),
        Column("invoked_target", _TEXT, nothing),
        Column("sleep_wakeup_at", ColumnType.TIMESTAMP, nothing),
        Column("promise_name", _TEXT, nothing),
        Column("raw", ColumnType.BYTES, lambda row: row.body),
        Column("raw_length", _U64, lambda row: len(row.body)),
        Column("version", _U32, lambda row: _VERSION),
        Column("entry_json", _TEXT, lambda row: full_json(row.entry, row.service_of)),
        Column("entry_lite_json", _TEXT, lambda row: lite_json(row.entry, row.service_of)),
        Column("appended_at", ColumnType.TIMESTAMP, lambda row: row.stored.appended_at_ms),
    ),
    _scan,
)
