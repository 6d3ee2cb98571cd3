"""The bus over a NATS server.

**No responders.** A message that is published with a reply subject and that nobody listens to comes back as an empty message with
the status 503 on that reply subject, provided that this connection subscribes to it. Its header `Nats-Subject` names the subject that the
message was for (servers since 2.11), which is what `on_no_responders` hands on; the status message itself is delivered to nobody.
"""

import asyncio
import secrets
import ssl
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

import structlog
from nats.aio.subscription import Subscription as NatsSubscription

from perdure.base.errors import ConfigurationError, LocalProtocolError
from perdure.base.urls import without_users
from perdure.bus.interface import NoResponders, Receiver
from perdure.bus.nats.client import DirectClient
from perdure.bus.nats.credentials import read_credentials
from perdure.bus.nats.parser import Delivery, header_of, status_of

RECONNECT_WAIT_S: Final = 0.1
PING_INTERVAL_S: Final = 5
"""Two unanswered pings mean that the server is gone, though its connection stands."""

CONFIRM_S_MAX: Final = 2.0
UNREACHABLE_AFTER_S: Final = 2.0
"""How long attempts may fail before a human is told; a server that is just starting needs less."""

_NO_RESPONDERS: Final = b"503"

log = structlog.get_logger("perdure.bus")


class _Subscription:
    def __init__(self, bus: "NatsBus", inner: NatsSubscription, sid: bytes) -> None:
        self._bus = bus
        self._inner = inner
        self._sid = sid

    async def unsubscribe(self) -> None:
        await self._bus.forget(self._inner, self._sid)


class _Inbox:
    """Replies to one request or scatter-gather."""

    def __init__(self, replies_max: int) -> None:
        self.replies: list[bytes] = []
        self.is_unheard = False
        self._replies_max = replies_max
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def receive(self, delivery: Delivery) -> None:
        if self._done.done():
            return
        if delivery.headers and status_of(delivery.headers) == _NO_RESPONDERS:
            self.is_unheard = True
        else:
            self.replies.append(delivery.payload)
        if self.is_unheard or len(self.replies) == self._replies_max:
            self._done.set_result(None)

    async def wait(self) -> None:
        await self._done


