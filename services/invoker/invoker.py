"""One invoker: its parts, wired. Everything with I/O is handed in."""

import asyncio
from collections.abc import Callable

from perdure.base.clock import Clock, Random
from perdure.bus.interface import Bus
from perdure.bus.messages import STALLED_MS, STORE_WAIT_MS, Doorbell, decoder_of
from perdure.bus.subjects import Subjects
from perdure.codec.service_protocol import SERVER_VERSION_DEFAULT, VERSION_MAX
from perdure.deployments.interface import DeploymentClient
from perdure.process.spans import Spans
from perdure.registry.options import OptionsCache, server_defaults
from perdure.registry.subscriptions import StaticClusters
from perdure.store.interface import Store
from perdure.store.keyspace import Keyspace
from services.invoker.abandoned import delete_abandoned_blobs
from services.invoker.attempts import Attempts, SchemaSource
from services.invoker.config import InvokerConfig
from services.invoker.leases import Leases, Peers
from services.invoker.loading import Loader
from services.invoker.mailbox import Mailboxes
from services.invoker.outlet import BusOutlet
from services.invoker.owner import Owner
from services.invoker.requests import Requests
from services.invoker.subscriptions.admission import Admission
from services.invoker.subscriptions.mapping import Mapper
from services.invoker.subscriptions.opening import source_opener
from services.invoker.subscriptions.subscriptions import OpenSource, Subscriptions
from services.invoker.timekeeper import Timekeeper
from services.invoker.tracing import Tracer
from services.invoker.watched_store import WatchedStore


class Invoker:
    """All parts of one invoker. `run` works until cancelled; `leave` gives the partitions away first."""

    def __init__(
        self,
        *,
        invoker_id: str,
        store: Store,
        bus: Bus,
        clock: Clock,
        random: Random,
        client: DeploymentClient,
        schema: SchemaSource,
        subjects: Subjects,
        peers: Peers,
        config: InvokerConfig,
        partition_count: int,
        open_source: OpenSource | None = None,
        spans: Spans | None = None,
    ) -> None:
        self._bus = bus
        self._subjects = subjects
        self._clock = clock
        poll_s = config.poll_interval / 1_000
        keyspace = Keyspace(config.root)
        self.store = WatchedStore(store)
        self.owner = Owner(
            invoker_id=invoker_id,
            store=self.store,
            keyspace=keyspace,
            clock=clock,
            partition_count=partition_count,
            tracer=None if spans is None else Tracer(spans, config.tracing_sample_ratio),
        )
        self.loader = Loader(self.owner, state_cache_keys=config.state_cache_keys)
        self.attempts = Attempts(
            owner=self.owner,
            loader=self.loader,
            client=client,
            schema=schema,
            defaults=server_defaults(config),
            clock=clock,
            random=random,
            slots=config.concurrent_invocations_limit,
            message_bytes_max=config.message_size_limit,
            version_max=VERSION_MAX if config.experimental_enable_protocol_v7 else SERVER_VERSION_DEFAULT,
        )
        self.mailboxes = Mailboxes(self.owner, poll_s=poll_s)
        self.timekeeper = Timekeeper(self.owner, clock)
        self.requests = Requests(
            owner=self.owner, bus=bus, subjects=subjects, clock=clock, random=random, invocations_max=config.invocations_max
        )
        self.leases = Leases(
            owner=self.owner,
            store=self.store,
            bus=bus,
            subjects=subjects,
            peers=peers,
            clock=clock,
            poll_s=poll_s,
            takeover_after_ms=config.takeover_after,
            on_change=self._partitions_changed,
        )
        outlet = BusOutlet(
            owner=self.owner, attempts=self.attempts, mailboxes=self.mailboxes, bus=bus, subjects=subjects, clock=clock, random=random
        )
        self.subscriptions = _subscriptions(
            self.owner, config, schema=schema, peers=peers, random=random, ring=outlet.ring, open_source=open_source
        )
        self.partitions_changed = asyncio.Event()
        """Set whenever partitions were taken, given or lost; cleared by whoever watches it."""
        self._complete_owner(outlet)

    def vitals(self) -> dict[str, float]:
        """Return the figures by which others judge this process, for its heartbeats."""
        return {
            STALLED_MS: self.owner.stalled_ms(self._clock.now_ms()),
            STORE_WAIT_MS: self.store.wait_ms(),
            "open_attempts": self.attempts.open_count,
            "invocations": self.owner.invocation_count,
        }

    async def run(self) -> None:
        """Own partitions and run invocations, until cancelled."""
        doorbells = decoder_of(Doorbell)

        def rung(payload: bytes, _reply: str) -> None:
            partitions = set(doorbells.decode(payload).partitions)
            self.mailboxes.ring(partitions)
            if partitions - self.owner.partitions.keys():
                self.leases.nudge()

        await self.requests.subscribe()
        await self._bus.subscribe(self._subjects.doorbell, rung)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.owner.run())
            tasks.create_task(self.leases.run())
            tasks.create_task(self.mailboxes.run())
            tasks.create_task(self.timekeeper.run())
            tasks.create_task(self.timekeeper.look_ahead())
            tasks.create_task(self.subscriptions.run())
            tasks.create_task(delete_abandoned_blobs(self.store, self.owner.keyspace, self._clock))

    def _complete_owner(self, outlet: BusOutlet) -> None:
        self.owner.outlet = outlet
        self.owner.lookup = self.loader.lookup
        self.owner.on_committed = self.timekeeper.recheck
        self.owner.on_lost = self.leases.nudge

    def _partitions_changed(self) -> None:
        self.timekeeper.recheck()
        self.mailboxes.ring(set(self.owner.partitions))
        self.partitions_changed.set()


def _subscriptions(
    owner: Owner,
    config: InvokerConfig,
    *,
    schema: SchemaSource,
    peers: Peers,
    random: Random,
    ring: Callable[[set[int]], None],
    open_source: OpenSource | None,
) -> Subscriptions:
    return Subscriptions(
        invoker_id=owner.invoker_id,
        schema=schema,
        clusters=StaticClusters(config.kafka_clusters, config.nats_clusters),
        peers=peers,
        open_source=open_source or source_opener(config),
        mapper=Mapper(schema, OptionsCache(server_defaults(config)), owner.clock, random),
        admission=Admission(
            store=owner.store,
            keyspace=owner.keyspace,
            partition_count=owner.partition_count,
            clock=owner.clock,
            random=random,
            ring=ring,
        ),
        invocations_max=config.invocations_max,
    )
