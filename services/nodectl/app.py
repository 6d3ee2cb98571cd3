"""Wiring of the nodectl process: its paths, and where their answers come from."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

import msgspec

from perdure.codec.rpc.grpc import is_grpc
from perdure.process.access import is_loopback
from perdure.process.certificate import HTTP_ALPN, certificate_of, scheme_of
from perdure.process.http import serve_asgi
from perdure.process.metrics_port import CONTENT_TYPE
from perdure.process.runtime import HeartbeatFacts, Runtime
from perdure.process.traffic import Traffic
from perdure.store.format import prepare
from perdure.store.keyspace import Keyspace
from services.nodectl.cluster import Cluster
from services.nodectl.config import NodectlConfig
from services.nodectl.operations import Operations
from services.nodectl.refusal import Refused
from services.nodectl.scrape import Scrape
from services.nodectl.status import status_of

if TYPE_CHECKING:
    from services.nodectl.rpc.server import GrpcServer

JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_Answer = tuple[int, str, bytes]


async def serve(runtime: Runtime[NodectlConfig]) -> None:
    """Serve until the process is to stop."""
    config = runtime.config
    keyspace = Keyspace(config.root)
    partitions = await prepare(runtime.store, keyspace, config.partitions)
    nodectl = Nodectl(runtime, Cluster(runtime, keyspace, partitions), Operations(runtime, keyspace, partitions))
    if not config.auth_token and not is_loopback(config.bind):
        hint = "whoever reaches this address may drain processes and move partitions; set auth_token"
        runtime.log.warning("port_is_open", bind=config.bind, hint=hint)
    address = ""
    runtime.heartbeat_source = lambda: HeartbeatFacts(address=address, scheme=scheme_of(config))

    def listening(where: str) -> None:
        nonlocal address
        address = where
        runtime.set_ready(True)

    await serve_asgi(
        nodectl,
        bind=config.bind,
        port=config.port,
        draining=runtime.draining,
        stopping=runtime.stopping,
        grace_ms=config.shutdown_grace,
        on_listening=listening,
        certificate=certificate_of(config, runtime.log, alpn=HTTP_ALPN),
        traffic=Traffic(runtime.metrics),
    )


class Nodectl:
    """The ASGI application: what there is to read, operations, and gRPC on one port."""

    def __init__(self, runtime: Runtime[NodectlConfig], cluster: Cluster, operations: Operations) -> None:
        self._runtime = runtime
        self._cluster = cluster
        self._operations = operations
        self._scrape = Scrape(runtime, cluster)
        self._grpc: GrpcServer | None = None
        self._routes: dict[str, Callable[[Mapping[str, str]], Awaitable[_Answer]]] = {
            "/health": self._answer_health,
            "/ready": self._answer_ready,
            "/status": self._answer_status,
            "/metrics": self._answer_metrics,
        }

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        assert scope["type"] == "http"
        if is_grpc(scope["headers"]):
            await self._grpc_server().handle(scope, receive, send)
            return
        is_operation = scope["path"] in self._operations.by_path
        status, content_type, body = await (self._operate(scope) if is_operation else self._answer(scope))
        headers = [(b"content-type", content_type.encode()), (b"content-length", b"%d" % len(body))]
        if status == 405:
            headers.append((b"allow", b"PUT" if is_operation else b"GET, HEAD"))
        if status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _grpc_server(self) -> "GrpcServer":
        if self._grpc is None:
            from services.nodectl.rpc.server import GrpcServer

            self._grpc = GrpcServer(self._cluster, self._runtime.stopping)
        return self._grpc

    async def _answer(self, scope: MutableMapping[str, Any]) -> _Answer:
        path = scope["path"]
        route = self._routes.get(path)
        if route is None:
            there_are = ", ".join([*self._routes, *self._operations.by_path])
            return 404, TEXT, f"nothing at {path}; there are {there_are} and gRPC\n".encode()
        if scope["method"] not in ("GET", "HEAD"):
            return 405, TEXT, b"only GET\n"
        try:
            return await route(dict(parse_qsl(scope["query_string"].decode("latin-1"))))
        except Refused as refused:
            return refused.status, TEXT, f"{refused.message}\n".encode()

    async def _answer_health(self, _: Mapping[str, str]) -> _Answer:
        return 200, JSON, msgspec.json.encode((await self._cluster.view()).health)

    async def _answer_ready(self, _: Mapping[str, str]) -> _Answer:
        health = (await self._cluster.view()).health
        body = msgspec.json.encode({"status": health.status, "reasons": health.reasons})
        return (200 if health.status == "Alive" else 503), JSON, body

    async def _answer_status(self, _: Mapping[str, str]) -> _Answer:
        return 200, JSON, msgspec.json.encode(status_of(await self._cluster.view()))

    async def _answer_metrics(self, parameters: Mapping[str, str]) -> _Answer:
        return 200, CONTENT_TYPE, await self._scrape.text(parameters)

    async def _operate(self, scope: MutableMapping[str, Any]) -> _Answer:
        if scope["method"] != "PUT":
            return 405, TEXT, b"only PUT\n"
        try:
            done = await self._operations.carry_out(scope["path"], scope["query_string"], scope["headers"])
        except Refused as refused:
            return refused.status, TEXT, f"{refused.message}\n".encode()
        return 200, JSON, msgspec.json.encode(done)
