"""Carries out the effects of a commit: one bus message per process that is answered, and what goes to attempts."""

import asyncio

import msgspec

from perdure.base.clock import Clock, Random
from perdure.base.ids import ulid
from perdure.base.limits import BUS_BODY_BYTES_MAX
from perdure.bus.interface import Bus
from perdure.bus.messages import VERSION, Completed, Doorbell, OwnerReplies, OwnerReply, encode
from perdure.bus.subjects import Subjects
from perdure.model.result import Failure, Success
from perdure.store.blobs import put_blob
from services.invoker.attempts import Attempts
from services.invoker.machine.step import (
    AckCommand,
    ContinueOperation,
    Effect,
    FailAttempt,
    Forward,
    Reply,
    RetryAttempt,
    StartAttempt,
    StopAttempt,
    SuspendAttempt,
)
from services.invoker.mailbox import Mailboxes
from services.invoker.operations import Operations
from services.invoker.owner import Owner

MESSAGE_BYTES_MAX = 900_000
"""Replies are spread over messages of about this size; NATS takes 1 MiB by default."""
FAILURE_CHARACTERS_MAX = 50_000
_REPLY_OVERHEAD_BYTES = 64


class BusOutlet:
    """Lets out what has committed, in the order in which it was caused."""

    def __init__(
        self, *, owner: Owner, attempts: Attempts, mailboxes: Mailboxes, bus: Bus, subjects: Subjects, clock: Clock, random: Random
    ) -> None:
        self._owner = owner
        self._attempts = attempts
        self._mailboxes = mailboxes
        self._operations = Operations(owner)
        self._bus = bus
        self._subjects = subjects
        self._clock = clock
        self._random = random
        self._tasks: set[asyncio.Task[None]] = set()

    def release(self, effects: list[Effect]) -> None:
        replies: dict[str, list[OwnerReply]] = {}
        attempts = self._attempts
        for effect in effects:
            if isinstance(effect, Reply):
                replies.setdefault(effect.reply_subject, []).append(effect.reply)
            elif isinstance(effect, Forward):
                attempt = attempts.open_attempt(effect.invocation_id, effect.attempt)
                if attempt is not None:
                    attempt.forward(effect.index, effect.notification, as_ack=effect.as_ack)
            elif isinstance(effect, StartAttempt):
                attempts.start(effect)
            else:
                self._release_other(effect)
        for subject, gathered in replies.items():
            self.reply(subject, gathered)

    def ring(self, partitions: set[int]) -> None:
        self._mailboxes.ring(partitions)
        foreign = sorted(partitions - self._owner.partitions.keys())
        if foreign:
            self._bus.publish(self._subjects.doorbell, encode(Doorbell(VERSION, foreign)))

    def stop_attempts(self, partition: int) -> None:
        self._attempts.stop_all(partition)

    def reply(self, subject: str, replies: list[OwnerReply]) -> None:
        """Send replies to one process; values too large for the bus travel through the store."""
        page: list[OwnerReply] = []
        size = 0
        for whole in replies:
            reply = _with_short_failure(whole)
            size_bytes = _size_bytes(reply)
            if size_bytes > BUS_BODY_BYTES_MAX:
                task = asyncio.ensure_future(self._reply_by_blob(subject, reply))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
                continue
            if size + size_bytes > MESSAGE_BYTES_MAX:
                self._publish(subject, page)
                page, size = [], 0
            page.append(reply)
            size += size_bytes
        if page:
            self._publish(subject, page)

    def _publish(self, subject: str, replies: list[OwnerReply]) -> None:
        self._bus.publish(subject, encode(OwnerReplies(VERSION, replies)))

    async def _reply_by_blob(self, subject: str, reply: OwnerReply) -> None:
        assert isinstance(reply, Completed)
        assert isinstance(reply.result, Success)
        blob_id = ulid(self._clock.now_ms(), self._random.bytes(10))
        await put_blob(self._owner.store, self._owner.keyspace, blob_id, reply.result.value)
        self._publish(subject, [msgspec.structs.replace(reply, result=Success(b""), result_blob_id=blob_id)])

    def _release_other(self, effect: Effect) -> None:
        attempts = self._attempts
        if isinstance(effect, RetryAttempt):
            attempts.retry_later(effect)
        elif isinstance(effect, FailAttempt):
            attempts.break_off(effect)
        elif isinstance(effect, StopAttempt):
            attempts.stop(effect.invocation_id, effect.attempt)
        elif isinstance(effect, AckCommand):
            attempt = attempts.open_attempt(effect.invocation_id, effect.attempt)
            if attempt is not None:
                attempt.acknowledge(effect.command_index)
        elif isinstance(effect, ContinueOperation):
            self._operations.go_on(effect)
        elif isinstance(effect, SuspendAttempt):
            attempt = attempts.open_attempt(effect.invocation_id, effect.attempt)
            if attempt is not None:
                attempt.suspend()


def _with_short_failure(reply: OwnerReply) -> OwnerReply:
    """Cut the message of a failure to what a bus message and a reader can take; the journal keeps all of it."""
    if not isinstance(reply, Completed) or not isinstance(reply.result, Failure) or _told(reply.result) <= FAILURE_CHARACTERS_MAX:
        return reply
    failure = reply.result
    short = Failure(failure.code, f"{failure.message[:FAILURE_CHARACTERS_MAX]}… (cut)")
    return msgspec.structs.replace(reply, result=short)


def _told(failure: Failure) -> int:
    return len(failure.message) + sum(len(name) + len(value) for name, value in failure.metadata)


def _size_bytes(reply: OwnerReply) -> int:
    if not isinstance(reply, Completed):
        return _REPLY_OVERHEAD_BYTES
    result = reply.result
    return _REPLY_OVERHEAD_BYTES + (len(result.value) if isinstance(result, Success) else 4 * _told(result))