class NatsBus:
    """Implement `perdure.bus.interface.Bus`. Made by `connect`; goes on by itself whenever NATS comes back."""

    def __init__(self, inbox_prefix: str) -> None:
        self._client = DirectClient(self._deliver, self._opened, self._lost)
        self._loop = asyncio.get_running_loop()
        self._write: Callable[[bytes], None] | None = None
        self._pending: list[bytes] = []
        self._is_closing = False
        self._failing_since_s: float | None = None
        self._is_open = asyncio.Event()
        self._payload_bytes_max = 0
        self._receivers: dict[bytes, Receiver] = {}
        self._inbox_prefix = f"{inbox_prefix}.{secrets.token_hex(11)}"
        self._inbox_sid = b""
        self._can_hear = False
        """Whether the server knows where replies go."""
        self._inbox_number = 0
        self._servers = ""
        """As a log may show them: without users and passwords."""
        self._inboxes: dict[bytes, _Inbox] = {}
        self._on_no_responders: list[Callable[[str], None]] = []
        self.dropped = 0
        """Messages that were published while disconnected or with too much waiting."""
        self.sent = 0
        self.sent_bytes = 0
        self.received = 0
        self.received_bytes = 0
        """Of payloads, as `sent_bytes`."""

    @property
    def is_connected(self) -> bool:
        return self._write is not None

    @property
    def payload_bytes_max(self) -> int:
        """The largest payload that the server takes."""
        return self._payload_bytes_max

    def on_no_responders(self, callback: Callable[[str], None]) -> None:
        self._on_no_responders.append(callback)

    def publish(self, subject: str, payload: bytes, *, reply: str = "") -> None:
        if self._write is None or self._client.socket.is_congested:
            self.dropped += 1
            return
        size = len(payload)
        if size > self._payload_bytes_max:
            raise LocalProtocolError(f"message of {size} bytes for {subject}, the NATS server takes {self._payload_bytes_max}")
        self.sent += 1
        self.sent_bytes += size
        pending = self._pending
        if not pending:
            self._loop.call_soon(self._flush)
        head = f"PUB {subject} {reply} {size}\r\n" if reply else f"PUB {subject} {size}\r\n"
        # 1.7 us -> 0.6 us per message, 16 to a turn, against a socket write for each.
        pending += (head.encode(), payload, b"\r\n")

    async def subscribe(self, subject: str, receiver: Receiver) -> _Subscription:
        inner, sid = await self._register(subject, receiver)
        await self._confirm()
        return _Subscription(self, inner, sid)

    async def forget(self, inner: NatsSubscription, sid: bytes) -> None:
        """End a subscription; what is on its way is dropped."""
        if self._receivers.pop(sid, None) is not None and not self._client.is_closed:
            await inner.unsubscribe()

    async def request(self, subject: str, payload: bytes, *, timeout_s: float) -> bytes:
        inbox = await self._ask(subject, payload, timeout_s=timeout_s, replies_max=1)
        if inbox.replies:
            return inbox.replies[0]
        if inbox.is_unheard:
            raise NoResponders(subject)
        raise TimeoutError(f"no reply from {subject} within {timeout_s} s")

    async def gather(self, subject: str, payload: bytes, *, timeout_s: float, replies_max: int) -> list[bytes]:
        inbox = await self._ask(subject, payload, timeout_s=timeout_s, replies_max=replies_max)
        return inbox.replies

    async def open(self, url: str, *, name: str, tls: ssl.SSLContext | None, user: str, password: str, credentials_file: str) -> None:
        """Connect; tries until it succeeds. `url` may be several, separated by commas."""
        self._servers = without_users(url)
        await self._client.connect(
            servers=url.split(","),
            name=name or None,
            error_cb=self._failed,
            tls=tls,
            user=user or None,
            password=password or None,
            user_jwt_cb=(lambda: bytearray(read_credentials(credentials_file).jwt)) if credentials_file else None,
            signature_cb=(lambda nonce: read_credentials(credentials_file).sign(nonce)) if credentials_file else None,
            max_reconnect_attempts=-1,
            reconnect_time_wait=RECONNECT_WAIT_S,  # pyright: ignore[reportArgumentType]  # only ever slept for
            ping_interval=PING_INTERVAL_S,
            skip_subject_validation=True,
        )
        await self._is_open.wait()

    async def close(self) -> None:
        """Send what is queued and disconnect for good."""
        self._is_closing = True
        self._flush()
        await self._client.close()

    def _flush(self) -> None:
        if self._write is not None and self._pending:
            self._write(b"".join(self._pending))
        self._pending.clear()

    async def _register(self, subject: str, receiver: Receiver) -> tuple[NatsSubscription, bytes]:
        """Return a new subscription and its number; the server may not know of it yet."""
        inner = await self._client.subscribe(subject)  # pyright: ignore[reportUnknownMemberType]  # a bare Future in its signature
        sid = b"%d" % inner._id  # pyright: ignore[reportPrivateUsage]  # nats-py has no public name for it
        self._receivers[sid] = receiver
        return inner, sid

    async def _confirm(self) -> None:
        """Wait until the server has handled all we sent; after a lost connection, until it knows all subscriptions again."""
        while True:
            await self._is_open.wait()
            try:
                await self._client.confirm(CONFIRM_S_MAX)
            except TimeoutError:
                continue
            if self._is_open.is_set():
                return

    async def _ask(self, subject: str, payload: bytes, *, timeout_s: float, replies_max: int) -> _Inbox:
        self._inbox_number += 1
        address = f"{self._inbox_prefix}.{self._inbox_number}"
        inbox = self._inboxes[address.encode()] = _Inbox(replies_max)
        try:
            async with asyncio.timeout(timeout_s):
                if not self._can_hear:
                    await self._open_inbox()
                self.publish(subject, payload, reply=address)
                await inbox.wait()
        except TimeoutError:
            pass  # whatever has come by then is the answer
        finally:
            del self._inboxes[address.encode()]
        return inbox

    async def _open_inbox(self) -> None:
        """Subscribe to all replies, and wait until the server knows; goes on where an earlier wait was given up."""
        if not self._inbox_sid:
            _, self._inbox_sid = await self._register(f"{self._inbox_prefix}.*", _ignore)
        await self._confirm()
        self._can_hear = True

    def _deliver(self, delivery: Delivery) -> None:
        self.received += 1
        self.received_bytes += len(delivery.payload)
        if delivery.sid == self._inbox_sid:
            inbox = self._inboxes.get(delivery.subject)
            if inbox is not None:
                inbox.receive(delivery)
            return
        receiver = self._receivers.get(delivery.sid)
        try:
            if delivery.headers and status_of(delivery.headers) == _NO_RESPONDERS:
                subject = header_of(delivery.headers, b"Nats-Subject").decode()
                for callback in self._on_no_responders:
                    callback(subject)
            elif receiver is not None:
                receiver(delivery.payload, delivery.reply.decode())
        except Exception:
            log.exception("bus_receiver_failed", subject=delivery.subject.decode())

    def _opened(self, write: Callable[[bytes], None]) -> None:
        self._payload_bytes_max = self._client.max_payload
        self._write = write
        self._failing_since_s = None
        self._is_open.set()
        log.info("bus_connected", payload_bytes_max=self._payload_bytes_max)

    def _lost(self) -> None:
        if self._write is not None:
            self._write = None
            self._pending.clear()
            self._is_open.clear()
            if not self._is_closing:
                log.warning("bus_disconnected")

    async def _failed(self, error: Exception) -> None:
        now_s = self._loop.time()
        if self._failing_since_s is None:
            self._failing_since_s = now_s
        reason = f"{type(error).__name__}: {error}"
        if now_s - self._failing_since_s < UNREACHABLE_AFTER_S:
            log.debug("bus_attempt_failed", reason=reason)
        else:
            self._failing_since_s = float("inf")  # once per outage
            log.warning("bus_unreachable", servers=self._servers, reason=reason)


