"""What stands in for clients, NATS and a deployment where ingress and invoker share a process: it costs little, and no system call."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import uvicorn
import uvloop

from perdure.base.clock import SystemClock, SystemRandom
from perdure.base.limits import MESSAGE_BYTES_MAX, REQUEST_BODIES_BYTES_MAX
from perdure.bus.interface import Receiver
from perdure.bus.subjects import Subjects
from perdure.codec.service_protocol import messages_pb2 as pb
from perdure.deployments.frames import DATA, END_STREAM, HEADER_BYTES, SETTINGS, window_update_frame
from perdure.deployments.opening import open_client
from perdure.model.deployment import Deployment, Handler, InputRules, OutputRules, ProtocolMode, Service
from perdure.model.target import HandlerType, ServiceType
from perdure.process.connections import Connection, ConnectionsState
from perdure.process.peers import Peers
from perdure.process.traffic import Traffic
from perdure.registry.options import server_defaults
from perdure.registry.schema import Schema, schema_of
from perdure.sim import wire
from perdure.store.embedded.store import open_embedded
from perdure.store.format import prepare
from perdure.store.keyspace import Keyspace
from services.ingress.answers import Answers
from services.ingress.app import StoreBlobs
from services.ingress.departures import Departures
from services.ingress.directory import directory_of
from services.ingress.edge import Edge
from services.ingress.freshness import Freshness
from services.ingress.metrics import Meters
from services.ingress.rpc.door import Door
from services.ingress.uploads import Uploads
from services.ingress.waiting import Waiting
from services.invoker.config import InvokerConfig
from services.invoker.invoker import Invoker

HEADERS: Final = 0x1
END_OF_HEADERS: Final = 0x4
CREDIT_BYTES: Final = 4_096
"""What the greeter lets the invoker send for each answer, more than a request has."""

REQUEST: Final = (
    b'POST /Greeter/greet HTTP/1.1\r\nhost: 127.0.0.1:8080\r\ncontent-type: application/json\r\ncontent-length: 14\r\n\r\n"Ada Lovelace"'
)


class LoopBus:
    """Delivers to the subscribers of this process at the next turn of its loop, as one read from NATS would."""

    is_connected = True

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._receivers: dict[str, list[Receiver]] = defaultdict(list)
        self._pending: list[tuple[str, bytes, str]] = []

    def publish(self, subject: str, payload: bytes, *, reply: str = "") -> None:
        if not self._pending:
            self._loop.call_soon(self._deliver)
        self._pending.append((subject, payload, reply))

    async def subscribe(self, subject: str, receiver: Receiver) -> None:
        self._receivers[subject].append(receiver)

    def on_no_responders(self, callback: Callable[[str], None]) -> None:
        """Somebody always listens."""

    def _deliver(self) -> None:
        pending, self._pending = self._pending, []
        for subject, payload, reply in pending:
            for receiver in self._receivers[subject]:
                receiver(payload, reply)


class _Socket:
    """A transport of no socket: what is written goes to `sink`."""

    def __init__(self, sink: Callable[[bytes], None]) -> None:
        self.write = sink

    def get_extra_info(self, _name: str) -> None:
        return None

    def set_protocol(self, protocol: asyncio.Protocol) -> None:
        self.protocol = protocol

    def is_closing(self) -> bool:
        return False

    def resume_reading(self) -> None:
        """It never paused."""

    def close(self) -> None:
        """Nobody is there to notice."""


class _Greeter:
    """The far end of an HTTP/2 connection: answers each request with the same result."""

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol) -> None:
        self._loop = loop
        self._protocol = protocol
        self._answers: list[bytes] = []
        protocol.connection_made(_Socket(self._take))  # type: ignore[arg-type]  # all of a transport that it uses
        loop.call_soon(protocol.data_received, _frame(SETTINGS, 0, 0, b""))
        content_type = b"application/vnd.restate.invocation.v5"
        self._head = b"\x88\x0f\x10" + bytes((len(content_type),)) + content_type  # HPACK for status 200 and this content type
        output = wire.frame(wire.OUTPUT, pb.Output(value=pb.Value(content=b'"Hello Ada Lovelace"')))
        self._body = output + wire.frame(wire.END, pb.Output())

    def _take(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            if data[at + 3] == HEADERS:
                self._answer(data[at + 5 : at + 9])
            at += HEADER_BYTES + int.from_bytes(data[at : at + 3], "big")

    def _answer(self, stream: bytes) -> None:
        if not self._answers:
            self._loop.call_soon(self._send)
        stream_id = int.from_bytes(stream, "big")
        self._answers += (
            _frame(HEADERS, END_OF_HEADERS, stream_id, self._head),
            _frame(DATA, END_STREAM, stream_id, self._body),
            window_update_frame(0, CREDIT_BYTES),
        )

    def _send(self) -> None:
        answers, self._answers = self._answers, []
        self._protocol.data_received(b"".join(answers))


def _frame(kind: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream_id.to_bytes(4, "big") + payload


class GreeterLoop(uvloop.Loop):
    """A loop whose connections all lead to the greeter."""

    async def create_connection(self, protocol_factory: Callable[[], asyncio.Protocol], *_: Any, **__: Any) -> None:  # type: ignore[override]
        _Greeter(self, protocol_factory())


class Caller:
    """A client over HTTP/1.1: sends its next request when it has the answer to the one before."""

    def __init__(self, loop: asyncio.AbstractEventLoop, connection: Connection) -> None:
        self._loop = loop
        self._left = 0
        self._socket = _Socket(self._take)
        connection.connection_made(self._socket)  # type: ignore[arg-type]  # all of a transport that it uses
        self._socket.set_protocol(connection)

    def call(self, times: int) -> asyncio.Future[None]:
        """Call so often; the future is done with the last answer."""
        self._left = times
        self._done = self._loop.create_future()
        self._send()
        return self._done

    def _send(self) -> None:
        self._loop.call_soon(self._socket.protocol.data_received, REQUEST)

    def _take(self, data: bytes) -> None:
        assert data.startswith(b"HTTP/1.1 200 "), data
        self._left -= 1
        if self._left:
            self._send()
        else:
            self._done.set_result(None)


class OneProcess:
    """Ingress and invoker on the running loop, with their data in a directory."""

    def __init__(self, directory: Path) -> None:
        self._loop = asyncio.get_running_loop()
        self._bus = LoopBus()
        self._store = open_embedded(str(directory / "perdure.db"))
        self._clock, self._random, self._subjects = SystemClock(), SystemRandom(), Subjects("perdure")
        self._config = InvokerConfig()
        handler = Handler("greet", HandlerType.SHARED, InputRules(False, "*/*"), OutputRules("application/json"))
        deployment = Deployment("dp_greeter", "http://greeter", ProtocolMode.BIDI_STREAM, "HTTP/2.0", 5, 5, 0, services={"Greeter": 1})
        self.current = schema_of(1, [deployment], [Service("Greeter", ServiceType.SERVICE, 1, deployment.id, {"greet": handler})])

    def on_change(self, callback: Callable[[Schema], None]) -> None:
        """Nothing is registered later."""

    async def start(self) -> None:
        """Return once the invoker owns all partitions."""
        partitions = await prepare(self._store, Keyspace(), self._config.partitions)
        self._serve = await self._start_ingress(partitions)
        await self._start_invoker(partitions)

    def connect(self) -> Caller:
        """Return one more client."""
        return Caller(self._loop, self._serve())

    async def _start_invoker(self, partitions: int) -> None:
        invoker = Invoker(
            invoker_id="invoker",
            store=self._store,
            bus=self._bus,
            clock=self._clock,
            random=self._random,
            client=open_client(self._config, self._clock),
            schema=self,
            subjects=self._subjects,
            peers=Peers(self._clock),
            config=self._config,
            partition_count=partitions,
        )
        self._invoking = self._loop.create_task(invoker.run())
        while len(invoker.owner.partitions) < partitions:
            await invoker.partitions_changed.wait()
            invoker.partitions_changed.clear()

    async def _start_ingress(self, partitions: int) -> Callable[[], Connection]:
        blobs = StoreBlobs(self._store, Keyspace(), self._clock, self._random)
        waiting = Waiting(bus=self._bus, subjects=self._subjects, process_id="ingress", partitions=partitions, on_orphan_blob=blobs.drop)
        meters, freshness = Meters(waiting=int, parked=int), Freshness(lambda: asyncio.sleep(0))
        uploads = Uploads(blobs, body_bytes_max=MESSAGE_BYTES_MAX, held_bytes_max=REQUEST_BODIES_BYTES_MAX)
        common: dict[str, Any] = {"clock": self._clock, "random": self._random, "meters": meters, "freshness": freshness}
        answers = Answers(waiting=waiting, departures=Departures(waiting), blobs=blobs, uploads=uploads, **common)
        answers.directory = directory_of(self.current, server_defaults(self._config))
        rpc = Door(answers=answers, schema=lambda: self.current, **common)
        edge = Edge(answers, rpc, meters, body_bytes_max=MESSAGE_BYTES_MAX, requests_max=10_000)
        await waiting.start()
        config = uvicorn.Config(
            edge, http=Connection, ws="none", lifespan="off", interface="asgi3", log_config=None, access_log=False, proxy_headers=False
        )
        config.load()
        state = ConnectionsState(Traffic())
        return lambda: Connection(config=config, server_state=state, app_state={}, _loop=self._loop)
