"""`sys_journal_events`: failed attempts and pauses, as long as the journal is kept. Source: shared/spec/sql.md, section 4.5."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec

from perdure.model.journal import AttemptError, EventType, JournalEvent
from perdure.query.places import id_text, invocations_wanted, partition_key_of, range_at
from perdure.query.table import Column, ColumnType, Snapshot, Table
from perdure.query.wanted import Wanted
from perdure.store.keyspace import unpack

_NAMES: Final = {EventType.TRANSIENT_ERROR: "TransientError", EventType.PAUSED: "Paused"}
_decode: Final = msgspec.msgpack.Decoder(JournalEvent).decode


class _Row(NamedTuple):
    invocation_id: bytes
    event: JournalEvent


def _scan(snapshot: Snapshot, wanted: Wanted) -> Iterator[_Row]:
    for keys, beginning in invocations_wanted(snapshot, wanted.conditions):
        for key, value in snapshot.scan(*range_at(keys.events_of, beginning)):
            invocation_id = unpack(key)[-2]
            assert isinstance(invocation_id, bytes)
            yield _Row(invocation_id, _decode(value))


def event_json(event: JournalEvent) -> str:
    """Return an event as users of the table know it."""
    shown: dict[str, Any] = {"ty": _NAMES[event.event_type]}  # Any: JSON
    if event.error is not None:
        told = _error_json(event.error)
        shown |= told if event.event_type is EventType.TRANSIENT_ERROR else {"last_failure": told}
    return msgspec.json.encode(shown).decode()


def _error_json(error: AttemptError) -> dict[str, Any]:
    optional = {
        "error_stacktrace": error.stacktrace or None,
        "restate_doc_error_code": error.doc_code or None,
        "related_command_index": error.related_command_index,
        "related_command_name": error.related_command_name,
        "related_command_type": error.related_command_type,
    }
    return {"error_code": error.code, "error_message": error.message} | {
        name: value for name, value in optional.items() if value is not None
    }


SYS_JOURNAL_EVENTS: Final = Table[_Row](
    "sys_journal_events",
    (
        Column("partition_key", ColumnType.U64, lambda row: partition_key_of(row.invocation_id)),
        Column("id", ColumnType.TEXT, lambda row: id_text(row.invocation_id)),
        Column("after_journal_entry_index", ColumnType.U32, lambda row: row.event.after_entry_index),
        Column("appended_at", ColumnType.TIMESTAMP, lambda row: row.event.appended_at_ms),
        Column("event_type", ColumnType.TEXT, lambda row: _NAMES[row.event.event_type]),
        Column("event_json", ColumnType.TEXT, lambda row: event_json(row.event)),
    ),
    _scan,
)
