"""The tables of the seed era, in a schema of their own: `v0_8`. Source: shared/spec/seed-era.md, section 7.2.

They show the same records in the terms of then: an invocation that has ended is in none of them, a journal is found by service and key,
and has no rows for notifications. Services of today are shown as well: an unkeyed invocation has a key made of its id.
"""

import uuid
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import msgspec

from perdure.bus.messages import LiveInvocation
from perdure.model import journal as j
from perdure.model.deployment import InstanceType, Service
from perdure.model.invocation import InvocationRecord, Status
from perdure.model.target import ServiceType, Target
from perdure.query.invocations import Invocation, scan_invocations
from perdure.query.objects import STATE, StateEntry
from perdure.query.places import id_text, partition_key_of, range_at
from perdure.query.registrations import SYS_DEPLOYMENT
from perdure.query.table import Column, ColumnType, Snapshot, Table
from perdure.query.texts import trace_id_of
from perdure.query.wanted import Conditions, Wanted

_TEXT, _U32, _U64, _MOMENT = ColumnType.TEXT, ColumnType.U32, ColumnType.U64, ColumnType.MOMENT
_STATUSES: Final = {Status.INVOKED: "invoked", Status.SUSPENDED: "suspended", Status.PAUSED: "suspended"}
_CALLERS: Final = {"ingress": "ingress", "service": "service"}
_ENTRY_TYPES: Final[dict[type[Any], str]] = {
    j.Input: "PollInputStream",
    j.Output: "OutputStream",
    j.GetLazyState: "GetState",
    j.GetEagerState: "GetState",
    j.SetState: "SetState",
    j.ClearState: "ClearState",
    j.GetLazyStateKeys: "GetStateKeys",
    j.GetEagerStateKeys: "GetStateKeys",
    j.ClearAllState: "ClearAllState",
    j.Sleep: "Sleep",
    j.Call: "Invoke",
    j.OneWayCall: "BackgroundInvoke",
    j.CompleteAwakeable: "CompleteAwakeable",
}
"""Commands that were not there then are `Custom`."""
_NARROWING: Final = frozenset({"id", "partition_key"})
_decode_entry: Final = msgspec.msgpack.Decoder(j.StoredEntry).decode


class _JournalRow(NamedTuple):
    invocation: Invocation
    position: int
    command: j.Command
    is_complete: bool | None


def service_key_of(invocation_id: bytes, target: Target) -> str:
    """Return the key of an invocation's instance; one without a key has one of its own, in the form of a UUID."""
    return str(uuid.UUID(bytes=invocation_id[8:24])) if target.key is None else target.key


def _scan(snapshot: Snapshot, conditions: Conditions, *statuses: Status) -> Iterator[Invocation]:
    """Yield invocations in given statuses, fewer where a key or an id tells where they are."""
    known = {name: values for name, values in conditions.equal.items() if name in _NARROWING}
    unfinished = Conditions(known, {"status": frozenset({"completed"})})
    return (each for each in scan_invocations(snapshot, unfinished) if each.record.status in statuses)


def _scan_status(snapshot: Snapshot, wanted: Wanted) -> Iterator[Invocation]:
    return _scan(snapshot, Conditions(wanted.conditions.equal), *_STATUSES)


def _scan_inbox(snapshot: Snapshot, wanted: Wanted) -> Iterator[Invocation]:
    return _scan(snapshot, wanted.conditions, Status.INBOXED)


def _scan_live(snapshot: Snapshot, wanted: Wanted) -> Iterator[Invocation]:
    return (each for each in _scan(snapshot, wanted.conditions, Status.INVOKED) if each.live is not None)


def _scan_journal(snapshot: Snapshot, wanted: Wanted) -> Iterator[_JournalRow]:
    for invocation in _scan(snapshot, wanted.conditions, *_STATUSES):
        yield from _journal_of(snapshot, invocation)


