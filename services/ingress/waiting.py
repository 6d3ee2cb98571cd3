"""Requests that wait for a partition's owner: sent in batches, and sent again until something answers.

Everything of one loop turn for one owner leaves in one message. A request stays here until its final reply, whatever happens to
owners and messages meanwhile:

- the owner is unknown: it is sent when an announcement or heartbeat names one;
- the owner refuses (`NotOwner`): sent again after a pause that grows, or at once when a new owner announces itself;
- nobody listens: the owner is forgotten, so the request waits for the next one;
- ownership moved, NATS was away, or nothing came for seconds (NATS may lose messages): sent again, since all requests may be repeated.

What may be repeated and how: a caller that waits for a result attaches to its invocation, and invokes again only where the owner knows
none (a second `run` of a workflow would be refused); everything else is repeated as it was, no longer as fresh.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec

from perdure.base.clock import until_beat_s
from perdure.base.ids import partition_of
from perdure.bus import messages
from perdure.bus.interface import Bus, Subscription
from perdure.bus.owners import Owners
from perdure.bus.subjects import Subjects

MESSAGE_BYTES_MAX: Final = 900_000
"""A batch is cut beyond this; NATS takes 1 MiB by default."""

REQUEST_BYTES: Final = 256
"""What a request weighs beside its body and headers."""

RETRY_DELAY_S_MIN: Final = 0.05
RETRY_DELAY_S_MAX: Final = 1.0
REPEAT_S: Final = 5
"""Repeat requests whose reply should have come at once."""

REPEAT_WAIT_S: Final = 10
"""Repeat requests that may wait for long."""

_TICK_S: Final = 1.0

Request = messages.Invoke | messages.Attach | messages.GetOutput | messages.SendSignalTo
"""What the ingress asks of owners; operators' requests come from elsewhere."""

_requests_encoder: Final = msgspec.msgpack.Encoder()


class Waiter:
    """A request without its final reply."""

    __slots__ = ("future", "is_sent", "owner", "partition", "refusals", "request", "sends")

    def __init__(self, request: Request, partition: int, future: "asyncio.Future[messages.OwnerReply]") -> None:
        self.request = request
        self.partition = partition
        self.future = future
        self.owner: str | None = None
        self.is_sent = False
        """An owner may have it, so a repeat must allow for that."""
        self.sends = 0
        self.refusals = 0


