"""The suite as nodectl sees it: who lives, who owns which partition, and whether it gets on."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

import msgspec

from perdure.base.errors import StoreError
from perdure.bus.messages import Heartbeat
from perdure.model.lease import Lease, decode_lease
from perdure.process.config import masked
from perdure.process.runtime import Runtime
from perdure.store.interface import ReadTransaction
from perdure.store.keyspace import Keyspace
from perdure.store.placements import read_placements
from services.nodectl.config import NodectlConfig
from services.nodectl.health import Health, health_of, reasons_against_ready
from services.nodectl.lag import LAG_MS_MAX, Mailboxes, Oldest, lags_of, read_oldest

STORE_S_MAX: Final = 1.0
"""Whoever asks is answered also where the store does not."""

PARTITIONS_PER_READ: Final = 128
"""So that thousands of partitions are read side by side where each read waits for the network."""


class ClusterView(msgspec.Struct, frozen=True):
    """The suite at one moment.

    Attributes:
        leases: Partition -> what the store says of its owner.
        owners: Partition -> the living invoker that says it owns it.
        placements: Partition -> where an operator wants it, whether that process lives or not.
        lags_ms: Partition -> how long its oldest piece of work has been waiting.
        base_url: Where whoever asked reached this process.
    """

    health: Health
    heartbeats: Sequence[Heartbeat]
    leases: Mapping[int, Lease]
    owners: Mapping[int, str]
    placements: Mapping[int, str]
    lags_ms: Mapping[int, int]
    partitions: int
    started_at_ms: int
    now_ms: int
    base_url: str = ""

    def replay_status(self, partition: int) -> str:
        """Return `starting` where a partition has no owner, `catching-up` where its work waits for too long, else `active`."""
        if partition not in self.owners:
            return "starting"
        return "catching-up" if self.lags_ms.get(partition, 0) > LAG_MS_MAX else "active"


class Stored(msgspec.Struct, frozen=True):
    """What the store tells."""

    schema_version: int = 0
    placements: Mapping[int, str] = {}
    leases: Mapping[int, Lease] = {}
    oldest: Mapping[int, Oldest] = {}


class Cluster:
    """Reads what there is when somebody asks."""

    def __init__(self, runtime: Runtime[NodectlConfig], keyspace: Keyspace, partitions: int) -> None:
        self._runtime = runtime
        self._keyspace = keyspace
        self._mailboxes = Mailboxes()
        self.partitions = partitions
        self.settings = masked(runtime.config)
        self.roles = (*runtime.config.required_roles, runtime.role)
        """Those whose health can be asked for."""

    async def view(self, base_url: str = "") -> ClusterView:
        """Return the present state; what the store does not tell in time is left out."""
        runtime = self._runtime
        found = await self._stored()
        stored = found or Stored()
        alive = runtime.peers.alive()
        now_ms = runtime.clock.now_ms()
        lags_ms = lags_of(stored.oldest, self._mailboxes, alive, now_ms)
        health = health_of(
            alive,
            reasons=reasons_against_ready(
                alive,
                required_roles=runtime.config.required_roles,
                partitions=self.partitions,
                lags_ms=lags_ms,
                is_store_readable=found is not None,
            ),
            schema_version=stored.schema_version,
            cluster_name=runtime.config.cluster_name,
            started_at_ms=runtime.started_at_ms,
            now_ms=now_ms,
            is_stopping=runtime.draining.is_set(),
        )
        return ClusterView(
            health=health,
            heartbeats=alive,
            leases=stored.leases,
            owners={partition: each.process_id for each in alive for partition in each.partitions},
            placements=stored.placements,
            lags_ms=lags_ms,
            partitions=self.partitions,
            started_at_ms=runtime.started_at_ms,
            now_ms=now_ms,
            base_url=base_url,
        )

    async def _stored(self) -> Stored | None:
        store = self._runtime.store
        numbers = range(self.partitions)
        chunks = [numbers[first : first + PARTITIONS_PER_READ] for first in numbers[::PARTITIONS_PER_READ]]
        try:
            async with asyncio.timeout(STORE_S_MAX):
                schema_version, placements = await store.read(self._read_metadata)
                parts = await asyncio.gather(*[store.read(partial(self._read_partitions, chunk)) for chunk in chunks])
        except (TimeoutError, StoreError):
            return None
        return Stored(
            schema_version=schema_version,
            placements=placements,
            leases={number: lease for leases, _ in parts for number, lease in leases.items()},
            oldest={number: first for _, oldest in parts for number, first in oldest.items()},
        )

    def _read_metadata(self, tr: ReadTransaction) -> tuple[int, dict[int, str]]:
        return int.from_bytes(tr.get(self._keyspace.meta_version) or b"", "little"), read_placements(tr, self._keyspace)

    def _read_partitions(self, numbers: range, tr: ReadTransaction) -> tuple[dict[int, Lease], dict[int, Oldest]]:
        keys_by_number = {number: self._keyspace.partition(number) for number in numbers}
        found = tr.get_many([keys.lease for keys in keys_by_number.values()])
        leases = {number: decode_lease(value) for number, value in zip(numbers, found, strict=True) if value is not None}
        return leases, {number: read_oldest(tr, keys) for number, keys in keys_by_number.items()}

    async def is_serving(self, service: str) -> bool | None:
        """Tell whether the suite (`""`) or one role does its work; None where there is no such role."""
        if service == self._runtime.role:
            return self.is_ready
        if service and service not in self.roles:
            return None
        reasons = (await self.view()).health.reasons
        return not any(reason.startswith(f"{service}:") for reason in reasons) if service else not reasons

    @property
    def is_ready(self) -> bool:
        """Whether this process itself does its work."""
        return self._runtime.is_ready
