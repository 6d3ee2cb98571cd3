"""What the tests of the deployment client share: a receiver that records, servers in the test's own loop, builders."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar, cast
from urllib.parse import quote

import h2.config
import h2.connection
import h2.events
import h2.settings
import hypercorn.asyncio
import hypercorn.config
import uvloop

from perdure.base.ids import invocation_id
from perdure.codec.service_protocol.encoder import AttemptEncoder
from perdure.deployments.client import HttpDeploymentClient
from perdure.deployments.interface import DeploymentClient, Exchange, ExchangeFailure, HeaderList
from perdure.deployments.settings import ClientSettings
from perdure.model.deployment import Deployment, ProtocolMode
from perdure.model.journal import Input
from tests.contract.deployments.certificates import Certificates

T = TypeVar("T")
TEST_SECONDS_MAX = 20


def run(test: Coroutine[Any, Any, T]) -> T:
    """Run `test` on the event loop that the server uses."""

    async def bounded() -> T:
        async with asyncio.timeout(TEST_SECONDS_MAX):
            return await test

    return uvloop.run(bounded())


class Recorder:
    """A receiver that keeps what comes, and holds the client to its promise that nothing follows the end."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.headers: HeaderList = []
        self.body = bytearray()
        self.failure: ExchangeFailure | None = None
        self.is_ended = False
        self.is_over = False
        self._changed = asyncio.Event()

    def on_response(self, status: int, headers: HeaderList) -> None:
        assert not self.is_over
        assert self.status is None
        self.status, self.headers = status, headers
        self._changed.set()

    def on_data(self, data: bytes) -> None:
        assert not self.is_over
        self.body += data
        self._changed.set()

    def on_end(self) -> None:
        assert not self.is_over
        self.is_ended = self.is_over = True
        self._changed.set()

    def on_failure(self, failure: ExchangeFailure) -> None:
        assert not self.is_over
        self.failure = failure
        self.is_over = True
        self._changed.set()

    async def until(self, fact: Callable[["Recorder"], bool]) -> "Recorder":
        """Wait until `fact` holds."""
        while not fact(self):
            self._changed.clear()
            await self._changed.wait()
        return self

    async def over(self) -> "Recorder":
        return await self.until(lambda recorder: recorder.is_over)

    async def failed(self) -> ExchangeFailure:
        await self.over()
        assert self.failure is not None, "the exchange succeeded"
        return self.failure


def a_deployment(port: int, *, http_version: str = "HTTP/2.0", scheme: str = "http", path: str = "", **fields: Any) -> Deployment:
    return Deployment(
        id="dp_1",
        url=f"{scheme}://localhost:{port}{path}" if scheme == "https" else f"{scheme}://127.0.0.1:{port}{path}",
        protocol_mode=ProtocolMode.BIDI_STREAM,
        http_version=http_version,
        protocol_version_min=5,
        protocol_version_max=7,
        created_at_ms=0,
        **fields,
    )


@contextlib.asynccontextmanager
async def a_client(**settings: Any) -> AsyncIterator[HttpDeploymentClient]:
    client = HttpDeploymentClient(ClientSettings(**settings))
    try:
        yield client
    finally:
        await client.close()


def post(client: HttpDeploymentClient, deployment: Deployment, body: bytes | None = b"") -> tuple[Recorder, Exchange]:
    """Open an exchange; a `body` that is not None is sent, and the request ended."""
    recorder = Recorder()
    exchange = client.open(deployment, "POST", "/invoke/Greeter/greet", [("content-type", "text/plain")], recorder)
    if body is not None:
        exchange.send(body)
        exchange.end()
    return recorder, exchange


def attempt_at(
    client: DeploymentClient, deployment: Deployment, path: str, argument: bytes, *, key: str = "", headers: HeaderList | None = None
) -> Recorder:
    """Run one attempt of protocol V6 in request/response mode, with `argument` as the invocation's input."""
    encoder = AttemptEncoder(6)
    fields: HeaderList = [("content-type", encoder.content_type), *(headers or [])]
    if key:
        fields.append(("x-restate-service-key", quote(key)))
    recorder = Recorder()
    exchange = client.open(deployment, "POST", path, fields, recorder)
    exchange.send(encoder.start(invocation_id=invocation_id(1, bytes(16)), debug_id="inv_1", known_entries=1, key=key))
    exchange.send(encoder.entry(Input(value=argument)))
    exchange.end()
    return recorder


