"""The suite as nodectl sees it: who lives, and who owns which partition."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from perdure.base.errors import StoreError
from perdure.bus.messages import Heartbeat
from perdure.model.lease import Lease, decode_lease
from perdure.process.config import masked
from perdure.process.runtime import Runtime
from perdure.store.interface import ReadTransaction
from perdure.store.keyspace import Keyspace
from services.nodectl.config import NodectlConfig
from services.nodectl.health import Health, health_of

STORE_S_MAX: Final = 1.0
"""Whoever asks is answered also where the store does not."""


class ClusterView(msgspec.Struct, frozen=True):
    """The suite at one moment.

    Attributes:
        leases: Partition -> what the store says of its owner.
        owners: Partition -> the living invoker that says it owns it.
        base_url: Where whoever asked reached this process.
    """

    health: Health
    heartbeats: Sequence[Heartbeat]
    leases: Mapping[int, Lease]
    owners: Mapping[int, str]
    partitions: int
    started_at_ms: int
    now_ms: int
    base_url: str = ""


class Stored(msgspec.Struct, frozen=True):
    """What the store tells."""

    schema_version: int = 0
    leases: Mapping[int, Lease] = {}


class Cluster:
    """Reads what there is when somebody asks."""

    def __init__(self, runtime: Runtime[NodectlConfig], keyspace: Keyspace, partitions: int) -> None:
        self._runtime = runtime
        self._keyspace = keyspace
        self.partitions = partitions
        self.settings = masked(runtime.config)

    async def view(self, base_url: str = "") -> ClusterView:
        """Return the present state; what the store does not tell in time is left out."""
        runtime = self._runtime
        stored = await self._stored()
        alive = runtime.peers.alive()
        now_ms = runtime.clock.now_ms()
        health = health_of(
            alive,
            required_roles=runtime.config.required_roles,
            partitions=self.partitions,
            schema_version=stored.schema_version,
            cluster_name=runtime.config.cluster_name,
            started_at_ms=runtime.started_at_ms,
            now_ms=now_ms,
            is_stopping=runtime.stopping.is_set(),
        )
        return ClusterView(
            health=health,
            heartbeats=alive,
            leases=stored.leases,
            owners={partition: each.process_id for each in alive for partition in each.partitions},
            partitions=self.partitions,
            started_at_ms=runtime.started_at_ms,
            now_ms=now_ms,
            base_url=base_url,
        )

    async def _stored(self) -> Stored:
        try:
            async with asyncio.timeout(STORE_S_MAX):
                return await self._runtime.store.read(self._read)
        except (TimeoutError, StoreError):
            return Stored()

    def _read(self, tr: ReadTransaction) -> Stored:
        raw = ((number, tr.get(self._keyspace.partition(number).lease)) for number in range(self.partitions))
        return Stored(
            schema_version=int.from_bytes(tr.get(self._keyspace.meta_version) or b"", "little"),
            leases={number: decode_lease(value) for number, value in raw if value is not None},
        )

    def is_serving(self, service: str) -> bool | None:
        """Tell whether the suite (`""`) or one role does its work; None where there is no such role."""
        runtime = self._runtime
        alive = runtime.peers.alive()
        roles = [service] if service else runtime.config.required_roles
        if service and service not in {*runtime.config.required_roles, "nodectl"}:
            return None
        return all(any(each.is_ready for each in alive if each.role == role) for role in roles)
