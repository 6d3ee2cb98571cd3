"""Takes what other processes ask of our partitions, and answers what only this process knows."""

import asyncio
from collections.abc import Coroutine

import msgspec
import structlog

from perdure.base.clock import Clock, Random
from perdure.base.ids import ulid
from perdure.bus.interface import Bus
from perdure.bus.messages import (
    VERSION,
    Accepted,
    Invoke,
    LiveInvocation,
    LiveInvocations,
    MutateState,
    NotOwner,
    Operate,
    OperateMany,
    Overloaded,
    OwnerReplies,
    OwnerReply,
    OwnerRequest,
    OwnerRequests,
    SendSignalTo,
    decoder_of,
    encode,
)
from perdure.bus.subjects import Subjects
from perdure.model.invocation import Status
from perdure.model.result import Success
from perdure.model.state import StateMutation
from perdure.query.texts import attempt_failure_text
from perdure.store.blobs import get_blob
from services.invoker.machine.events import RequestReceived
from services.invoker.machine.view import Live
from services.invoker.owner import Owner

log = structlog.get_logger("perdure.invoker")
_decode_mutation = msgspec.msgpack.Decoder(StateMutation).decode
_LIVE_MAX = 2_000
"""Live invocations in one answer; a bus message holds no more."""


class Requests:
    """The invoker's side of the bus."""

    def __init__(self, *, owner: Owner, bus: Bus, subjects: Subjects, clock: Clock, random: Random, invocations_max: int) -> None:
        self._owner = owner
        self._bus = bus
        self._subjects = subjects
        self._clock = clock
        self._random = random
        self._invocations_max = invocations_max
        self._decoder = decoder_of(OwnerRequests)
        self._room = 0
        """New invocations that the batch at hand may bring."""
        self._tasks: set[asyncio.Task[None]] = set()
        self.received = 0

    async def subscribe(self) -> None:
        """Begin to take requests."""
        await self._bus.subscribe(self._subjects.owner(self._owner.invoker_id), self._receive)
        await self._bus.subscribe(self._subjects.live, self._tell_live)

    def _receive(self, payload: bytes, reply_subject: str) -> None:
        if not payload:
            self._bus.publish(reply_subject, b"")  # somebody asks whether we live
            return
        try:
            batch = self._decoder.decode(payload)
        except msgspec.DecodeError as error:
            log.warning("requests_unreadable", reason=str(error))
            return
        self.received += len(batch.requests)
        held = sum(len(owned.view.lives) for owned in self._owner.partitions.values())
        self._room = self._invocations_max - held
        requests = batch.requests if batch.generation == self._owner.adoptions else [_looked_up(request) for request in batch.requests]
        refused = [reply for request in requests if (reply := self._take(batch.reply_subject, request)) is not None]
        if refused:
            self._bus.publish(batch.reply_subject, encode(OwnerReplies(VERSION, refused)))

    def _take(self, reply_subject: str, request: OwnerRequest) -> OwnerReply | None:
        is_for_partition = isinstance(request, (OperateMany, MutateState))
        partition = request.partition if is_for_partition else self._owner.partition_of(request.invocation_id)
        owned = self._owner.partitions.get(partition)
        if owned is None or owned.is_closing:
            return NotOwner(request.request_id)
        if isinstance(request, Invoke):
            self._room -= 1
            if self._room < 0:
                return Overloaded(request.request_id)
        blob_id = _blob_of(request)
        if blob_id is not None:
            self._spawn(self._fetch_and_feed(partition, reply_subject, _looked_up(request), blob_id))
            return None
        new_uuid = ulid(self._clock.now_ms(), self._random.bytes(10)) if isinstance(request, (Operate, OperateMany)) else b""
        self._owner.feed(partition, RequestReceived(reply_subject, request, new_uuid))
        return None

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _fetch_and_feed(self, partition: int, reply_subject: str, request: OwnerRequest, blob_id: bytes) -> None:
        """Feed a request whose body is in the store; the step that applies it removes it there."""
        keyspace = self._owner.keyspace
        body = await get_blob(self._owner.store, keyspace, blob_id)
        if body is not None:
            event = RequestReceived(reply_subject, _with_body(request, body), blob_prefix=keyspace.blob_of(blob_id))
        elif not isinstance(request, Invoke):  # an earlier delivery had it
            self._answer(reply_subject, Accepted(request.request_id))
            return
        elif self._owner.live(request.invocation_id) is None:
            return  # not there yet, or an earlier delivery had it and has ended: the ingress asks again
        else:
            event = RequestReceived(reply_subject, _with_body(request, b""))
        if not self._owner.feed(partition, event):
            self._answer(reply_subject, NotOwner(request.request_id))

    def _answer(self, reply_subject: str, reply: OwnerReply) -> None:
        self._bus.publish(reply_subject, encode(OwnerReplies(VERSION, [reply])))

    def _tell_live(self, _payload: bytes, reply_subject: str) -> None:
        lives = [live for owned in self._owner.partitions.values() for live in owned.view.lives.values()]
        told = [_tell(live) for live in lives if live.record.status is Status.INVOKED and not live.has_ended][:_LIVE_MAX]
        self._bus.publish(reply_subject, encode(LiveInvocations(VERSION, self._owner.invoker_id, told)))


def _looked_up(request: OwnerRequest) -> OwnerRequest:
    """Return a request that may have come late, after a copy of it: as one that must be looked for before it is admitted."""
    return request.as_repeat() if isinstance(request, Invoke) else request


def _blob_of(request: OwnerRequest) -> bytes | None:
    """Return the id of the blob that holds the request's body, if it does not travel with it."""
    if isinstance(request, Invoke):
        return request.body_blob_id
    if isinstance(request, SendSignalTo):
        return request.result_blob_id
    return request.mutation_blob_id if isinstance(request, MutateState) else None


def _with_body(request: OwnerRequest, body: bytes) -> OwnerRequest:
    """Return the request as if its body had come with it."""
    if isinstance(request, Invoke):
        return msgspec.structs.replace(request, body=body, body_blob_id=None)
    if isinstance(request, SendSignalTo):
        return msgspec.structs.replace(request, result=Success(body), result_blob_id=None)
    assert isinstance(request, MutateState)
    return msgspec.structs.replace(request, mutation=_decode_mutation(body), mutation_blob_id=None)


def _tell(live: Live) -> LiveInvocation:
    failure = live.last_failure
    status = "running" if live.is_open else "backing-off" if live.next_retry_at_ms is not None else "ready"
    return LiveInvocation(
        invocation_id=live.id,
        status=status,
        retry_count=live.failed_attempts + (1 if live.is_open else 0),
        last_start_at_ms=live.last_start_at_ms,
        next_retry_at_ms=live.next_retry_at_ms,
        last_failure=None if failure is None else attempt_failure_text(failure),
        last_failure_code=None if failure is None else failure.doc_code,
        last_attempt_deployment_id=live.last_deployment_id,
        last_attempt_server=live.last_server,
        related_command_index=None if failure is None else failure.related_command_index,
        related_command_name=None if failure is None else failure.related_command_name,
        related_command_type=None if failure is None else failure.related_command_type,
        awaiting_on=live.awaiting_on,
    )
