"""What the heartbeats say about the suite as a whole. Pure. Source of the body's members: shared/spec/nodectl.md, section 2.1."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from perdure.base.durations import format_duration_ms
from perdure.bus.messages import Heartbeat
from services.nodectl.lag import LAG_MS_MAX

_ROLE_NAMES: Final = {"ingress": "http-ingress", "admin": "admin", "invoker": "worker"}
_SERVER_NAMES: Final = {
    "ingress": "http-ingress-server",
    "admin": "admin-api-server",
    "sql": "sql-server",
    "nodectl": "message-fabric-server",
}


class Address(msgspec.Struct, frozen=True):
    """Where a process listens."""

    name: str
    address: str
    kind: str


class ProcessHealth(msgspec.Struct, frozen=True):
    """One process of the suite, as its last heartbeat tells."""

    role: str
    process_id: str
    address: str
    is_ready: bool
    because: str
    is_draining: bool
    partitions: int
    age: str
    software_version: str


class Health(msgspec.Struct, frozen=True):
    """The body of `GET /health`; what our kind of server has not is `Unknown`."""

    status: str
    node_id: str
    cluster_name: str
    roles: list[str]
    age: str
    admin_status: str
    worker_status: str
    log_server_status: str
    metadata_server_status: str
    nodes_config_version: int
    logs_version: int
    schema_version: int
    partition_table_version: int
    bound_addresses: list[Address]
    advertised_addresses: list[Address]
    reasons: list[str]
    """Why the suite is not ready; empty where it is."""
    processes: list[ProcessHealth]


def reasons_against_ready(
    alive: Sequence[Heartbeat], *, required_roles: Sequence[str], partitions: int, lags_ms: Mapping[int, int], is_store_readable: bool
) -> list[str]:
    """Return why the suite does not do all its work, each with the role (or the store) that it is about; empty where it does."""
    reasons = [] if is_store_readable else ["store: it does not answer"]
    for role in required_roles:
        of_role = [heartbeat for heartbeat in alive if heartbeat.role == role]
        if not of_role:
            reasons.append(f"{role}: no process is alive")
        elif not any(heartbeat.is_ready for heartbeat in of_role):
            reasons.extend(f"{role}: {each.process_id} is not ready: {each.not_ready_because or 'it does not say why'}" for each in of_role)
    owned = {partition for heartbeat in alive for partition in heartbeat.partitions}
    missing = sorted(set(range(partitions)) - owned)
    if missing and "invoker" in required_roles:
        reasons.append(f"invoker: partitions without an owner: {', '.join(map(str, missing))}")
    late = [f"{number} ({format_duration_ms(lag_ms)})" for number, lag_ms in sorted(lags_ms.items()) if lag_ms > LAG_MS_MAX]
    if late and "invoker" in required_roles:
        reasons.append(f"invoker: partitions that do not get on, and for how long: {', '.join(late)}")
    return reasons


def health_of(
    alive: Sequence[Heartbeat],
    *,
    reasons: list[str],
    schema_version: int,
    cluster_name: str,
    started_at_ms: int,
    now_ms: int,
    is_stopping: bool,
) -> Health:
    """Return the state of the suite; `reasons` are those against its being ready."""
    status = "ShuttingDown" if is_stopping else "StartingUp" if reasons else "Alive"
    roles = {heartbeat.role for heartbeat in alive}
    listening = [heartbeat for heartbeat in alive if heartbeat.address]
    return Health(
        status=status,
        node_id="N1:1",
        cluster_name=cluster_name,
        roles=[name for role, name in _ROLE_NAMES.items() if role in roles],
        age=_age(started_at_ms, now_ms),
        admin_status=_readiness(alive, "admin"),
        worker_status=_readiness(alive, "invoker"),
        log_server_status="Unknown",
        metadata_server_status="Unknown",
        nodes_config_version=1,
        logs_version=1,
        schema_version=schema_version,
        partition_table_version=1,
        bound_addresses=[Address(_SERVER_NAMES.get(each.role, each.role), each.address, "tcp") for each in listening],
        advertised_addresses=[
            Address(_SERVER_NAMES.get(each.role, each.role), f"http://{each.address}/", "http") for each in listening if each.role != "sql"
        ],
        reasons=reasons,
        processes=[_process(heartbeat, now_ms) for heartbeat in alive],
    )


def _readiness(alive: Sequence[Heartbeat], role: str) -> str:
    of_role = [heartbeat for heartbeat in alive if heartbeat.role == role]
    if not of_role:
        return "Unknown"
    return "Ready" if any(heartbeat.is_ready for heartbeat in of_role) else "StartingUp"


def _process(heartbeat: Heartbeat, now_ms: int) -> ProcessHealth:
    return ProcessHealth(
        role=heartbeat.role,
        process_id=heartbeat.process_id,
        address=heartbeat.address,
        is_ready=heartbeat.is_ready,
        because=heartbeat.not_ready_because,
        is_draining=heartbeat.is_draining,
        partitions=len(heartbeat.partitions),
        age=_age(heartbeat.started_at_ms, now_ms),
        software_version=heartbeat.software_version,
    )


def _age(started_at_ms: int, now_ms: int) -> str:
    return format_duration_ms(max(0, now_ms - started_at_ms))
