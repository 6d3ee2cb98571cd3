"""A JetStream stream as a source, over nats-py: one partition whose offsets are the sequences of the stream.

A consumer at the server is made anew whenever reading begins, from the position of our own store on, and those of earlier readers are
dropped. What the server remembers of it serves its statistics, and the retention of streams that keep what is not acknowledged.
Source: the JetStream wire API of NATS.
"""

import asyncio
import contextlib
import json
import ssl
from collections import deque
from collections.abc import Awaitable, Mapping
from typing import Any, Final, TypeVar

import nats
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, RetentionPolicy, StreamInfo
from nats.js.client import JetStreamContext
from nats.js.errors import APIError, NotFoundError, ServiceUnavailableError

from perdure.base.limits import MIB
from perdure.model.subscription import Subscription
from perdure.registry.subscriptions import DELIVER_POLICY, KEY_HEADER, STREAM_OPTIONS, SUBJECT_FILTER
from services.invoker.subscriptions.mapping import jetstream_attributes
from services.invoker.subscriptions.source import Record, SourceFailed

T = TypeVar("T")

RECORDS_MAX: Final = 500
"""Messages of one request, and so those that are on their way."""
REQUEST_BYTES_MAX: Final = 64 * MIB
"""The largest message that a NATS server can be configured to take must fit."""
TAKE_S_MAX: Final = 0.5
REQUEST_S: Final = 5.0
"""How long the server waits for messages before it says that there are none."""
SILENCE_S_MAX: Final = 10.0
CONNECT_S_MAX: Final = 5.0
UNUSED_S_MAX: Final = 86_400.0
"""A consumer that nobody reads for so long is dropped by the server: nobody else does when a subscription is deleted."""
ACK_WAIT_S: Final = 60.0
"""Acknowledgements wait for the commit, and that for room in mailboxes; what comes again meanwhile is left aside."""

_PROPERTIES: Final = frozenset({"url", "user", "password", "credentials_file", "tls_ca_file", "tls_cert_file", "tls_key_file"})
_PARTITION: Final = 0
_ENDED: Final = frozenset({"404", "408"})
"""The server has no (more) messages for a request."""

log = structlog.get_logger("perdure.subscriptions")


async def _dropped(context: JetStreamContext, stream: str, consumer: str) -> None:
    with contextlib.suppress(NotFoundError):  # another reader was faster
        await context.delete_consumer(stream, consumer)


