"""Tables that clients of today ask for and that have no rows here: nothing of what they show exists in this server.

Source: shared/spec/sql.md, sections 4.5, 4.8 and 4.9.
"""

from collections.abc import Iterator
from typing import Final

from perdure.query.table import Column, ColumnType, Snapshot, Table, nothing
from perdure.query.wanted import Wanted

_TYPES: Final = {"text": ColumnType.TEXT, "u64": ColumnType.U64, "u32": ColumnType.U32, "bool": ColumnType.BOOL} | {
    "ts": ColumnType.TIMESTAMP,
    "dur": ColumnType.DURATION,
}
_CAUSES: Final = (
    *("invoker_concurrency", "throttling_rules", "invoker_throttling", "invoker_memory", "concurrency_rules", "lock"),
    "deployment_concurrency",
)
_PROGRESS: Final = (
    "created_at:ts transitioned_at:ts num_attempts:u32 num_errors:u32 num_pauses:u32 num_suspensions:u32 num_yields:u32"
    " first_attempt_at:ts latest_attempt_at:ts first_runnable_at:ts deployment:text"
)


def _no_rows(_snapshot: Snapshot, _wanted: Wanted) -> Iterator[None]:
    return iter(())


def _table(name: str, *columns: str) -> Table[None]:
    pairs = [column.split(":") for column in " ".join(columns).split()]
    return Table(name, tuple(Column(column, _TYPES[column_type], nothing) for column, column_type in pairs), _no_rows)


UNUSED: Final = (
    _table("sys_rules", "pattern:text concurrency:u32 description:text disabled:bool version:u32 last_modified:ts"),
    _table(
        "sys_user_limits",
        "partition_key:u64 scope:text l1:text l2:text level:text usage:u32 concurrency_limit:u32 rule_pattern:text available:u32",
        "num_waiters:u64",
    ),
    _table("sys_locks", "partition_key:u64 scope:text lock_name:text acquired_at:ts acquired_by:text"),
    _table(
        "sys_vqueue_meta",
        "partition_key:u64 id:text is_active:bool queue_is_paused:bool service_name:text scope:text limit_key:text lock_name:text",
        "created_at:ts last_enqueued_at:ts last_start_at:ts last_attempt_at:ts last_finish_at:ts",
        "avg_queue_duration:dur avg_inbox_duration:dur avg_run_duration:dur avg_suspension_duration:dur avg_end_to_end_duration:dur",
        "avg_blocked_on_concurrency_rules:dur avg_blocked_on_invoker_concurrency:dur avg_blocked_on_invoker_throttling:dur",
        "avg_blocked_on_lock:dur num_inbox:u64 num_running:u64 num_suspended:u64 num_paused:u64 num_finished:u64",
    ),
    _table(
        "sys_vqueues",
        "partition_key:u64 id:text stage:text status:text has_lock:bool run_at:ts sequence_number:u64 entry_id:text entry_kind:text",
        _PROGRESS,
    ),
    _table(
        "sys_vqueue_entry_status",
        "partition_key:u64 entry_id:text vqueue_id:text stage:text status:text has_lock:bool next_at:ts sequence_number:u64",
        "entry_kind:text",
        _PROGRESS,
        "needed_memory:u64 retry_attempts:u32 retry_count_since_last_stored_command:u32",
        *(f"{which}_blocked_on_{cause}:dur" for which in ("latest_attempt", "total") for cause in _CAUSES),
    ),
    _table(
        "sys_scheduler",
        "partition_key:u64 id:text num_inbox:u64 status:text head_entry_id:text scheduled_at:ts blocked_on:text blocked_on_json:text",
        *(f"{cause}_block_duration:dur" for cause in _CAUSES),
    ),
)
