"""The admin application on an embedded store, with a bus in memory and endpoints that are made up."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec

from perdure.base.clock import SystemRandom
from perdure.bus.interface import NoResponders, Receiver
from perdure.bus.messages import VERSION, Announcement, NotOwner, Operated, Overloaded, OwnerReplies, OwnerRequests, encode
from perdure.bus.subjects import Subjects
from perdure.deployments.errors import DeploymentUnreachable
from perdure.deployments.manifest import Discovered
from perdure.model.deployment import GoogleIdToken, ProtocolMode, Service
from perdure.registry.cache import SchemaCache
from perdure.registry.subscriptions import StaticClusters
from perdure.store.embedded.store import open_embedded
from perdure.store.keyspace import Keyspace
from services.admin.api import build_api
from services.admin.context import AdminContext
from services.admin.owner_client import OwnerClient

PARTITIONS = 4
ALL = list(range(PARTITIONS))
KEYS = Keyspace("test")
SUBJECTS = Subjects("test")


class _Subscription:
    def __init__(self, listeners: list[Receiver], receiver: Receiver) -> None:
        self._listeners, self._receiver = listeners, receiver

    async def unsubscribe(self) -> None:
        self._listeners.remove(self._receiver)


class MemoryBus:
    """Delivers at once to whoever listens on exactly that subject."""

    def __init__(self) -> None:
        self.published: list[tuple[str, bytes]] = []
        self._listeners: dict[str, list[Receiver]] = {}
        self._callbacks: list[Callable[[str], None]] = []
        self.is_connected = True

    def publish(self, subject: str, payload: bytes, *, reply: str = "") -> None:
        self.published.append((subject, payload))
        listeners = self._listeners.get(subject, [])
        for receiver in list(listeners):
            receiver(payload, reply)
        if reply and not listeners:
            for callback in self._callbacks:
                callback(subject)

    async def subscribe(self, subject: str, receiver: Receiver) -> _Subscription:
        listeners = self._listeners.setdefault(subject, [])
        listeners.append(receiver)
        return _Subscription(listeners, receiver)

    async def request(self, subject: str, payload: bytes, *, timeout_s: float) -> bytes:
        raise NoResponders

    async def gather(self, subject: str, payload: bytes, *, timeout_s: float, replies_max: int) -> list[bytes]:
        self.publish(subject, payload, reply="_INBOX.gather")
        return []

    def on_no_responders(self, callback: Callable[[str], None]) -> None:
        self._callbacks.append(callback)

    async def close(self) -> None:
        self.is_connected = False


class SteppingClock:
    """One second later at each look, so that nothing happens at the same time."""

    def __init__(self) -> None:
        self._now_ms = 1_772_357_400_125

    def now_ms(self) -> int:
        self._now_ms += 1_000
        return self._now_ms


class Endpoints:
    """What discovery finds, by URL; other addresses are not reachable."""

    def __init__(self) -> None:
        self.found: dict[str, Discovered] = {}
        self.asked: list[tuple[str, dict[str, str], bool]] = []
        self.roles: list[str | None] = []
        self.tokens: list[GoogleIdToken | None] = []

    def serve(
        self, url: str, *services: Service, mode: ProtocolMode = ProtocolMode.BIDI_STREAM, lambda_compression: str | None = None
    ) -> None:
        self.found[url] = Discovered(mode, "HTTP/2.0", 5, 7, list(services), "made-up/1.0", lambda_compression)

    async def discover(
        self,
        url: str,
        *,
        additional_headers: Mapping[str, str],
        use_http_11: bool,
        assume_role_arn: str | None = None,
        google_id_token: GoogleIdToken | None = None,
    ) -> Discovered:
        self.asked.append((url, dict(additional_headers), use_http_11))
        self.roles.append(assume_role_arn)
        self.tokens.append(google_id_token)
        await asyncio.sleep(0)
        if url not in self.found:
            raise DeploymentUnreachable(f"error when calling '{url}': refused")
        return self.found[url]


class Admin:
    """One admin process: its HTTP client and what it stands on."""

    def __init__(self, http: httpx.AsyncClient, context: AdminContext, bus: MemoryBus, endpoints: Endpoints) -> None:
        self.rows: list[dict[str, Any]] = []
        """What every statement returns."""
        self.http = http
        self.context = context
        self.bus = bus
        self.endpoints = endpoints
        self.failures: dict[str, str] = {}
        """Subscriptions that the invokers say they cannot read."""

    async def register(self, uri: str, *, prefix: str = "", **fields: Any) -> httpx.Response:
        return await self.http.post(f"{prefix}/deployments", json={"uri": uri, **fields})


@contextlib.asynccontextmanager
async def an_admin(
    directory: Path, *, bus: MemoryBus | None = None, endpoints: Endpoints | None = None, auth_token: str = ""
) -> AsyncIterator[Admin]:
    """Start an admin on the store in `directory`."""
    bus, endpoints = bus or MemoryBus(), endpoints or Endpoints()
    store = open_embedded(str(directory / "perdure.db"))
    cache = SchemaCache()
    owners = OwnerClient(bus, SUBJECTS, "admin-1", PARTITIONS)
    await cache.start(store, bus, SUBJECTS, KEYS)
    await owners.start()

    async def rows(sql: str, parameters: Sequence[object]) -> list[dict[str, Any]]:
        return admin.rows

    context = AdminContext(
        store=store,
        keyspace=KEYS,
        bus=bus,
        subjects=SUBJECTS,
        cache=cache,
        discover=endpoints.discover,
        clock=SteppingClock(),
        random=SystemRandom(),
        owners=owners,
        partitions=PARTITIONS,
        ingress_url=lambda: "http://ingress:8080/",
        clusters=StaticClusters({"static": {"metadata.broker.list": "kafka:9092", "sasl.password": "x"}}, {"js": {"url": "nats://js"}}),
        subscription_failures=lambda: admin.failures,
        rows=rows,
    )
    try:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(build_api(context, auth_token=auth_token)), base_url="http://admin"
        ) as http:
            admin = Admin(http, context, bus, endpoints)
            yield admin
    finally:
        await owners.stop()
        await cache.stop()
        await store.close()


def with_admin(directory: Path, test: Callable[[Admin], Coroutine[Any, Any, None]]) -> None:
    """Run `test` with an admin of its own."""

    async def run() -> None:
        async with an_admin(directory) as admin:
            await test(admin)

    asyncio.run(run())


class Owner:
    """An invoker that answers each action as it is told to."""

    def __init__(self, bus: MemoryBus, invoker_id: str, answer: Callable[[Any], Operated | NotOwner | Overloaded | None]) -> None:
        self.taken: list[Any] = []
        self._bus = bus
        self._answer = answer
        self._id = invoker_id

    async def start(self, *, epoch: int = 1) -> "Owner":
        await self._bus.subscribe(SUBJECTS.owner(self._id), self._on_request)
        announce(self._bus, self._id, epoch)
        return self

    def _on_request(self, payload: bytes, reply: str) -> None:
        message = msgspec.msgpack.decode(payload, type=OwnerRequests)
        for request in message.requests:
            self.taken.append(request)
            answer = self._answer(request)
            if answer is not None:
                self._bus.publish(message.reply_subject, encode(OwnerReplies(VERSION, [answer])))


def announce(bus: MemoryBus, invoker_id: str, epoch: int) -> None:
    bus.publish(SUBJECTS.announcements, encode(Announcement(VERSION, invoker_id, ALL, dict.fromkeys(ALL, epoch))))
