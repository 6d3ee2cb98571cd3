"""The admin process: wiring."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final

from perdure.base.limits import MIB
from perdure.bus.messages import Heartbeat
from perdure.deployments.discovery import discover
from perdure.deployments.opening import open_client
from perdure.process.access import is_loopback
from perdure.process.certificate import HTTP_ALPN, certificate_of, scheme_of
from perdure.process.config import load
from perdure.process.http import serve_asgi
from perdure.process.runtime import HeartbeatFacts, Runtime, run
from perdure.process.traffic import Traffic
from perdure.query.live import LiveSource
from perdure.query.workers import QueryWorkers, opening_of
from perdure.registry.cache import SchemaCache
from perdure.registry.options import server_defaults
from perdure.registry.subscriptions import StaticClusters
from perdure.store.format import prepare
from perdure.store.keyspace import Keyspace
from services.admin.api import build_api
from services.admin.config import AdminConfig
from services.admin.context import AdminContext
from services.admin.owner_client import OwnerClient
from services.admin.query import rows_of

QUERY_BYTES_MAX: Final = 128 * MIB
"""What one statement may read of a table, and hold beside that."""
FOLLOWERS: Final = ("admin", "ingress", "invoker")
"""Roles whose processes act by the schema."""
_EVERY_ADDRESS: Final = frozenset({"0.0.0.0", "[::]"})  # noqa: S104  # compared, not listened on


def main(argv: Sequence[str]) -> int:
    """Run the process and return its exit status."""
    return run("admin", load(AdminConfig, argv, section="admin"), serve)


async def serve(runtime: Runtime[AdminConfig]) -> None:
    """Answer requests until the process is to stop."""
    config = runtime.config
    keyspace = Keyspace(config.root)
    partitions = await prepare(runtime.store, keyspace, config.partitions)
    cache = SchemaCache()
    await cache.start(runtime.store, runtime.bus, runtime.subjects, keyspace)
    owners = OwnerClient(runtime.bus, runtime.subjects, runtime.process_id, partitions)
    await owners.start()
    live = LiveSource(runtime.bus, runtime.subjects, runtime.peers)
    queries = QueryWorkers(opening_of(config, memory_bytes_max=QUERY_BYTES_MAX), ask_live=live.ask)
    client = open_client(config, runtime.clock)
    if not config.auth_token and not is_loopback(config.bind):
        runtime.log.warning("api_is_open", bind=config.bind, hint="whoever reaches this address may do everything; set auth_token")

    def on_listening(address: str) -> None:
        runtime.heartbeat_source = lambda: HeartbeatFacts(address=address, scheme=scheme_of(config))
        runtime.log.info("listening", address=address)
        runtime.set_ready(True)

    context = AdminContext(
        store=runtime.store,
        keyspace=keyspace,
        bus=runtime.bus,
        subjects=runtime.subjects,
        cache=cache,
        discover=partial(discover, client, random=runtime.random),
        clock=runtime.clock,
        random=runtime.random,
        owners=owners,
        partitions=partitions,
        defaults=server_defaults(config),
        queries=queries,
        clusters=StaticClusters(config.kafka_clusters, config.nats_clusters),
        followers=lambda: sum(len(runtime.peers.alive(role)) for role in FOLLOWERS),
        subscription_failures=lambda: failures_of(runtime.peers.alive("invoker")),
        rows=partial(rows_of, queries),
        ingress_url=lambda: config.advertised_ingress or ingress_url(runtime.peers.alive("ingress")),
    )
    try:
        await serve_asgi(
            build_api(context, auth_token=config.auth_token, has_page=not config.disable_web_ui),
            bind=config.bind,
            port=config.port,
            draining=runtime.draining,
            stopping=runtime.stopping,
            grace_ms=config.shutdown_grace,
            access_log=config.access_log,
            on_listening=on_listening,
            certificate=certificate_of(config, runtime.log, alpn=HTTP_ALPN),
            traffic=Traffic(runtime.metrics),
        )
    finally:
        await asyncio.gather(queries.close(), client.close(), owners.stop(), cache.stop(), return_exceptions=True)


def failures_of(invokers: Sequence[Heartbeat]) -> dict[str, str]:
    """Return the subscriptions that some invoker cannot read, and why."""
    return {name: reason for heartbeat in invokers for name, reason in heartbeat.subscription_failures.items()}


def ingress_url(ingresses: Sequence[Heartbeat]) -> str | None:
    """Return the URL of the first ingress that listens; one that listens on every address is found on this host's own."""
    for heartbeat in ingresses:
        host, _, port = heartbeat.address.rpartition(":")
        if host:
            return f"{heartbeat.scheme or 'http'}://{'127.0.0.1' if host in _EVERY_ADDRESS else host}:{port}/"
    return None