class Http2Peer(asyncio.Protocol):
    """One connection of a server made of the h2 library; `script` sees each event and does what it likes."""

    def __init__(self, server: "Http2Server") -> None:
        self.server = server
        self.transport: asyncio.Transport | None = None
        self.is_over = asyncio.Event()
        self.http2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self.outgoing: dict[int, bytearray] = {}
        self.ended: set[int] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.server.peers.append(self)
        if self.server.settings:
            self.http2.local_settings = h2.settings.Settings(client=False, initial_values=self.server.settings)
        self.http2.initiate_connection()
        self.flush()

    def data_received(self, data: bytes) -> None:
        for event in self.http2.receive_data(data):
            self.server.events.append(event)
            self.server.script(self, event)
            if isinstance(event, h2.events.WindowUpdated | h2.events.RemoteSettingsChanged):
                self.pump()
        self.flush()
        self.server.changed.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_over.set()
        self.server.changed.set()

    def respond(self, stream_id: int, body: bytes = b"", *, end: bool = True) -> None:
        self.http2.send_headers(stream_id, [(":status", "200"), ("content-type", "text/plain")])
        self.send(stream_id, body, end=end)

    def send(self, stream_id: int, body: bytes, *, end: bool = False) -> None:
        """Send `body` as the client grants credit for it."""
        self.outgoing.setdefault(stream_id, bytearray()).extend(body)
        if end:
            self.ended.add(stream_id)
        self.pump()

    def pump(self) -> None:
        for stream_id, waiting in list(self.outgoing.items()):
            while waiting and (room := min(self.http2.local_flow_control_window(stream_id), self.http2.max_outbound_frame_size)) > 0:
                self.http2.send_data(stream_id, bytes(waiting[:room]))
                del waiting[:room]
            if not waiting:
                del self.outgoing[stream_id]
                if stream_id in self.ended:
                    self.http2.end_stream(stream_id)

    def flush(self) -> None:
        data = self.http2.data_to_send()
        assert self.transport is not None
        budget = self.server.bytes_left
        if budget is not None:
            self.server.bytes_left = budget - len(data)
            data = data[:budget] if budget > 0 else b""
        if data and not self.transport.is_closing():
            self.transport.write(data)
        if self.server.bytes_left is not None and self.server.bytes_left <= 0:
            self.transport.close()


Script = Callable[[Http2Peer, h2.events.Event], None]


class Http2Server:
    """A server that follows `script`; after `bytes_left` bytes of output, if set, it cuts the connection."""

    def __init__(self, script: Script, settings: dict[h2.settings.SettingCodes | int, int] | None, bytes_left: int | None) -> None:
        self.script = script
        self.settings = settings
        self.bytes_left = bytes_left
        self.port = 0
        self.peers: list[Http2Peer] = []
        self.events: list[h2.events.Event] = []
        self.changed = asyncio.Event()

    async def until(self, fact: Callable[["Http2Server"], bool]) -> None:
        while not fact(self):
            self.changed.clear()
            await self.changed.wait()

    async def saw(self, kind: type[h2.events.Event]) -> h2.events.Event:
        """Wait for the first event of this kind."""
        await self.until(lambda server: any(isinstance(event, kind) for event in server.events))
        return next(event for event in self.events if isinstance(event, kind))


@contextlib.asynccontextmanager
async def http2_server(
    script: Script,
    *,
    settings: dict[h2.settings.SettingCodes | int, int] | None = None,
    bytes_left: int | None = None,
    context: ssl.SSLContext | None = None,
) -> AsyncIterator[Http2Server]:
    server = Http2Server(script, settings, bytes_left)
    listener = await asyncio.get_running_loop().create_server(lambda: Http2Peer(server), "127.0.0.1", 0, ssl=context)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for peer in server.peers:
            if peer.transport is not None:
                peer.transport.abort()
            await peer.is_over.wait()
        await listener.wait_closed()


def echo(peer: Http2Peer, event: h2.events.Event) -> None:
    """Answer with what comes, while it comes."""
    if isinstance(event, h2.events.RequestReceived):
        peer.respond(event.stream_id, end=False)
    elif isinstance(event, h2.events.DataReceived):
        peer.http2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        peer.send(event.stream_id, event.data)
    elif isinstance(event, h2.events.StreamEnded):
        peer.send(event.stream_id, b"", end=True)


@contextlib.asynccontextmanager
async def byte_server(serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[int]:
    """A server that does `serve` with each connection and then closes it; gives its port."""
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            tasks.discard(task)
            writer.close()

    listener = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks)
        await listener.wait_closed()


@contextlib.asynccontextmanager
async def hypercorn_server(
    app: Any, *, certificates: Certificates | None = None, alpn: Sequence[str] = ("h2", "http/1.1")
) -> AsyncIterator[int]:
    """A real ASGI server around `app` that speaks HTTP/1.1 and h2c, or TLS with what `alpn` says; gives its port."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    port = listening.getsockname()[1]
    config = hypercorn.config.Config()
    config.bind = [f"fd://{listening.detach()}"]
    if certificates is not None:
        config.certfile, config.keyfile = str(certificates.certificate), str(certificates.key)
        config.alpn_protocols = list(alpn)
    config.accesslog = None
    config.errorlog = None
    stopping = asyncio.Event()
    serving = asyncio.create_task(hypercorn.asyncio.serve(app, config, shutdown_trigger=stopping.wait))
    try:
        yield port
    finally:
        stopping.set()
        await serving


async def stay_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accept and never say a word."""
    await asyncio.Event().wait()
