"""Schemas, a bus that remembers, an owner that answers, and an ASGI client, each with plain defaults."""

import asyncio
from collections.abc import Callable

from perdure.bus import messages
from perdure.bus.interface import Receiver
from perdure.bus.subjects import Subjects
from perdure.model.deployment import Deployment, Handler, HandlerOptions, InputRules, OutputRules, ProtocolMode, Service
from perdure.model.target import HandlerType, ServiceType
from perdure.registry.options import ServerDefaults
from perdure.registry.schema import Schema, schema_of
from services.ingress.answers import Answers
from services.ingress.departures import Departures
from services.ingress.directory import Directory, directory_of
from services.ingress.edge import Edge
from services.ingress.freshness import Freshness
from services.ingress.metrics import Meters
from services.ingress.rpc.door import Door
from services.ingress.uploads import Uploads
from services.ingress.waiting import Waiting

SUBJECTS = Subjects("test")
PROCESS_ID = "ingress-1"
PARTITIONS = 4
NOW_MS = 1_790_000_000_123
JSON_INPUT = InputRules(content_type="application/json", json_schema={})
JSON_OUTPUT = OutputRules(content_type="application/json")


class FixedClock:
    """A clock that stands still."""

    def now_ms(self) -> int:
        return NOW_MS


class CountingRandom:
    """Random bytes that repeat from run to run and never within one."""

    def __init__(self) -> None:
        self._count = 0

    def bytes(self, size: int) -> bytes:
        self._count += 1
        return self._count.to_bytes(size, "big")

    def fraction(self) -> float:
        return 0.5


def a_schema() -> Schema:
    """Return a service, an object, a workflow and a private service, all of one deployment."""
    services = [
        a_service(
            "Svc",
            echo=Handler("echo", HandlerType.PLAIN, JSON_INPUT, JSON_OUTPUT),
            raw=Handler("raw", HandlerType.PLAIN, InputRules(content_type="*/*"), OutputRules(content_type="text/plain")),
            hidden=Handler("hidden", HandlerType.PLAIN, options=HandlerOptions(ingress_private=True)),
        ),
        a_service("Obj", ServiceType.VIRTUAL_OBJECT, add=Handler("add", HandlerType.EXCLUSIVE, JSON_INPUT, JSON_OUTPUT)),
        a_service(
            "Wf",
            ServiceType.WORKFLOW,
            run=Handler("run", HandlerType.WORKFLOW, JSON_INPUT, JSON_OUTPUT),
            peek=Handler("peek", HandlerType.SHARED, InputRules(), JSON_OUTPUT),
        ),
        a_service("Secret", options=HandlerOptions(ingress_private=True), hello=Handler("hello", HandlerType.PLAIN)),
    ]
    deployment = Deployment(
        "dp_1",
        "http://localhost:9080",
        ProtocolMode.BIDI_STREAM,
        "HTTP/2.0",
        protocol_version_min=5,
        protocol_version_max=6,
        created_at_ms=0,
        services={service.name: 1 for service in services},
    )
    return schema_of(1, [deployment], services)


def a_service(
    name: str, service_type: ServiceType = ServiceType.SERVICE, options: HandlerOptions | None = None, **handlers: Handler
) -> Service:
    """Return the first revision of a service."""
    return Service(name, service_type, 1, "dp_1", handlers, options or HandlerOptions())


def a_directory() -> Directory:
    """Return the directory of `a_schema`."""
    return directory_of(a_schema(), ServerDefaults())


class RecordingBus:
    """A bus on which nothing happens by itself."""

    def __init__(self) -> None:
        self.is_connected = True
        self.published: list[tuple[str, bytes]] = []
        self.receivers: dict[str, Receiver] = {}
        self.on_publish: Callable[[str, bytes], None] | None = None
        self._no_responders: list[Callable[[str], None]] = []

    def publish(self, subject: str, payload: bytes, *, reply: str = "") -> None:
        self.published.append((subject, payload))
        if self.on_publish is not None:
            self.on_publish(subject, payload)

    async def subscribe(self, subject: str, receiver: Receiver) -> "RecordingSubscription":
        self.receivers[subject] = receiver
        return RecordingSubscription()

    async def request(self, subject: str, payload: bytes, *, timeout_s: float) -> bytes:
        raise NotImplementedError

    async def gather(self, subject: str, payload: bytes, *, timeout_s: float, replies_max: int) -> list[bytes]:
        raise NotImplementedError

    def on_no_responders(self, callback: Callable[[str], None]) -> None:
        self._no_responders.append(callback)

    async def close(self) -> None:
        return

    def nobody_listens(self, subject: str) -> None:
        for callback in self._no_responders:
            callback(subject)

    def announce(self, invoker_id: str, partitions: list[int], epoch: int) -> None:
        message = messages.Announcement(messages.VERSION, invoker_id, partitions, dict.fromkeys(partitions, epoch))
        self.receivers[SUBJECTS.announcements](messages.encode(message), "")

    def beat(self, invoker_id: str, partitions: list[int], *, role: str = "invoker", is_leaving: bool = False) -> None:
        message = messages.Heartbeat(messages.VERSION, role, invoker_id, "", "0", 0, partitions, is_leaving=is_leaving)
        self.receivers[SUBJECTS.heartbeats](messages.encode(message), "")

    def reply(self, *replies: messages.OwnerReply) -> None:
        self.receivers[SUBJECTS.replies("ingress", PROCESS_ID)](messages.encode(messages.OwnerReplies(messages.VERSION, list(replies))), "")

    def taken(self, invoker_id: str) -> list[list[messages.OwnerRequest]]:
        """Return what one invoker was sent, a list for each message, and forget it."""
        subject = SUBJECTS.owner(invoker_id)
        decoder = messages.decoder_of(messages.OwnerRequests)
        batches = [decoder.decode(payload).requests for to, payload in self.published if to == subject]
        self.published = [(to, payload) for to, payload in self.published if to != subject]
        return batches