class JetStreamSource:
    """Implement `Source`."""

    def __init__(self, subscription: Subscription, properties: Mapping[str, str]) -> None:
        unknown = sorted((properties.keys() - _PROPERTIES) | (subscription.options.keys() - set(STREAM_OPTIONS)))
        if unknown:
            raise SourceFailed(f"unknown option {unknown[0]}; there are {', '.join(STREAM_OPTIONS)}")
        if not properties.get("url"):
            raise SourceFailed(f"the NATS cluster '{subscription.cluster}' has no url")
        self._subscription = subscription
        self._stream = subscription.topic
        self._options = subscription.options
        self._properties = properties
        self._client: Client | None = None
        self._arrived: asyncio.Queue[Msg | SourceFailed] = asyncio.Queue()
        self._listening: NatsSubscription | None = None
        self._inbox = ""
        self._consumer = ""
        self._requested = 0
        self._heard_at_s = 0.0
        self._last_delivery = 0
        self._last_sequence = 0
        self._unconfirmed: deque[tuple[int, Msg]] = deque()

    async def partitions(self) -> list[int]:
        return [_PARTITION]

    async def first_offset(self, partition: int) -> int:
        state = (await self._info()).state
        policy = self._options.get(DELIVER_POLICY, "all")
        if policy == "new":
            return state.last_seq + 1
        if policy == "all":
            return max(state.first_seq, 1)
        raise SourceFailed(f"{DELIVER_POLICY} is {policy}; it can be all or new")

    async def read_from(self, begin: Mapping[int, int]) -> None:
        await self._let_go()
        if _PARTITION in begin:
            offset = begin[_PARTITION]
            await self._begin(self._checked(offset, await self._info()), offset)

    async def take(self) -> list[Record]:
        if not self._requested:
            await self._request()
        loop = asyncio.get_running_loop()
        records: list[Record] = []
        try:
            async with asyncio.timeout(TAKE_S_MAX):
                self._sort(await self._arrived.get(), records)
        except TimeoutError:
            if loop.time() - self._heard_at_s > SILENCE_S_MAX:
                raise SourceFailed(f"the NATS cluster '{self._subscription.cluster}' fell silent") from None
        while not self._arrived.empty():
            self._sort(self._arrived.get_nowait(), records)
        return records

    async def confirm(self, next_offsets: Mapping[int, int]) -> None:
        while self._unconfirmed and self._unconfirmed[0][0] < next_offsets[_PARTITION]:
            await self._ask(self._unconfirmed.popleft()[1].ack())

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    # The consumer at the server.

    def _checked(self, offset: int, info: StreamInfo) -> StreamInfo:
        first, last = info.state.first_seq, info.state.last_seq
        if offset > last + 1:
            raise SourceFailed(
                f"stream {self._stream} ends at {last}, before {offset}, up to which it was read: if it was made anew, delete the "
                "subscription and create it again"
            )
        if offset < first and info.config.retention == RetentionPolicy.LIMITS:
            log.warning("records_removed_unread", subscription=self._subscription.id, records=first - offset)
        return info

    async def _begin(self, info: StreamInfo, offset: int) -> None:
        client, stream = await self._connected(), await self._context()
        self._inbox = client.new_inbox()
        self._consumer = f"{self._subscription.id}-{self._inbox.rpartition('.')[2]}"
        is_queue = info.config.retention == RetentionPolicy.WORK_QUEUE
        config = ConsumerConfig(
            durable_name=self._consumer,
            deliver_policy=DeliverPolicy.ALL if is_queue else DeliverPolicy.BY_START_SEQUENCE,  # a queue is read from its front
            opt_start_seq=None if is_queue else offset,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ACK_WAIT_S,
            inactive_threshold=UNUSED_S_MAX,
            max_ack_pending=2 * RECORDS_MAX,
            filter_subject=self._options.get(SUBJECT_FILTER),
        )
        await self._ask(stream.add_consumer(self._stream, config))  # pyright: ignore[reportUnknownMemberType]  # untyped **params
        self._last_delivery, self._last_sequence = 0, offset - 1
        listening = client.subscribe(self._inbox, cb=self._receive)  # pyright: ignore[reportUnknownMemberType]  # a bare Future
        self._listening = await self._ask(listening)

    async def _let_go(self) -> None:
        """Drop all consumers of the subscription: another reader, if there is one, finds its own gone, and looks whose turn it is."""
        if self._listening is not None:
            await self._ask(self._listening.unsubscribe())
            self._listening = None
        self._arrived = asyncio.Queue()
        self._requested = 0
        self._unconfirmed.clear()
        stream = await self._context()
        for consumer in await self._ask(stream.consumers_info(self._stream)):
            if consumer.name.startswith(f"{self._subscription.id}-"):
                await self._ask(_dropped(stream, self._stream, consumer.name))

    async def _request(self) -> None:
        client = await self._connected()
        wanted = {"batch": RECORDS_MAX, "max_bytes": REQUEST_BYTES_MAX, "expires": int(REQUEST_S * 1e9)}
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._consumer}"
        self._requested = RECORDS_MAX
        self._heard_at_s = asyncio.get_running_loop().time()
        await self._ask(client.publish(subject, json.dumps(wanted).encode(), self._inbox))

    async def _receive(self, message: Msg) -> None:
        self._heard_at_s = asyncio.get_running_loop().time()
        status = (message.headers or {}).get("Status") if not message.reply else None
        if status is None:
            self._requested -= 1
            self._arrived.put_nowait(message)
            return
        self._requested = 0
        description = (message.headers or {}).get("Description", "")
        if status not in _ENDED and "message size" not in description.lower() and "batch completed" not in description.lower():
            self._arrived.put_nowait(SourceFailed(f"stream {self._stream}: {description or status}"))

    def _sort(self, arrived: Msg | SourceFailed, records: list[Record]) -> None:
        """Take a message that follows those before; one that was lost on the way shows as a gap in the numbers of deliveries."""
        if isinstance(arrived, SourceFailed):
            raise arrived
        metadata = arrived.metadata
        sequence = metadata.sequence.stream
        if metadata.sequence.consumer != self._last_delivery + 1:
            raise SourceFailed(f"stream {self._stream}: a message was lost on its way")
        self._last_delivery = metadata.sequence.consumer
        self._unconfirmed.append((sequence, arrived))
        if sequence <= self._last_sequence:
            return
        self._last_sequence = sequence
        attributes = jetstream_attributes(
            self._subscription.id, self._stream, arrived.subject, sequence, int(metadata.timestamp.timestamp() * 1_000)
        )
        records.append(Record(_PARTITION, sequence, self._key_of(arrived), arrived.data, attributes))

    def _key_of(self, message: Msg) -> bytes | None:
        """Return the header that an option names, else the last token of the subject."""
        name = self._options.get(KEY_HEADER)
        if name is None:
            return message.subject.rpartition(".")[2].encode()
        value = (message.headers or {}).get(name)
        return None if value is None else value.encode()

    # The connection.

    async def _connected(self) -> Client:
        """Return the connection, made when it is first needed. It is not mended: whoever loses it begins anew."""
        if self._client is None:
            self._client = await self._ask(
                nats.connect(  # pyright: ignore[reportUnknownMemberType]  # untyped **options
                    servers=self._properties["url"].split(","),
                    user=self._properties.get("user") or None,
                    password=self._properties.get("password") or None,
                    user_credentials=self._properties.get("credentials_file") or None,
                    tls=self._tls(),
                    connect_timeout=int(CONNECT_S_MAX),
                    allow_reconnect=False,
                    error_cb=self._note_error,
                    closed_cb=self._note_closed,
                )
            )
        return self._client

    def _tls(self) -> ssl.SSLContext | None:
        ca_file, cert_file = self._properties.get("tls_ca_file"), self._properties.get("tls_cert_file")
        if not (ca_file or cert_file):
            return None
        try:
            context = ssl.create_default_context(cafile=ca_file or None)
            if cert_file:
                context.load_cert_chain(cert_file, self._properties.get("tls_key_file") or None)
        except OSError as error:
            raise SourceFailed(f"the certificates for the NATS cluster '{self._subscription.cluster}' cannot be used: {error}") from None
        return context

    async def _context(self) -> JetStreamContext:
        return (await self._connected()).jetstream()  # pyright: ignore[reportUnknownMemberType]  # untyped **opts

    async def _info(self) -> StreamInfo:
        return await self._ask((await self._context()).stream_info(self._stream))

    async def _ask(self, asking: Awaitable[T]) -> T:
        try:
            return await asking
        except (NatsError, OSError, TimeoutError) as error:
            raise self._failure(error) from None

    def _failure(self, error: Exception) -> SourceFailed:
        return SourceFailed(f"stream {self._stream} of the NATS cluster '{self._subscription.cluster}': {_reason_of(error)}")

    async def _note_error(self, error: Exception) -> None:
        log.debug("source_error", subscription=self._subscription.id, reason=str(error))

    async def _note_closed(self, *_: Any) -> None:
        self._arrived.put_nowait(SourceFailed(f"the connection to the NATS cluster '{self._subscription.cluster}' was lost"))


def _reason_of(error: Exception) -> str:
    if isinstance(error, NotFoundError):
        return "it was not found"
    description: str | None = error.description if isinstance(error, APIError) else None
    if isinstance(error, ServiceUnavailableError) and not description:
        return "nobody there answers for JetStream: start the server with it"
    return description or str(error) or type(error).__name__
