"""The body of `GET /status`: processes, partitions and their owners, and how far behind they are. Pure."""

from perdure.base.durations import format_duration_ms
from perdure.bus.messages import Heartbeat
from perdure.model.suite_status import ClusterStatus, PartitionStatus, ProcessStatus
from services.nodectl.cluster import ClusterView

_WORK: tuple[str, ...] = ("waiting", "sessions", "open_attempts")
"""Counters of heartbeats: calls that an ingress has under way, clients of sql, attempts of an invoker."""


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
