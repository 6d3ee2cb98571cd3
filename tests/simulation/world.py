"""One deterministic run: a workload and faults under one seed, with the real invokers and the real half of an ingress."""

import asyncio
import hashlib
import random
from collections.abc import Callable
from typing import Final

import msgspec
import structlog

from perdure.model.deployment import Deployment, Handler, HandlerOptions, ProtocolMode, RetryPolicy, Service
from perdure.process.spans import Spans
from perdure.registry.schema import Schema, schema_of
from perdure.sim.cluster import SIMULATED, Cluster, Faults, Parts
from perdure.sim.loop import VirtualLoop
from perdure.sim.store import Commit
from perdure.store.format import prepare
from perdure.store.keyspace import Keyspace, range_of
from perdure.upkeep.rows import PartitionRows
from perdure.upkeep.rules import judge
from services.invoker.config import InvokerConfig
from services.invoker.invoker import Invoker
from tests.simulation.checkers import History
from tests.simulation.ingress import IngressRole, SimClient
from tests.simulation.workloads import Workload

PARTITIONS: Final = 6
INVOKERS: Final = 2
INGRESSES: Final = 2
ROOT: Final = "sim"
REST_S_MAX: Final = 300.0
DURATION_S_MAX: Final = 900.0
CONFIG: Final = InvokerConfig(root=ROOT, partitions=PARTITIONS, experimental_enable_protocol_v7=True)
OPTIONS: Final = HandlerOptions(
    inactivity_timeout_ms=1_000,
    abort_timeout_ms=5_000,
    retry_policy=RetryPolicy(initial_interval_ms=50, factor=2.0, max_interval_ms=2_000, max_attempts=1_000_000),
)


class Case(msgspec.Struct, frozen=True):
    """What a seed stands for."""

    seed: int
    workload: Callable[[], Workload]
    faults_name: str
    faults: Faults

    @property
    def name(self) -> str:
        return f"{self.seed} ({self.workload.__name__}, {self.faults_name})"


class Verdict(msgspec.Struct):
    """What a run showed. `trace` is equal for equal runs."""

    violations: list[str]
    trace: str
    events: list[str]
    commits: int
    rows: int
    calls: int
    exchanges: int
    virtual_s: float


class FixedSchema:
    """A schema that never changes, where invokers expect a cache."""

    def __init__(self, schema: Schema) -> None:
        self.current = schema

    def on_change(self, callback: Callable[[], None]) -> None:
        """Nothing ever calls back."""


def schema_for(workload: Workload, dice: random.Random) -> Schema:
    """Return a schema that spreads the services over a streaming and a request-response deployment."""
    deployments = [
        _deployment("dp_stream", ProtocolMode.BIDI_STREAM, dice),
        _deployment("dp_request", ProtocolMode.REQUEST_RESPONSE, dice),
    ]
    services: list[Service] = []
    for spec in workload.services:
        deployment = deployments[0] if dice.random() < 0.7 else deployments[1]
        options = msgspec.structs.replace(OPTIONS, enable_lazy_state=dice.random() < 0.3)
        if spec.retention_ms is not None:
            options = msgspec.structs.replace(options, idempotency_retention_ms=spec.retention_ms)
        handlers = {name: Handler(name, handler_type, options=options) for name, (handler_type, _) in spec.handlers.items()}
        services.append(Service(spec.name, spec.service_type, 1, deployment.id, handlers))
        deployment.services[spec.name] = 1
    return schema_of(1, deployments, services)


def _deployment(name: str, mode: ProtocolMode, dice: random.Random) -> Deployment:
    return Deployment(name, f"http://{name}", mode, "HTTP/2.0", 5, dice.choice((5, 6, 7, 7)), 0, services={})


