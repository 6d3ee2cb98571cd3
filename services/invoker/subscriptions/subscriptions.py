"""Which subscriptions this process reads, and its share of each: every partition of a source is one living invoker's."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import structlog

from perdure.bus.messages import Heartbeat
from perdure.model.subscription import Broker, Subscription
from perdure.registry.schema import Schema
from perdure.registry.subscriptions import StaticClusters, kafka_properties
from services.invoker.assignment import holder_of
from services.invoker.subscriptions.admission import Admission
from services.invoker.subscriptions.mapping import Mapper, SchemaSource
from services.invoker.subscriptions.pump import Pump
from services.invoker.subscriptions.source import Source

FAILURE_CHARACTERS_MAX: Final = 300
FAILURES_TOLD_MAX: Final = 100
"""Failures in a heartbeat, which is a small message."""

Properties = Mapping[str, str]
OpenSource = Callable[[Subscription, Properties | None], Source]
"""Makes the reader of a subscription from the properties of its cluster, None where nobody knows those; raises `SourceFailed`."""

log = structlog.get_logger("perdure.subscriptions")


class Peers(Protocol):
    """The living processes, as their heartbeats tell."""

    def alive(self, role: str | None = None, *, now_ms: int | None = None) -> list[Heartbeat]: ...


class Subscriptions:
    """Keeps a pump for each registered subscription that is not paused."""

    def __init__(
        self,
        *,
        invoker_id: str,
        schema: SchemaSource,
        clusters: StaticClusters,
        peers: Peers,
        open_source: OpenSource,
        mapper: Mapper,
        admission: Admission,
        invocations_max: int,
    ) -> None:
        self._invoker_id = invoker_id
        self._schema = schema
        self._clusters = clusters
        self._peers = peers
        self._open_source = open_source
        self._mapper = mapper
        self._admission = admission
        self._invocations_max = invocations_max
        self._running: dict[str, tuple[Subscription, Properties | None, Pump, asyncio.Task[None]]] = {}
        self._is_leaving = False
        self._changed = asyncio.Event()
        self._changed.set()

    def nudge(self) -> None:
        """Look at what is registered now."""
        self._changed.set()

    async def run(self) -> None:
        """Read what is registered, until cancelled."""
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                await self._align(self._schema.current)
        finally:
            await self.stop()

    async def stop(self) -> None:
        """Stop reading; what is admitted stays so."""
        await self._stop(list(self._running))

    async def leave(self) -> None:
        """Stop reading for good: the others take our shares."""
        self._is_leaving = True
        await self.stop()

    @property
    def pumps(self) -> list[Pump]:
        return [pump for _, _, pump, _ in self._running.values()]

    def failures(self) -> dict[str, str]:
        """Return subscription id -> why it is not read just now."""
        failing = [(pump.subscription.id, pump.failure) for pump in self.pumps if pump.failure is not None]
        return {name: reason[:FAILURE_CHARACTERS_MAX] for name, reason in failing[:FAILURES_TOLD_MAX]}

    async def _align(self, schema: Schema) -> None:
        wanted = {
            subscription.id: (subscription, self._properties_of(subscription, schema))
            for subscription in schema.subscriptions.values()
            if not (subscription.is_paused or self._is_leaving)
        }
        await self._stop([name for name, (*what, _, _) in self._running.items() if wanted.get(name) != tuple(what)])
        for name, (subscription, properties) in wanted.items():
            if name not in self._running:
                pump = self._pump(subscription, properties)
                self._running[name] = (subscription, properties, pump, asyncio.ensure_future(pump.run()))
                log.info("subscription_started", subscription=name, source=subscription.source, sink=subscription.sink)

    async def _stop(self, names: list[str]) -> None:
        stopped = [(name, self._running.pop(name)[3]) for name in names if name in self._running]
        for _, task in stopped:
            task.cancel()
        if stopped:
            await asyncio.wait([task for _, task in stopped])
            log.info("subscriptions_stopped", subscriptions=[name for name, _ in stopped])

    def _pump(self, subscription: Subscription, properties: Properties | None) -> Pump:
        return Pump(
            subscription,
            open_source=lambda: self._open_source(subscription, properties),
            mapper=self._mapper,
            admission=self._admission,
            share=lambda partitions: self._share(subscription.id, partitions),
            may_take=self._may_take,
        )

    def _properties_of(self, subscription: Subscription, schema: Schema) -> Properties | None:
        if subscription.broker is Broker.KAFKA:
            return kafka_properties(subscription.cluster, self._clusters, schema)
        return self._clusters.nats.get(subscription.cluster)

    def _share(self, subscription_id: str, partitions: Sequence[int]) -> set[int]:
        names = [peer.process_id for peer in self._peers.alive("invoker") if not peer.is_draining]
        living = {*names, self._invoker_id}
        return {number for number in partitions if holder_of(f"{subscription_id}/{number}", sorted(living)) == self._invoker_id}

    def _may_take(self) -> bool:
        """Whether no invoker holds as many unfinished invocations as it may."""
        return all(peer.counters.get("invocations", 0) < self._invocations_max for peer in self._peers.alive("invoker"))