class Waiting:
    """All waiting requests of this process."""

    def __init__(
        self,
        *,
        bus: Bus,
        subjects: Subjects,
        process_id: str,
        partitions: int,
        on_orphan_blob: Callable[[bytes], None],
    ) -> None:
        self._bus = bus
        self._subjects = subjects
        self._reply_subject = subjects.replies("ingress", process_id)
        self._partitions = partitions
        self._on_orphan_blob = on_orphan_blob
        self._loop = asyncio.get_running_loop()
        self._owners = Owners(partitions)
        self._waiters: dict[int, Waiter] = {}
        self._outbox: dict[str, list[Request]] = {}
        self._owner_by_subject: dict[str, str] = {}
        self._was_cut = False
        """Since the last tick the bus was seen disconnected: messages in both directions are lost."""
        self._last_request_id = 0
        self._tick_number = 0
        self._due: dict[int, list[int]] = {}
        self._tick_timer: asyncio.TimerHandle | None = None
        self._subscriptions: list[Subscription] = []
        self._replies = messages.decoder_of(messages.OwnerReplies)
        self._announcements = messages.decoder_of(messages.Announcement)
        self._heartbeats = messages.decoder_of(messages.Heartbeat)

    def __len__(self) -> int:
        return len(self._waiters)

    @property
    def parked(self) -> int:
        """How many wait because their partition has no known owner."""
        return sum(1 for waiter in self._waiters.values() if waiter.owner is None)

    async def start(self) -> None:
        """Listen to owners."""
        self._bus.on_no_responders(self._nobody_listens)
        self._subscriptions = [
            await self._bus.subscribe(self._reply_subject, self._receive_replies),
            await self._bus.subscribe(self._subjects.announcements, self._receive_announcement),
            await self._bus.subscribe(self._subjects.heartbeats, self._receive_heartbeat),
        ]
        self._tick_timer = self._loop.call_later(until_beat_s(self._loop.time(), _TICK_S), self._tick)

    async def stop(self) -> None:
        """Stop listening; whoever still waits is left to its caller."""
        if self._tick_timer is not None:
            self._tick_timer.cancel()
        for subscription in self._subscriptions:
            await subscription.unsubscribe()

    def next_request_id(self) -> int:
        """Return the id to put into the next request."""
        self._last_request_id += 1
        return self._last_request_id

    def ask(self, request: Request) -> "asyncio.Future[messages.OwnerReply]":
        """Send a request to its partition's owner; the future brings the final reply.

        Give up by `forget`.
        """
        future: asyncio.Future[messages.OwnerReply] = self._loop.create_future()
        waiter = Waiter(request, partition_of(request.invocation_id, self._partitions), future)
        self._waiters[request.request_id] = waiter
        due = self._tick_number + (REPEAT_WAIT_S if waits_long(request) else REPEAT_S)
        ids = self._due.get(due)
        if ids is None:
            self._due[due] = [request.request_id]
        else:
            ids.append(request.request_id)
        self._send(waiter, request)
        return future

    def future_of(self, request_id: int) -> "asyncio.Future[messages.OwnerReply] | None":
        """Return the future of a request that still waits."""
        waiter = self._waiters.get(request_id)
        return None if waiter is None else waiter.future

    def forget(self, request_id: int) -> None:
        """Drop a request whose caller went away; what it started goes on."""
        self._waiters.pop(request_id, None)

    def _send(self, waiter: Waiter, request: Request) -> None:
        owner = self._owners.owner_of(waiter.partition)
        waiter.owner = owner
        if owner is None:
            return
        waiter.is_sent = True
        waiter.sends += 1
        if not self._bus.is_connected:
            self._was_cut = True
        outbox = self._outbox
        if not outbox:
            self._loop.call_soon(self._flush)
        requests = outbox.get(owner)
        if requests is None:
            outbox[owner] = [request]
        else:
            requests.append(request)

    def _repeat(self, waiter: Waiter) -> None:
        self._send(waiter, repeated(waiter.request) if waiter.is_sent else waiter.request)

    def _flush(self) -> None:
        outbox, self._outbox = self._outbox, {}
        for owner, requests in outbox.items():
            subject = self._subjects.owner(owner)
            self._owner_by_subject[subject] = owner
            generation = self._owners.generation_of(owner)
            for batch in batches(requests):
                asked = messages.OwnerRequests(messages.VERSION, self._reply_subject, list(batch), generation)
                payload = _requests_encoder.encode(asked)
                self._bus.publish(subject, payload, reply=self._reply_subject)

    def _receive_replies(self, payload: bytes, _: str) -> None:
        received = self._replies.decode(payload)
        if received.version > messages.VERSION:
            raise messages.UnknownVersion(received.version)
        waiters = self._waiters
        for reply in received.replies:
            waiter = waiters.get(reply.request_id)
            if waiter is None:
                if isinstance(reply, messages.Completed) and reply.result_blob_id is not None:
                    self._on_orphan_blob(reply.result_blob_id)
            elif isinstance(reply, messages.NotOwner):
                self._retry_later(waiter)
            elif isinstance(reply, messages.NotFound) and isinstance(waiter.request, messages.Invoke):
                self._send(waiter, waiter.request.as_repeat())
            else:
                del waiters[reply.request_id]
                if not waiter.future.done():
                    waiter.future.set_result(reply)

    def _retry_later(self, waiter: Waiter) -> None:
        delay_s = min(RETRY_DELAY_S_MIN * 2 ** min(waiter.refusals, 10), RETRY_DELAY_S_MAX)
        waiter.refusals += 1
        self._loop.call_later(delay_s, self._retry, waiter, waiter.sends)

    def _retry(self, waiter: Waiter, sends: int) -> None:
        if waiter.sends == sends and waiter.request.request_id in self._waiters:
            self._repeat(waiter)

    def _receive_announcement(self, payload: bytes, _: str) -> None:
        self._repeat_all(self._owners.announced(self._announcements.decode(payload)))

    def _receive_heartbeat(self, payload: bytes, _: str) -> None:
        message = self._heartbeats.decode(payload)
        if message.role == "invoker":
            self._repeat_all(self._owners.beat(message))

    def _repeat_all(self, partitions: list[int]) -> None:
        if partitions:
            moved = frozenset(partitions)
            for waiter in self._waiters.values():
                if waiter.partition in moved:
                    self._repeat(waiter)

    def _nobody_listens(self, subject: str) -> None:
        owner = self._owner_by_subject.pop(subject, None)
        if owner is None:
            return
        self._owners.forget(owner)
        for waiter in self._waiters.values():
            if waiter.owner == owner:
                waiter.owner = None

    def _tick(self) -> None:
        """Repeat what is due: lost messages cost their callers some seconds, not their result."""
        self._tick_timer = self._loop.call_later(until_beat_s(self._loop.time(), _TICK_S), self._tick)
        self._tick_number += 1
        if not self._bus.is_connected:
            self._was_cut = True
        elif self._was_cut:
            self._was_cut = False
            for waiter in self._waiters.values():
                self._repeat(waiter)
        for request_id in self._due.pop(self._tick_number, ()):
            waiter = self._waiters.get(request_id)
            if waiter is not None:
                period = REPEAT_WAIT_S if waits_long(waiter.request) else REPEAT_S
                self._due.setdefault(self._tick_number + period, []).append(request_id)
                self._repeat(waiter)


def waits_long(request: Request) -> bool:
    """Return whether the final reply may take as long as an invocation."""
    return isinstance(request, messages.Attach) or (isinstance(request, messages.Invoke) and request.wants_result)


def repeated(request: Request) -> Request:
    """Return what to ask an owner that may have the request already."""
    if isinstance(request, messages.Invoke):
        if request.wants_result:
            return messages.Attach(request.request_id, request.invocation_id)
        return request.as_repeat()
    return request


def batches(requests: list[Request]) -> list[list[Request]]:
    """Cut requests, in order, so that each part fits one message."""
    cut: list[list[Request]] = []
    current: list[Request] = []
    size = 0
    for request in requests:
        weight = weight_of(request)
        if current and size + weight > MESSAGE_BYTES_MAX:
            cut.append(current)
            current, size = [], 0
        current.append(request)
        size += weight
    cut.append(current)
    return cut


def weight_of(request: Request) -> int:
    """Return about how many bytes a request adds to a message, never too few by much."""
    weight = REQUEST_BYTES
    if isinstance(request, messages.Invoke):
        weight += len(request.body) + len(request.target.key or "") * 4
        for name, value in request.headers:
            weight += len(name) + len(value) + 10
    elif isinstance(request, messages.SendSignalTo) and isinstance(request.result, messages.Success):
        weight += len(request.result.value)
    return weight
