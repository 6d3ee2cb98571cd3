"""`sys_invocation`: one row per invocation. Source: shared/spec/sql.md, sections 3 and 4.3."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from perdure.base.ids import InvocationId, format_invocation_id
from perdure.bus.messages import LiveInvocation
from perdure.model.invocation import InvocationRecord, Source, Status
from perdure.model.journal import Combinator, Future
from perdure.model.result import Failure
from perdure.model.target import HandlerType, Target
from perdure.query.table import ColumnType, Row, Snapshot, Table
from perdure.store.keyspace import range_of, unpack

_TEXT, _U32, _U64 = ColumnType.TEXT, ColumnType.U32, ColumnType.U64
_TIMESTAMP, _DURATION = ColumnType.TIMESTAMP, ColumnType.DURATION

_COLUMNS: Final = (
    ("id", _TEXT),
    ("vqueue_id", _TEXT),
    ("target", _TEXT),
    ("target_service_name", _TEXT),
    ("target_service_key", _TEXT),
    ("target_handler_name", _TEXT),
    ("target_service_ty", _TEXT),
    ("scope", _TEXT),
    ("limit_key", _TEXT),
    ("idempotency_key", _TEXT),
    ("invoked_by", _TEXT),
    ("invoked_by_service_name", _TEXT),
    ("invoked_by_id", _TEXT),
    ("invoked_by_subscription_id", _TEXT),
    ("invoked_by_target", _TEXT),
    ("restarted_from", _TEXT),
    ("pinned_deployment_id", _TEXT),
    ("pinned_service_protocol_version", _U32),
    ("trace_id", _TEXT),
    ("journal_size", _U32),
    ("journal_commands_size", _U32),
    ("created_at", _TIMESTAMP),
    ("created_using_restate_version", _TEXT),
    ("modified_at", _TIMESTAMP),
    ("inboxed_at", _TIMESTAMP),
    ("scheduled_at", _TIMESTAMP),
    ("scheduled_start_at", _TIMESTAMP),
    ("running_at", _TIMESTAMP),
    ("completed_at", _TIMESTAMP),
    ("completion_retention", _DURATION),
    ("journal_retention", _DURATION),
    ("suspended_waiting_for_completions", ColumnType.U32_LIST),
    ("suspended_waiting_for_signals", ColumnType.U32_LIST),
    ("suspended_waiting_future_json", _TEXT),
    ("retry_count", _U64),
    ("last_start_at", _TIMESTAMP),
    ("next_retry_at", _TIMESTAMP),
    ("last_attempt_deployment_id", _TEXT),
    ("last_attempt_server", _TEXT),
    ("last_failure", _TEXT),
    ("last_failure_error_code", _TEXT),
    ("last_failure_related_entry_index", _U64),
    ("last_failure_related_entry_name", _TEXT),
    ("last_failure_related_entry_type", _TEXT),
    ("last_failure_related_command_index", _U64),
    ("last_failure_related_command_name", _TEXT),
    ("last_failure_related_command_type", _TEXT),
    ("last_awaiting_on_future_json", _TEXT),
    ("status", _TEXT),
    ("completion_result", _TEXT),
    ("completion_failure", _TEXT),
)

_STATUSES: Final = {
    Status.SCHEDULED: "scheduled",
    Status.INBOXED: "pending",
    Status.INVOKED: "ready",
    Status.SUSPENDED: "suspended",
    Status.PAUSED: "paused",
    Status.COMPLETED: "completed",
}
_COMBINATORS: Final = {
    Combinator.UNKNOWN: "Unknown",
    Combinator.FIRST_COMPLETED: "FirstCompleted",
    Combinator.ALL_COMPLETED: "AllCompleted",
    Combinator.FIRST_SUCCEEDED_OR_ALL_FAILED: "FirstSucceededOrAllFailed",
    Combinator.ALL_SUCCEEDED_OR_FIRST_FAILED: "AllSucceededOrFirstFailed",
}
_decoder: Final = msgspec.msgpack.Decoder(InvocationRecord)


def target_text(target: Target) -> str:
    """Return `Service/handler` or `Object/key/handler`, the key as it is."""
    if target.key is None:
        return f"{target.service}/{target.handler}"
    return f"{target.service}/{target.key}/{target.handler}"


def service_type_text(target: Target) -> str:
    """Return `service`, `virtual_object` or `workflow`."""
    if target.handler_type is HandlerType.PLAIN:
        return "service"
    return "workflow" if target.is_workflow else "virtual_object"


def failure_text(failure: Failure) -> str:
    """Return `[code] message`."""
    return f"[{failure.code}] {failure.message}"


def future_json(future: Future) -> str:
    """Return the tree of what is waited for as JSON text."""
    return msgspec.json.encode(_future_tree(future)).decode()


def _future_tree(future: Future) -> dict[str, Any]:  # JSON
    leaves: list[dict[str, Any]] = [{"Single": {"CompletionId": completion_id}} for completion_id in future.completion_ids]
    leaves += [{"Single": {"SignalIndex": index}} for index in future.signal_indexes]
    leaves += [{"Single": {"SignalName": name}} for name in future.signal_names]
    return {_COMBINATORS[future.combinator]: leaves + [_future_tree(nested) for nested in future.nested]}


def _leaves(future: Future) -> tuple[list[int], list[int]]:
    completions, signals = list(future.completion_ids), list(future.signal_indexes)
    for nested in future.nested:
        more_completions, more_signals = _leaves(nested)
        completions += more_completions
        signals += more_signals
    return completions, signals


def _trace_id(traceparent: str | None) -> str | None:
    parts = (traceparent or "").split("-")
    return parts[1] if len(parts) == 4 else None


def _caller(source: Source) -> Row:
    caller_id = None if source.invocation_id is None else format_invocation_id(source.invocation_id)
    is_restart = source.kind == "restart_as_new"
    return (
        source.kind,
        None if source.target is None else source.target.service,
        None if is_restart else caller_id,
        source.subscription_id,
        None if source.target is None else target_text(source.target),
        caller_id if is_restart else None,
    )


def _awaited(record: InvocationRecord) -> Row:
    if record.status is not Status.SUSPENDED or record.awaiting is None:
        return (None, None, None)
    completions, signals = _leaves(record.awaiting)
    return (completions, signals, future_json(record.awaiting))


def _completion(record: InvocationRecord) -> Row:
    if record.result is None:
        return (None, None)
    if isinstance(record.result, Failure):
        return ("failure", failure_text(record.result))
    return ("success", None)


def _attempts(live: LiveInvocation | None) -> Row:
    if live is None:
        return (None,) * 14
    return (
        live.retry_count,
        live.last_start_at_ms,
        live.next_retry_at_ms,
        live.last_attempt_deployment_id,
        live.last_attempt_server,
        live.last_failure,
        live.last_failure_code,
        None,
        None,
        None,
        live.related_command_index,
        live.related_command_name,
        live.related_command_type,
        None,
    )


def _status(record: InvocationRecord, live: LiveInvocation | None) -> str:
    return live.status if live is not None and record.status is Status.INVOKED else _STATUSES[record.status]


def row_of(invocation_id: InvocationId, record: InvocationRecord, live: LiveInvocation | None) -> Row:
    """Return the row of one invocation: what the store has, and what its invoker told if it is running."""
    target = record.target
    has_journal = record.journal_length > 0
    return (
        format_invocation_id(invocation_id),
        None,
        target_text(target),
        target.service,
        target.key,
        target.handler,
        service_type_text(target),
        None,
        None,
        record.idempotency_key,
        *_caller(record.source),
        None if record.pin is None else record.pin.deployment_id,
        None if record.pin is None else record.pin.protocol_version,
        _trace_id(record.traceparent),
        record.journal_length if has_journal else None,
        record.command_count if has_journal else None,
        record.created_at_ms,
        None,
        record.modified_at_ms,
        record.inboxed_at_ms,
        record.scheduled_at_ms,
        record.execution_at_ms,
        record.running_at_ms,
        record.completed_at_ms,
        record.completion_retention_ms,
        record.journal_retention_ms,
        *_awaited(record),
        *_attempts(live),
        _status(record, live),
        *_completion(record),
    )


def _read(snapshot: Snapshot) -> Iterator[Row]:
    for number in range(snapshot.partitions):
        keys = snapshot.keyspace.partition(number)
        for prefix in (keys.live, keys.invocations):
            for key, value in snapshot.scan(*range_of(prefix)):
                invocation_id = unpack(key)[-1]
                assert isinstance(invocation_id, bytes)
                known = InvocationId(invocation_id)
                yield row_of(known, _decoder.decode(value), snapshot.live.get(known))


SYS_INVOCATION: Final = Table("sys_invocation", _COLUMNS, _read, shows_live=True)