def _journal_of(snapshot: Snapshot, invocation: Invocation) -> Iterator[_JournalRow]:
    number = (partition_key_of(invocation.id) * snapshot.partitions) >> 64
    keys = snapshot.keyspace.partition(number)
    entries = [_decode_entry(value).entry for _, value in snapshot.scan(*range_at(keys.journal, invocation.id))]
    completed = {entry.completion_id for entry in entries if isinstance(entry, j.Completion)}
    commands = [entry for entry in entries if not isinstance(entry, j.Completion | j.Signal)]
    for index, command in enumerate(commands):
        yield _JournalRow(invocation, index, command, _is_complete(command, completed))


def _is_complete(command: j.Command, completed: set[int]) -> bool | None:
    match command:
        case j.Input() | j.GetEagerState() | j.GetEagerStateKeys():
            return True
        case j.Call(completion_id=known) | j.Sleep(completion_id=known) | j.GetLazyState(completion_id=known):
            return known in completed
        case j.GetLazyStateKeys(completion_id=known):
            return known in completed
        case _:
            return None


def _of_record(name: str, column_type: ColumnType, of: Callable[[InvocationRecord], object]) -> Column[Invocation]:
    return Column(name, column_type, lambda row: of(row.record))


def _of_live(name: str, column_type: ColumnType, of: Callable[[LiveInvocation], object]) -> Column[Invocation]:
    return Column(name, column_type, lambda row: None if row.live is None else of(row.live), is_live=True)


def _of_call(name: str, of: Callable[[j.Call | j.OneWayCall], object]) -> Column[_JournalRow]:
    return Column(name, _TEXT, lambda row: of(row.command) if isinstance(row.command, j.Call | j.OneWayCall) else None)


def _caller(record: InvocationRecord) -> str | None:
    caller = record.source.invocation_id
    return None if caller is None else id_text(caller)


def _instance_type(service: Service) -> str:
    if service.instance_type is not None:
        return service.instance_type.value.lower()
    kind = InstanceType.UNKEYED if service.service_type is ServiceType.SERVICE else InstanceType.KEYED
    return kind.value.lower()


_PARTITION_KEY: Final = Column[Invocation]("partition_key", _U64, lambda row: partition_key_of(row.id))
_SERVICE: Final = _of_record("service", _TEXT, lambda record: record.target.service)
_METHOD: Final = _of_record("method", _TEXT, lambda record: record.target.handler)
_SERVICE_KEY: Final = Column[Invocation]("service_key", _TEXT, lambda row: service_key_of(row.id, row.record.target))
_ID: Final = Column[Invocation]("id", _TEXT, lambda row: id_text(row.id))
_SOURCE: Final = (
    _of_record("invoked_by", _TEXT, lambda record: _CALLERS.get(record.source.kind, "restate")),
    _of_record("invoked_by_service", _TEXT, lambda record: None if record.source.target is None else record.source.target.service),
    _of_record("invoked_by_id", _TEXT, _caller),
)
_TRACE_ID: Final = Column[Invocation]("trace_id", _TEXT, lambda row: trace_id_of(row.id, row.record))
_CREATED_AT: Final = _of_record("created_at", _MOMENT, lambda record: record.created_at_ms)

SYS_STATUS: Final = Table[Invocation](
    "sys_status",
    (
        _PARTITION_KEY,
        _SERVICE,
        _METHOD,
        _SERVICE_KEY,
        _of_record("status", _TEXT, lambda record: _STATUSES[record.status]),
        _ID,
        *_SOURCE,
        _of_record("pinned_deployment_id", _TEXT, lambda record: None if record.pin is None else record.pin.deployment_id),
        _TRACE_ID,
        _of_record("journal_size", _U32, lambda record: record.command_count),
        _CREATED_AT,
        _of_record("modified_at", _MOMENT, lambda record: record.modified_at_ms),
    ),
    _scan_status,
)

SYS_INBOX: Final = Table[Invocation](
    "sys_inbox",
    (
        _PARTITION_KEY,
        _SERVICE,
        _METHOD,
        _SERVICE_KEY,
        _ID,
        _of_record("sequence_number", _U64, lambda record: record.inbox_sequence),
        *_SOURCE,
        _TRACE_ID,
        _CREATED_AT,
    ),
    _scan_inbox,
)

