"""The tables that `restatectl sql` knows, and their rows out of the state of the suite. Pure. Source: shared/spec/nodectl.md, section 5.3.

What the suite has not (positions in logs, replicas) is null, or a table without rows. `partition_state` says more than others do: `owner`
is the process that owns a partition, `lag_ms` how long its oldest piece of work has been waiting; `processes` is a table of our own.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from perdure.query.table import Column, ColumnType, Snapshot, Table
from perdure.query.wanted import Wanted
from services.nodectl.cluster import ClusterView
from services.nodectl.rpc.documents import GENERATION, NODE_ID, NODE_NAME, PROVIDER, REPLICATION, VERSION, key_range

Row = dict[str, Any]  # a value per column, as JSON has it

_TYPES: Final = {each.value: each for each in ColumnType}
_PLAIN: Final = f"N{NODE_ID}"
_FULL: Final = f"N{NODE_ID}:{GENERATION}"


def _no_scan(_snapshot: Snapshot, _wanted: Wanted) -> Iterator[Row]:
    return iter(())


def _column(text: str) -> Column[Row]:
    name, _, kind = text.partition(":")
    return Column(name, _TYPES[kind or "text"], lambda row: row.get(name))


def _table(name: str, columns: str) -> Table[Row]:
    return Table(name, tuple(map(_column, columns.split())), _no_scan)


_LOG_COLUMNS: Final = (
    "log_id:u32 segment_index:u32 base_lsn:u64 kind loglet_id sequencer replication nodeset logs_metadata_version:u32"  # of logs
)

TABLES: Final[dict[str, Table[Row]]] = {
    table.name: table
    for table in (
        _table(
            "nodes",
            "plain_node_id gen_node_id state name address ctrl_address location has_admin_role:bool has_worker_role:bool"
            " has_metadata_server_role:bool has_log_server_role:bool has_ingress_role:bool storage_state worker_state"
            " metadata_server_state nodes_configuration_version:u32 binary_version",
        ),
        _table(
            "partitions",
            "partition_id:u32 start_key:u64 end_key:u64 log_id:u32 cf_name leader_gen_node_id leader_plain_node_id leader_epoch"
            " v_current:u32 current_replica_set v_next:u32 next_replica_set partition_table_version:u32",
        ),
        _table(
            "partition_state",
            "partition_id:u32 plain_node_id gen_node_id target_mode effective_mode updated_at:ts leader_epoch:u64 leader"
            " applied_log_lsn:u64 last_record_applied_at:ts replay_status durable_log_lsn:u64 archived_log_lsn:u64 target_tail_lsn:u64"
            " applied_rule_book_version:u32 applied_schema_version:u32 enabled_features:text[] enabled_storage_features:text[]"
            " broken_reason owner lag_ms:u64",
        ),
        _table(
            "partition_replica_set",
            "partition_id:u32 plain_node_id alive_gen_node_id is_leader:bool membership_version:u32 membership leader_epoch"
            " durable_lsn:u64",
        ),
        _table("logs", _LOG_COLUMNS),
        _table("logs_tail_segments", _LOG_COLUMNS),
        _table("config", "plain_node_id gen_node_id key value"),
        _table(
            "loglet_workers",
            "plain_node_id gen_node_id loglet_id log_id:u32 segment_index:u32 local_tail:u32 is_sealed:bool trim_point:u32"
            " known_global_tail:u32 sequencer is_active:bool staging_local_tail:u32 seal_enqueued:bool accepting_writes:bool"
            " pending_seals:u32 pending_tail_waiters:u32 last_request_at:ts",
        ),
        _table(
            "bifrost_read_streams",
            "plain_node_id gen_node_id log_id:u32 loglet_id read_pointer:u64 end_lsn:u64 state safe_known_tail:u64 current_segment:u32"
            " is_tailing:bool",
        ),
        _table("processes", "role process_id address is_ready:bool is_draining:bool because partitions:u32 started_at:ts software_version"),
    )
}


def rows_of(view: ClusterView, settings: Mapping[str, object]) -> dict[str, list[Row]]:
    """Return table -> its rows."""
    logs = [_log(number) for number in range(view.partitions)]
    return {
        "nodes": [_node(view)],
        "partitions": [_partition(view, number) for number in range(view.partitions)],
        "partition_state": [_state(view, number) for number in range(view.partitions)],
        "partition_replica_set": [_replica(view, number) for number in range(view.partitions)],
        "logs": logs,
        "logs_tail_segments": logs,
        "config": [{**_ids(), "key": key, "value": _text(value)} for key, value in sorted(settings.items())],
        "processes": [
            {
                "role": each.role,
                "process_id": each.process_id,
                "address": each.address or None,
                "is_ready": each.is_ready,
                "is_draining": each.is_draining,
                "because": each.not_ready_because or None,
                "partitions": len(each.partitions),
                "started_at": each.started_at_ms,
                "software_version": each.software_version,
            }
            for each in view.heartbeats
        ],
    }


def _ids() -> Row:
    return {"plain_node_id": _PLAIN, "gen_node_id": _FULL}


def _text(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _node(view: ClusterView) -> Row:
    roles = view.health.roles
    return {
        **_ids(),
        "state": "alive",
        "name": NODE_NAME,
        "address": view.base_url,
        "ctrl_address": view.base_url,
        "location": "",
        "has_admin_role": "admin" in roles,
        "has_worker_role": "worker" in roles,
        "has_metadata_server_role": False,
        "has_log_server_role": False,
        "has_ingress_role": "http-ingress" in roles,
        "worker_state": "active",
        "nodes_configuration_version": VERSION,
        "binary_version": ", ".join(sorted({each.software_version for each in view.heartbeats})),
    }


def _epoch(view: ClusterView, number: int) -> str | None:
    lease = view.leases.get(number)
    return None if lease is None else f"e{lease.epoch}"


def _partition(view: ClusterView, number: int) -> Row:
    start, end = key_range(number, view.partitions)
    is_owned = number in view.owners
    return {
        "partition_id": number,
        "start_key": start,
        "end_key": end,
        "log_id": number,
        "leader_gen_node_id": _FULL if is_owned else None,
        "leader_plain_node_id": _PLAIN if is_owned else None,
        "leader_epoch": _epoch(view, number),
        "v_current": VERSION,
        "current_replica_set": _PLAIN,
        "partition_table_version": VERSION,
    }


def _state(view: ClusterView, number: int) -> Row:
    is_owned = number in view.owners
    lease = view.leases.get(number)
    return {
        "partition_id": number,
        **_ids(),
        "target_mode": "leader",
        "effective_mode": "Leader" if is_owned else "Candidate",
        "updated_at": view.now_ms,
        "leader_epoch": None if lease is None else lease.epoch,
        "leader": _FULL if is_owned else None,
        "replay_status": view.replay_status(number),
        "applied_schema_version": view.health.schema_version & 0xFFFFFFFF,
        "enabled_features": [],
        "enabled_storage_features": [],
        "owner": view.owners.get(number),
        "lag_ms": view.lags_ms.get(number),
    }


def _log(number: int) -> Row:
    return {
        "log_id": number,
        "segment_index": 0,
        "base_lsn": 1,
        "kind": PROVIDER,
        "loglet_id": f"{number}_0",
        "sequencer": _FULL,
        "replication": REPLICATION,
        "nodeset": f"[{_PLAIN}]",
        "logs_metadata_version": VERSION,
    }


def _replica(view: ClusterView, number: int) -> Row:
    return {
        "partition_id": number,
        "plain_node_id": _PLAIN,
        "alive_gen_node_id": _FULL,
        "is_leader": number in view.owners,
        "membership_version": VERSION,
        "membership": "current",
        "leader_epoch": _epoch(view, number),
    }
