"""The invoker as a process."""

import asyncio

from perdure.deployments.opening import open_client
from perdure.process.runtime import HeartbeatFacts, Runtime
from perdure.process.tracing import open_exporter
from perdure.registry.cache import SchemaCache
from perdure.store.format import prepare
from perdure.store.keyspace import Keyspace
from services.invoker.config import InvokerConfig
from services.invoker.invoker import Invoker
from services.invoker.metrics import InvokerMetrics


async def serve(runtime: Runtime[InvokerConfig]) -> None:
    """Run one invoker until the process stops; give its partitions away before."""
    config = runtime.config
    keyspace = Keyspace(config.root)
    partition_count = await prepare(runtime.store, keyspace, config.partitions)
    schema = SchemaCache()
    await schema.start(runtime.store, runtime.bus, runtime.subjects, keyspace)
    client = open_client(config, runtime.clock)
    exporter = open_exporter(config, role=runtime.role, process_id=runtime.process_id, registry=runtime.metrics)
    invoker = Invoker(
        invoker_id=runtime.process_id,
        store=runtime.store,
        bus=runtime.bus,
        clock=runtime.clock,
        random=runtime.random,
        client=client,
        schema=schema,
        subjects=runtime.subjects,
        peers=runtime.peers,
        config=config,
        partition_count=partition_count,
        spans=exporter,
    )
    metrics = InvokerMetrics(runtime.metrics, invoker, client.http, runtime.clock)
    runtime.heartbeat_source = lambda: HeartbeatFacts(
        partitions=sorted(invoker.owner.partitions),
        counters=invoker.vitals(),
        subscription_failures=invoker.subscriptions.failures(),
    )
    schema.on_change(lambda _: invoker.subscriptions.nudge())
    runtime.peers.on_change(invoker.leases.nudge)
    work = asyncio.ensure_future(invoker.run())
    watch = asyncio.ensure_future(_report_readiness(runtime, invoker))
    leave = asyncio.ensure_future(_leave(runtime, invoker))
    try:
        for ended in (await asyncio.wait([work, watch, leave], return_when=asyncio.FIRST_COMPLETED))[0]:
            ended.result()
    finally:
        for task in (work, watch, leave):
            task.cancel()
        await asyncio.wait([work, watch, leave])
        await client.close()
        await schema.stop()
        metrics.close()
        if exporter is not None:
            await exporter.close()


async def _leave(runtime: Runtime[InvokerConfig], invoker: Invoker) -> None:
    """Give everything away once this process is to be drained, and return once it is to stop."""
    await runtime.draining.wait()
    await invoker.subscriptions.leave()
    await invoker.leases.leave()
    await invoker.owner.settle()
    await runtime.stopping.wait()


async def _report_readiness(runtime: Runtime[InvokerConfig], invoker: Invoker) -> None:
    """Say that we are ready once all that should be ours is loaded, and tell each change of ownership."""
    while True:
        await invoker.partitions_changed.wait()
        invoker.partitions_changed.clear()
        runtime.set_ready(invoker.leases.is_settled, "" if invoker.leases.is_settled else "partitions are not all loaded")
        runtime.send_heartbeat()