class RecordingSubscription:
    async def unsubscribe(self) -> None:
        return


class MemorySink:
    """A large body on its way into a dict."""

    def __init__(self, blob_id: bytes, blobs: dict[bytes, bytes]) -> None:
        self.blob_id = blob_id
        self._blobs = blobs
        self._blobs[blob_id] = b""

    async def write(self, part: bytes) -> None:
        self._blobs[self.blob_id] += part

    async def finish(self) -> None:
        return


class MemoryBlobs:
    """Large bodies in a dict."""

    def __init__(self) -> None:
        self.blobs: dict[bytes, bytes] = {}

    def begin(self) -> MemorySink:
        return MemorySink(b"blob-%d" % len(self.blobs), self.blobs)

    async def take(self, blob_id: bytes) -> bytes:
        return self.blobs.pop(blob_id)

    def drop(self, blob_id: bytes) -> None:
        del self.blobs[blob_id]


Owner = Callable[[messages.OwnerRequest], messages.OwnerReply | None]


class Answer:
    """What an ASGI client gets back."""

    def __init__(
        self, status: int, headers: list[tuple[bytes, bytes]], body: bytes, trailers: list[tuple[bytes, bytes]] | None = None
    ) -> None:
        self.status = status
        self.headers = {name.decode(): value.decode() for name, value in headers}
        self.body = body
        self.trailers = {name.decode(): value.decode() for name, value in trailers or []}


class Ingress:
    """The whole application on a recording bus; `owner` answers each request, or returns None to stay silent."""

    def __init__(
        self, owner: Owner | None = None, *, body_bytes_max: int = 1_000_000, requests_max: int = 100, held_bytes_max: int = 10_000_000
    ) -> None:
        self.bus = RecordingBus()
        self.blobs = MemoryBlobs()
        self.waiting = Waiting(
            bus=self.bus, subjects=SUBJECTS, process_id=PROCESS_ID, partitions=PARTITIONS, on_orphan_blob=self.blobs.drop
        )
        self.meters = Meters(waiting=lambda: len(self.waiting), parked=lambda: self.waiting.parked)
        self.departures = Departures(self.waiting)
        freshness = Freshness(self._read_metadata)
        self.schema = a_schema()
        self.uploads = Uploads(self.blobs, body_bytes_max=body_bytes_max, held_bytes_max=held_bytes_max)
        self.answers = Answers(
            waiting=self.waiting,
            departures=self.departures,
            blobs=self.blobs,
            clock=FixedClock(),
            random=CountingRandom(),
            meters=self.meters,
            freshness=freshness,
            uploads=self.uploads,
        )
        self.answers.directory = a_directory()
        self.registered_meanwhile: Directory | None = None
        self.metadata_reads = 0
        rpc = Door(
            answers=self.answers,
            meters=self.meters,
            clock=FixedClock(),
            random=CountingRandom(),
            schema=lambda: self.schema,
            freshness=freshness,
        )
        self.answers.rpc = rpc
        self.edge = Edge(self.answers, rpc, self.meters, body_bytes_max=body_bytes_max, requests_max=requests_max)
        self.asked: list[messages.OwnerRequest] = []
        self._owner = owner
        self._decoder = messages.decoder_of(messages.OwnerRequests)
        self.bus.on_publish = self._take

    async def start(self) -> "Ingress":
        await self.waiting.start()
        self.bus.announce("invoker-1", list(range(PARTITIONS)), 1)
        return self

    async def stop(self) -> None:
        self.departures.stop()
        await self.waiting.stop()

    async def request(
        self,
        method: str,
        target: str,
        body: bytes | list[bytes] = b"",
        *,
        headers: dict[str, str] | None = None,
        raw_headers: list[tuple[bytes, bytes]] | None = None,
        gone: asyncio.Event | None = None,
    ) -> Answer | None:
        """Send a request and return the answer, or None if none came. The client leaves when `gone` is set."""
        path, _, query = target.partition("?")
        parts = body if isinstance(body, list) else [body]
        incoming = [{"type": "http.request", "body": part, "more_body": number < len(parts)} for number, part in enumerate(parts, 1)]
        sent: list[dict[str, object]] = []

        async def receive() -> dict[str, object]:
            if incoming:
                return incoming.pop(0)
            await (gone or asyncio.Event()).wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, object]) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "extensions": {"http.response.trailers": {}},
            "raw_path": path.encode("latin-1"),
            "query_string": query.encode(),
            "headers": raw_headers if raw_headers is not None else [(k.encode(), v.encode()) for k, v in (headers or {}).items()],
        }
        await self.edge(scope, receive, send)
        if not sent:
            return None
        start, *rest = sent
        whole = b"".join(part["body"] for part in rest if part["type"] == "http.response.body")
        trailers = next((part["headers"] for part in rest if part["type"] == "http.response.trailers"), None)
        return Answer(start["status"], start["headers"], whole, trailers)

    async def _read_metadata(self) -> None:
        self.metadata_reads += 1
        await asyncio.sleep(0.01)
        if self.registered_meanwhile is not None:
            self.answers.directory = self.registered_meanwhile

    def _take(self, subject: str, payload: bytes) -> None:
        requests = self._decoder.decode(payload).requests
        self.asked += requests
        if self._owner is not None:
            replies = [reply for request in requests if (reply := self._owner(request)) is not None]
            if replies:
                asyncio.get_running_loop().call_soon(lambda: self.bus.reply(*replies))