class Run:
    """A case while it runs."""

    def __init__(self, case: Case, spans: Spans | None = None) -> None:
        self.case = case
        self._spans = spans
        self.workload = case.workload()
        self.history = History(Keyspace(ROOT), PARTITIONS)
        self.cluster: Cluster | None = None
        self.client: SimClient | None = None
        self._trace = hashlib.blake2b(digest_size=16)

    async def go(self) -> None:
        """Run the workload under faults, heal, and wait until all is at rest."""
        seed = self.case.seed
        dice = random.Random(f"{seed}/workload")
        handlers = {f"{spec.name}/{name}": code for spec in self.workload.services for name, (_, code) in spec.handlers.items()}
        cluster = self.cluster = Cluster(seed=seed, faults=self.case.faults, handlers=handlers, on_commit=self._on_commit)
        cluster.deployments.observer = self.history
        self.history.lifecycle.on_expired = cluster.deployments.steps.forget
        schema = FixedSchema(schema_for(self.workload, dice))
        for number in range(INVOKERS):
            cluster.start(f"invoker-{number}", "invoker", lambda parts: run_invoker(parts, schema, self._spans))
        roles = {f"ingress-{number}": IngressRole(schema.current, PARTITIONS) for number in range(INGRESSES)}
        for slot, role in roles.items():
            cluster.start(slot, "ingress", role)
        client = self.client = SimClient(roles, self.history, dice)
        chaos = cluster.loop.create_task(cluster.misbehave())
        await self.workload.run(client, dice)
        chaos.cancel()
        self.history.violations += damages(cluster)
        cluster.heal()
        await self._rest(cluster)

    def _on_commit(self, commit: Commit) -> None:
        self._trace.update(commit.client.encode())
        for key, value in commit.writes.items():
            self._trace.update(key)
            self._trace.update(b"-" if value is None else value)
        self.history.on_commit(commit)

    async def _rest(self, cluster: Cluster) -> None:
        deadline = cluster.loop.time() + REST_S_MAX
        while not self.history.is_at_rest() and cluster.loop.time() < deadline:
            await asyncio.sleep(0.5)

    def judge(self, error: Exception | None) -> Verdict:
        """Return what the run showed; `error` is why it did not come to its end."""
        cluster, client, history = self.cluster, self.client, self.history
        assert cluster is not None
        assert client is not None
        loop = cluster.loop
        assert isinstance(loop, VirtualLoop)
        if error is None:
            violations = [*history.conclude(), *self.workload.check(history.state)]
        else:
            violations = [*history.violations, f"the run broke: {error!r}", *history.leftovers()]
        violations += damages(cluster)
        violations += cluster.deployments.steps.violations + cluster.deployments.mismatches
        violations += [f"crash of {crash}" for crash in cluster.crashes if SIMULATED not in crash]
        violations += [f"unhandled: {problem}" for problem in loop.problems]
        self._trace.update("\n".join(cluster.events).encode())
        return Verdict(
            violations=violations,
            trace=self._trace.hexdigest(),
            events=cluster.events,
            commits=history.commits,
            rows=history.rows,
            calls=client.calls,
            exchanges=cluster.deployments.exchanges,
            virtual_s=loop.time(),
        )


def damages(cluster: Cluster) -> list[str]:
    """Return the rules that the rows in the store break, as `perdure check` judges them."""
    keyspace = Keyspace(ROOT)
    found: list[str] = []
    for number in range(PARTITIONS):
        rows = PartitionRows(number, PARTITIONS, keyspace)
        for key, value in cluster.store.pairs(*range_of(keyspace.partition(number).prefix)):
            rows.take(key, value)
        rows.finish()
        found += [f"{finding.damage} at {finding.place}: {finding.message}" for finding in judge(rows)]
    return found


async def run_invoker(parts: Parts, schema: FixedSchema, spans: Spans | None) -> None:
    """Run a real invoker on simulated parts, until the process is killed or stopped."""
    partition_count = await prepare(parts.store, Keyspace(ROOT), PARTITIONS)
    invoker = Invoker(
        invoker_id=parts.process_id,
        store=parts.store,
        bus=parts.bus,
        clock=parts.clock,
        random=parts.random,
        client=parts.client,
        schema=schema,
        subjects=parts.subjects,
        peers=parts.peers,
        config=CONFIG,
        partition_count=partition_count,
        spans=spans,
    )
    owner = invoker.owner
    parts.facts = lambda: (sorted(owner.partitions), invoker.vitals())
    parts.peers.on_change(invoker.leases.nudge)
    loop = asyncio.get_running_loop()
    work, stop = loop.create_task(invoker.run()), loop.create_task(parts.stopping.wait())
    try:
        await asyncio.wait([work, stop], return_when=asyncio.FIRST_COMPLETED)
        if not stop.done():
            await work
        await invoker.leases.leave()
        await owner.settle()
    finally:
        work.cancel()
        stop.cancel()


def simulate(case: Case, spans: Spans | None = None) -> Verdict:
    """Run a case on a fresh virtual loop; `spans` takes what its invokers tell. A run that does not end is a verdict, too."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    loop = VirtualLoop(duration_max_s=DURATION_S_MAX)
    run = Run(case, spans)
    error: Exception | None = None
    try:
        loop.run(run.go())
    except Exception as failure:
        error = failure
    return run.judge(error)
