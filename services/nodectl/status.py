"""The body of `GET /status`: processes, partitions and their owners, and how far behind they are. Pure."""

import msgspec

from perdure.base.durations import format_duration_ms
from perdure.bus.messages import Heartbeat
from services.nodectl.cluster import ClusterView

_WORK: tuple[str, ...] = ("waiting", "sessions", "open_attempts")
"""Counters of heartbeats: calls that an ingress has under way, clients of sql, attempts of an invoker."""


class ProcessStatus(msgspec.Struct, frozen=True):
    """One process.

    Attributes:
        state: `ready`, `draining`, `drained` (it may be stopped: nothing is under way), or `not ready`.
        because: Why it is not ready.
        open: Calls, clients or attempts that it has under way.
    """

    role: str
    process_id: str
    version: str
    address: str
    age: str
    state: str
    because: str
    partitions: list[int]
    open: int


class PartitionStatus(msgspec.Struct, frozen=True):
    """One partition.

    Attributes:
        owner: The process that says it owns it; empty where none does.
        epoch: Of its lease; 0 where it never had an owner.
        lag_ms: How long its oldest piece of work has been waiting; null where the store does not tell.
        moved_to: Where an operator wants it, if that process lives and does not drain.
    """

    partition: int
    owner: str
    epoch: int
    lag_ms: int | None
    moved_to: str


class ClusterStatus(msgspec.Struct, frozen=True):
    """The whole suite; `reasons` are those against its being ready."""

    cluster_name: str
    status: str
    reasons: list[str]
    processes: list[ProcessStatus]
    partitions: list[PartitionStatus]


def status_of(view: ClusterView) -> ClusterStatus:
    """Return what operators ask for first."""
    return ClusterStatus(
        cluster_name=view.health.cluster_name,
        status=view.health.status,
        reasons=view.health.reasons,
        processes=[_process(each, view.now_ms) for each in sorted(view.heartbeats, key=lambda each: (each.role, each.started_at_ms))],
        partitions=[_partition(view, number) for number in range(view.partitions)],
    )


def _process(heartbeat: Heartbeat, now_ms: int) -> ProcessStatus:
    under_way = int(sum(heartbeat.counters.get(name, 0) for name in _WORK))
    return ProcessStatus(
        role=heartbeat.role,
        process_id=heartbeat.process_id,
        version=heartbeat.software_version,
        address=heartbeat.address,
        age=format_duration_ms(max(0, now_ms - heartbeat.started_at_ms)),
        state=_state(heartbeat, has_work=bool(under_way or heartbeat.partitions)),
        because=heartbeat.not_ready_because,
        partitions=heartbeat.partitions,
        open=under_way,
    )


def _state(heartbeat: Heartbeat, *, has_work: bool) -> str:
    if heartbeat.is_draining:
        return "draining" if has_work else "drained"
    return "ready" if heartbeat.is_ready else "not ready"


def _partition(view: ClusterView, number: int) -> PartitionStatus:
    lease = view.leases.get(number)
    wanted_at = view.placements.get(number, "")
    return PartitionStatus(
        partition=number,
        owner=view.owners.get(number, ""),
        epoch=0 if lease is None else lease.epoch,
        lag_ms=view.lags_ms.get(number),
        moved_to=wanted_at if any(each.process_id == wanted_at and not each.is_draining for each in view.heartbeats) else "",
    )