def _check(url: str) -> None:
    """Refuse what nats-py would try for ever.

    Raises:
        ConfigurationError: A server's address is none of NATS.
    """
    for server in url.split(","):
        try:
            parts = urlsplit(server.strip() if "://" in server else f"nats://{server.strip()}")
            is_usable = parts.scheme in {"nats", "tls"} and bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_usable = False
        if not is_usable:
            raise ConfigurationError(f"nats_url {without_users(server)!r} is no address like nats://host:4222 or tls://host:4222")


def _ignore(payload: bytes, reply: str) -> None:
    """Take replies that come before the inbox's number is known: there cannot be any."""


async def connect(
    url: str,
    *,
    name: str = "",
    inbox_prefix: str = "_INBOX",
    tls: ssl.SSLContext | None = None,
    user: str = "",
    password: str = "",
    credentials_file: str = "",
) -> NatsBus:
    """Return a connected bus; waits until the server is there.

    Args:
        url: `nats://host:port` or `tls://host:port`, several separated by commas.
        name: How the connection is called in NATS' monitoring.
        inbox_prefix: Subject under which this connection takes replies, each process under a name that nobody guesses.
        credentials_file: Path of a `.creds` file, read with each connection, so that it can be renewed.

    Raises:
        ConfigurationError: The credentials cannot be used, or the URL.
    """
    _check(url)
    if credentials_file:
        read_credentials(credentials_file)  # nats-py would only meet a bad one with each attempt, and try for ever
    bus = NatsBus(inbox_prefix)
    try:
        await bus.open(url, name=name, tls=tls, user=user, password=password, credentials_file=credentials_file)
    except BaseException:
        await bus.close()  # who gives up may do so when the connection stands already
        raise
    return bus
