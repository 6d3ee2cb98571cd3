"""Wiring of the nodectl process: its paths, and where their answers come from."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from perdure.bus.messages import MetricsSnapshot, decoder_of
from perdure.codec.rpc.grpc import is_grpc
from perdure.process.certificate import HTTP_ALPN, certificate_of
from perdure.process.http import serve_asgi
from perdure.process.runtime import HeartbeatFacts, Runtime
from perdure.store.format import prepare
from perdure.store.keyspace import Keyspace
from services.nodectl import metrics
from services.nodectl.cluster import Cluster
from services.nodectl.config import NodectlConfig
from services.nodectl.log_levels import BadLevel, set_log_level

if TYPE_CHECKING:
    from services.nodectl.rpc.server import GrpcServer

JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"
LOG_LEVEL: Final = "/log-level"

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_Answer = tuple[int, str, bytes]


async def serve(runtime: Runtime[NodectlConfig]) -> None:
    """Serve until the process is to stop."""
    config = runtime.config
    keyspace = Keyspace(config.root)
    partitions = await prepare(runtime.store, keyspace, config.partitions)
    nodectl = Nodectl(runtime, Cluster(runtime, keyspace, partitions))
    address = ""
    runtime.heartbeat_source = lambda: HeartbeatFacts(address=address)

    def listening(where: str) -> None:
        nonlocal address
        address = where
        runtime.set_ready(True)

    await serve_asgi(
        nodectl,
        bind=config.bind,
        port=config.port,
        stopping=runtime.stopping,
        grace_ms=config.shutdown_grace,
        on_listening=listening,
        certificate=certificate_of(config, runtime.log, alpn=HTTP_ALPN),
    )


class Nodectl:
    """The ASGI application: `/health`, `/ready`, `/metrics`, `/log-level` and gRPC on one port."""

    def __init__(self, runtime: Runtime[NodectlConfig], cluster: Cluster) -> None:
        self._runtime = runtime
        self._cluster = cluster
        self._snapshots = decoder_of(MetricsSnapshot)
        self._grpc: GrpcServer | None = None
        self._routes: dict[str, Callable[[], Awaitable[_Answer]]] = {
            "/health": self._answer_health,
            "/ready": self._answer_ready,
            "/metrics": self._answer_metrics,
        }

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        assert scope["type"] == "http"
        if is_grpc(scope["headers"]):
            await self._grpc_server().handle(scope, receive, send)
            return
        if scope["path"] == LOG_LEVEL:
            status, content_type, body = await self._set_log_level(scope["method"], scope["query_string"])
        else:
            status, content_type, body = await self._answer(scope["method"], scope["path"])
        headers = [(b"content-type", content_type.encode()), (b"content-length", b"%d" % len(body))]
        if status == 405:
            headers.append((b"allow", b"PUT" if scope["path"] == LOG_LEVEL else b"GET, HEAD"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _grpc_server(self) -> "GrpcServer":
        if self._grpc is None:
            from services.nodectl.rpc.server import GrpcServer

            self._grpc = GrpcServer(self._cluster, self._runtime.stopping)
        return self._grpc

    async def _answer(self, method: str, path: str) -> _Answer:
        route = self._routes.get(path)
        if route is None:
            return 404, TEXT, f"nothing at {path}; there are {', '.join(self._routes)}, {LOG_LEVEL} and gRPC\n".encode()
        if method not in ("GET", "HEAD"):
            return 405, TEXT, b"only GET\n"
        return await route()

    async def _answer_health(self) -> _Answer:
        return 200, JSON, msgspec.json.encode((await self._cluster.view()).health)

    async def _answer_ready(self) -> _Answer:
        health = (await self._cluster.view()).health
        body = msgspec.json.encode({"status": health.status, "reasons": health.reasons})
        return (200 if health.status == "Alive" else 503), JSON, body

    async def _answer_metrics(self) -> _Answer:
        runtime = self._runtime
        replies = await runtime.bus.gather(
            runtime.subjects.metrics,
            b"",
            timeout_s=runtime.config.metrics_timeout / 1_000,
            replies_max=max(1, len(runtime.peers.alive())),
        )
        snapshots = sorted(map(self._snapshots.decode, replies), key=lambda each: (each.role, each.process_id))
        return 200, metrics.CONTENT_TYPE, metrics.merge(snapshots)

    async def _set_log_level(self, method: str, query: bytes) -> _Answer:
        if method != "PUT":
            return 405, TEXT, b"only PUT\n"
        runtime = self._runtime
        try:
            return 200, JSON, await set_log_level(query, runtime.bus, runtime.subjects, runtime.peers)
        except BadLevel as error:
            return 400, TEXT, f"{error}\n".encode()