SYS_INVOCATION_STATE: Final = Table[Invocation](
    "sys_invocation_state",
    (
        _PARTITION_KEY,
        _SERVICE,
        _SERVICE_KEY,
        _ID,
        _of_live("in_flight", ColumnType.BOOL, lambda live: live.status == "running"),
        _of_live("retry_count", _U64, lambda live: live.retry_count),
        _of_live("last_start_at", _MOMENT, lambda live: live.last_start_at_ms),
        _of_live("last_attempt_deployment_id", _TEXT, lambda live: live.last_attempt_deployment_id),
        _of_live("next_retry_at", _MOMENT, lambda live: live.next_retry_at_ms),
        _of_live("last_failure", _TEXT, lambda live: live.last_failure),
        _of_live("last_error_code", _TEXT, lambda live: live.last_failure_code),
    ),
    _scan_live,
    is_live=True,
)

SYS_JOURNAL: Final = Table[_JournalRow](
    "sys_journal",
    (
        Column("partition_key", _U64, lambda row: partition_key_of(row.invocation.id)),
        Column("service", _TEXT, lambda row: row.invocation.record.target.service),
        Column("service_key", _TEXT, lambda row: service_key_of(row.invocation.id, row.invocation.record.target)),
        Column("index", _U32, lambda row: row.position),
        Column("entry_type", _TEXT, lambda row: _ENTRY_TYPES.get(type(row.command), "Custom")),
        Column("completed", ColumnType.BOOL, lambda row: row.is_complete),
        _of_call("invoked_id", lambda call: id_text(call.callee_id) if call.callee_id else None),
        _of_call("invoked_service", lambda call: call.target.service),
        _of_call("invoked_method", lambda call: call.target.handler),
        _of_call("invoked_service_key", lambda call: call.target.key),
        Column("sleep_wakeup_at", _MOMENT, lambda row: row.command.wake_up_at_ms if isinstance(row.command, j.Sleep) else None),
    ),
    _scan_journal,
)


def _scan_state(snapshot: Snapshot, wanted: Wanted) -> Iterator[StateEntry]:
    equal = wanted.conditions.equal
    renamed = {name: values for name, values in equal.items() if name in {"service_key", "partition_key"}}
    if "service" in equal:
        renamed["service_name"] = equal["service"]
    return STATE.scan(snapshot, Wanted(conditions=Conditions(renamed)))


_STATE_COLUMNS: Final = {column.name: column for column in STATE.columns}
_DEPLOYMENT_COLUMNS: Final = {column.name: column for column in SYS_DEPLOYMENT.columns}

SEED_ERA_TABLES: Final[dict[str, Table[Any]]] = {  # Any: each has items of its own
    "sys_status": SYS_STATUS,
    "sys_inbox": SYS_INBOX,
    "sys_invocation_state": SYS_INVOCATION_STATE,
    "sys_journal": SYS_JOURNAL,
    "state": Table[StateEntry](
        "state",
        (
            _STATE_COLUMNS["partition_key"],
            Column("service", _TEXT, lambda entry: entry.service),
            *(_STATE_COLUMNS[name] for name in ("service_key", "key", "value_utf8", "value")),
        ),
        _scan_state,
    ),
    "sys_service": Table[Service](
        "sys_service",
        (
            Column("name", _TEXT, lambda service: service.name),
            Column("revision", _U64, lambda service: service.revision),
            Column("public", ColumnType.BOOL, lambda service: not service.options.ingress_private),
            Column("instance_type", _TEXT, _instance_type),
            Column("deployment_id", _TEXT, lambda service: service.deployment_id),
        ),
        lambda snapshot, _: iter(snapshot.schema.services.values()),
    ),
    "sys_deployment": Table(
        "sys_deployment",
        (
            *(_DEPLOYMENT_COLUMNS[name] for name in ("id", "ty", "endpoint")),
            Column("created_at", _MOMENT, lambda deployment: deployment.created_at_ms),
        ),
        SYS_DEPLOYMENT.scan,
    ),
}
"""Table -> what it shows, as servers up to 0.8 had it."""
