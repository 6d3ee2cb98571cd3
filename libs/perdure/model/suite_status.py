"""What `GET /status` of the node port answers, and what the command line reads of it."""

import msgspec


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
