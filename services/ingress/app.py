"""Wiring of the ingress process."""

import asyncio

from perdure.base.clock import Clock, Random
from perdure.base.ids import ulid
from perdure.base.limits import REQUEST_BODIES_BYTES_MAX
from perdure.process.certificate import HTTP_ALPN, certificate_of, scheme_of
from perdure.process.http import serve_asgi
from perdure.process.runtime import HeartbeatFacts, Runtime
from perdure.process.tracing import open_exporter
from perdure.process.traffic import Traffic
from perdure.registry.cache import SchemaCache
from perdure.registry.options import ServerDefaults, server_defaults
from perdure.registry.schema import Schema
from perdure.store.blobs import BlobWriter, delete_blob, get_blob
from perdure.store.format import prepare
from perdure.store.interface import Store
from perdure.store.keyspace import Keyspace
from services.ingress.answers import Answers
from services.ingress.asking import BlobMissing
from services.ingress.config import IngressConfig
from services.ingress.departures import Departures
from services.ingress.directory import directory_of
from services.ingress.edge import Edge
from services.ingress.freshness import Freshness
from services.ingress.metrics import Meters
from services.ingress.rpc.door import Door
from services.ingress.tracing import Tracer
from services.ingress.uploads import Uploads
from services.ingress.waiting import Waiting


async def serve(runtime: Runtime[IngressConfig]) -> None:
    """Serve until the process is to stop."""
    config = runtime.config
    keyspace = Keyspace(config.root)
    partitions = await prepare(runtime.store, keyspace, config.partitions)
    blobs = StoreBlobs(runtime.store, keyspace, runtime.clock, runtime.random)
    waiting = Waiting(
        bus=runtime.bus,
        subjects=runtime.subjects,
        process_id=runtime.process_id,
        partitions=partitions,
        on_orphan_blob=blobs.drop,
    )
    meters = Meters(waiting=lambda: len(waiting), parked=lambda: waiting.parked)
    meters.register(runtime.metrics)
    departures = Departures(waiting)
    schema = SchemaCache()
    freshness = Freshness(schema.refresh)
    exporter = open_exporter(config, role=runtime.role, process_id=runtime.process_id, registry=runtime.metrics)
    answers = Answers(
        waiting=waiting,
        departures=departures,
        blobs=blobs,
        clock=runtime.clock,
        random=runtime.random,
        meters=meters,
        freshness=freshness,
        uploads=Uploads(blobs, body_bytes_max=config.request_size_limit, held_bytes_max=REQUEST_BODIES_BYTES_MAX),
        tracer=None if exporter is None else Tracer(exporter, config.tracing_sample_ratio, runtime.clock, runtime.random),
    )
    rpc = Door(
        answers=answers,
        meters=meters,
        clock=runtime.clock,
        random=runtime.random,
        schema=lambda: schema.current,
        freshness=freshness,
    )
    answers.rpc = rpc
    address = ""
    runtime.heartbeat_source = lambda: HeartbeatFacts(counters={"waiting": float(len(waiting))}, address=address, scheme=scheme_of(config))

    def listening(where: str) -> None:
        nonlocal address
        address = where
        runtime.log.info("listening", address=where)
        runtime.set_ready(True)

    follow(schema, answers, server_defaults(config))
    await waiting.start()
    await schema.start(runtime.store, runtime.bus, runtime.subjects, keyspace)
    try:
        await serve_asgi(
            Edge(answers, rpc, meters, body_bytes_max=config.request_size_limit, requests_max=config.concurrent_requests_limit),
            bind=config.bind,
            port=config.port,
            draining=runtime.draining,
            stopping=runtime.stopping,
            grace_ms=config.shutdown_grace,
            access_log=config.access_log,
            on_listening=listening,
            certificate=certificate_of(config, runtime.log, alpn=HTTP_ALPN),
            traffic=Traffic(runtime.metrics),
        )
    finally:
        departures.stop()
        await schema.stop()
        await waiting.stop()
        if exporter is not None:
            await exporter.close()


def follow(cache: SchemaCache, answers: Answers, defaults: ServerDefaults) -> None:
    """Keep the directory at the newest metadata."""

    def renew(schema: Schema) -> None:
        answers.directory = directory_of(schema, defaults)

    cache.on_change(renew)


class StoreBlobs:
    """Large bodies in the store, under random ids."""

    def __init__(self, store: Store, keyspace: Keyspace, clock: Clock, random: Random) -> None:
        self._store = store
        self._keyspace = keyspace
        self._clock = clock
        self._random = random
        self._deletions: set[asyncio.Task[None]] = set()

    def begin(self) -> BlobWriter:
        """Return where the parts of a new one go."""
        return BlobWriter(self._store, self._keyspace, ulid(self._clock.now_ms(), self._random.bytes(10)))

    async def take(self, blob_id: bytes) -> bytes:
        """Return stored bytes and delete them.

        Raises:
            BlobMissing: They are not there (any more).
        """
        data = await get_blob(self._store, self._keyspace, blob_id)
        if data is None:
            raise BlobMissing(f"the body {blob_id.hex()} is not in the store")
        self.drop(blob_id)
        return data

    def drop(self, blob_id: bytes) -> None:
        """Delete a blob in the background: nobody waits for that."""
        task = asyncio.get_running_loop().create_task(delete_blob(self._store, self._keyspace, blob_id))
        self._deletions.add(task)
        task.add_done_callback(self._deletions.discard)
