"""What is kept per object or workflow: `state`, `sys_promise`, `sys_inbox`, `sys_keyed_service_status`.

Source: shared/spec/sql.md, section 4.6.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from perdure.base.ids import partition_key_of_key
from perdure.model.promise import PromiseRecord
from perdure.model.result import Failure, Outcome, Success
from perdure.query.places import id_text, objects_wanted
from perdure.query.table import Column, ColumnType, Snapshot, Table, nothing
from perdure.query.texts import promise_failure_text, utf8_text
from perdure.query.wanted import Wanted
from perdure.store.keyspace import PartitionKeys, unpack

_TEXT, _U64 = ColumnType.TEXT, ColumnType.U64


class StateEntry(NamedTuple):
    """A state entry, or an object's lock (`name` is empty then)."""

    service: str
    key: str
    name: bytes
    value: bytes


class _Waiting(NamedTuple):
    service: str
    key: str
    sequence: int
    invocation_id: bytes


class _NamedPromise(NamedTuple):
    service: str
    key: str
    name: str
    result: Outcome | None


_decode_promise: Final = msgspec.msgpack.Decoder(PromiseRecord).decode


def _object_of(service: object, key: object) -> tuple[str, str]:
    assert isinstance(service, str)
    assert isinstance(key, str)
    return service, key


def _scan_state(snapshot: Snapshot, wanted: Wanted) -> Iterator[StateEntry]:
    for _, place in objects_wanted(snapshot, wanted.conditions, PartitionKeys.state_of):
        for row, value in snapshot.scan(*place):
            service, key, name = unpack(row)[-3:]
            assert isinstance(name, bytes)
            yield StateEntry(*_object_of(service, key), name, value)


def _scan_promises(snapshot: Snapshot, wanted: Wanted) -> Iterator[_NamedPromise]:
    for _, place in objects_wanted(snapshot, wanted.conditions, PartitionKeys.promises_of):
        for row, value in snapshot.scan(*place):
            service, key, name = unpack(row)[-3:]
            assert isinstance(name, str)
            yield _NamedPromise(*_object_of(service, key), name, _decode_promise(value).result)


def _scan_inboxes(snapshot: Snapshot, wanted: Wanted) -> Iterator[_Waiting]:
    for _, place in objects_wanted(snapshot, wanted.conditions, PartitionKeys.inbox_of, id_column="id"):
        for row, invocation_id in snapshot.scan_rows(*place):
            service, key, sequence = unpack(row)[-3:]
            assert isinstance(sequence, int)
            yield _Waiting(*_object_of(service, key), sequence, invocation_id)


def _scan_locks(snapshot: Snapshot, wanted: Wanted) -> Iterator[StateEntry]:
    for _, place in objects_wanted(snapshot, wanted.conditions, PartitionKeys.lock, id_column="invocation_id"):
        for row, invocation_id in snapshot.scan_rows(*place):
            yield StateEntry(*_object_of(*unpack(row)[-2:]), b"", invocation_id)


def _success(promise: _NamedPromise) -> bytes | None:
    return promise.result.value if isinstance(promise.result, Success) else None


def _success_text(promise: _NamedPromise) -> str | None:
    return utf8_text(promise.result.value) if isinstance(promise.result, Success) else None


def _failure(promise: _NamedPromise) -> str | None:
    return promise_failure_text(promise.result) if isinstance(promise.result, Failure) else None


STATE: Final = Table[StateEntry](
    "state",
    (
        Column("partition_key", _U64, lambda entry: partition_key_of_key(entry.key)),
        Column("scope", _TEXT, nothing),
        Column("service_name", _TEXT, lambda entry: entry.service),
        Column("service_key", _TEXT, lambda entry: entry.key),
        Column("key", _TEXT, lambda entry: entry.name.decode(errors="replace")),
        Column("key_length", _U64, lambda entry: len(entry.name)),
        Column("value_utf8", _TEXT, lambda entry: utf8_text(entry.value)),
        Column("value", ColumnType.BYTES, lambda entry: entry.value),
        Column("value_length", _U64, lambda entry: len(entry.value)),
    ),
    _scan_state,
)

SYS_PROMISE: Final = Table[_NamedPromise](
    "sys_promise",
    (
        Column("partition_key", _U64, lambda promise: partition_key_of_key(promise.key)),
        Column("scope", _TEXT, nothing),
        Column("service_name", _TEXT, lambda promise: promise.service),
        Column("service_key", _TEXT, lambda promise: promise.key),
        Column("key", _TEXT, lambda promise: promise.name),
        Column("completed", ColumnType.BOOL, lambda promise: promise.result is not None),
        Column("completion_success_value", ColumnType.BYTES, _success),
        Column("completion_success_value_utf8", _TEXT, _success_text),
        Column("completion_failure", _TEXT, _failure),
    ),
    _scan_promises,
)

SYS_INBOX: Final = Table[_Waiting](
    "sys_inbox",
    (
        Column("partition_key", _U64, lambda waiting: partition_key_of_key(waiting.key)),
        Column("service_name", _TEXT, lambda waiting: waiting.service),
        Column("service_key", _TEXT, lambda waiting: waiting.key),
        Column("id", _TEXT, lambda waiting: id_text(waiting.invocation_id)),
        Column("sequence_number", _U64, lambda waiting: waiting.sequence),
        Column("created_at", ColumnType.TIMESTAMP, nothing),
    ),
    _scan_inboxes,
)

SYS_KEYED_SERVICE_STATUS: Final = Table[StateEntry](
    "sys_keyed_service_status",
    (
        Column("partition_key", _U64, lambda lock: partition_key_of_key(lock.key)),
        Column("service_name", _TEXT, lambda lock: lock.service),
        Column("service_key", _TEXT, lambda lock: lock.key),
        Column("invocation_id", _TEXT, lambda lock: id_text(lock.value)),
    ),
    _scan_locks,
)
