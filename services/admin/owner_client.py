"""Carries operators' actions to the owner of an invocation's partition and waits for how they went.

Announcements and heartbeats say who owns what; an owner that is not (any more) says so, and the action goes to the next one.
An action that nobody refused and nobody answered is not sent again: restarting twice would make two invocations.
"""

import asyncio
from typing import Final, TypeVar

import msgspec
import structlog

from perdure.base.ids import InvocationId, partition_of
from perdure.bus.interface import Bus, Subscription
from perdure.bus.messages import (
    VERSION,
    Accepted,
    Announcement,
    Heartbeat,
    InvocationFilter,
    MutateState,
    NotOwner,
    Operate,
    Operated,
    OperateMany,
    Overloaded,
    OwnerReplies,
    OwnerRequests,
    decoder_of,
    encode,
)
from perdure.bus.owners import Owners
from perdure.bus.subjects import Subjects
from services.admin.errors import RoutingFailed

M = TypeVar("M", Announcement, Heartbeat, OwnerReplies)

ANSWER_TIMEOUT_S: Final = 10.0
"""How long an action may take, a takeover of its partition included."""

_Answer = Operated | Accepted | Overloaded
_log = structlog.get_logger()
_announcements: Final = decoder_of(Announcement)
_heartbeats: Final = decoder_of(Heartbeat)
_replies: Final = decoder_of(OwnerReplies)


class _Pending(msgspec.Struct, frozen=True):
    subject: str
    answer: "asyncio.Future[_Answer | None]"
    """None: not the owner (any more), or not there"""


class OwnerClient:
    """Asks the owners of partitions, by invocation id."""

    def __init__(self, bus: Bus, subjects: Subjects, process_id: str, partitions: int) -> None:
        self._bus = bus
        self._subjects = subjects
        self._reply_subject = subjects.replies("admin", process_id)
        self._partitions = partitions
        self._owners = Owners(partitions)
        self._news = asyncio.Event()
        self._pending: dict[int, _Pending] = {}
        """request id -> who was asked"""
        self._last_request_id = 0
        self._subscriptions: list[Subscription] = []

    async def start(self) -> None:
        """Listen to owners."""
        self._bus.on_no_responders(self._on_no_responders)
        for subject, receiver in (
            (self._reply_subject, self._on_replies),
            (self._subjects.announcements, self._on_announcement),
            (self._subjects.heartbeats, self._on_heartbeat),
        ):
            self._subscriptions.append(await self._bus.subscribe(subject, receiver))

    async def stop(self) -> None:
        """Listen no more."""
        for subscription in self._subscriptions:
            await subscription.unsubscribe()

    async def operate(self, invocation_id: InvocationId, action: str, *, deployment: str | None = None, from_entry: int = 0) -> Operated:
        """Carry out an action and return how it went.

        Raises:
            RoutingFailed: No owner answered in time; whether the action was carried out is not known.
        """
        request = Operate(0, invocation_id, action, deployment, from_entry)
        answer = await self._ask_owner(partition_of(invocation_id, self._partitions), request)
        assert isinstance(answer, Operated)
        return answer

    async def operate_many(self, partition: int, action: str, wanted: InvocationFilter) -> None:
        """Let the owner of a partition carry out an action on all invocations that match; returns once that will surely happen.

        Raises:
            RoutingFailed: No owner answered in time; to ask again does no harm.
        """
        await self._ask_owner(partition, OperateMany(0, partition, action, wanted))

    async def mutate_state(self, request: MutateState) -> None:
        """Let a change of state be stored.

        Raises:
            RoutingFailed: No owner took it in time; whether it was stored is not known.
        """
        await self._ask_owner(request.partition, request)

    async def _ask_owner(self, partition: int, request: Operate | OperateMany | MutateState) -> Operated | Accepted:
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                while True:
                    owner = await self._owner_of(partition)
                    self._last_request_id += 1
                    answer = await self._ask(owner, msgspec.structs.replace(request, request_id=self._last_request_id))
                    if isinstance(answer, Overloaded):
                        raise RoutingFailed(f"the owner of partition {partition} has too much to do")
                    if answer is not None:
                        return answer
                    self._owners.disown(partition, owner)
        except TimeoutError:
            raise RoutingFailed(f"no owner of partition {partition} answered within {ANSWER_TIMEOUT_S:g} s") from None

    async def _owner_of(self, partition: int) -> str:
        """Wait until somebody is known to own the partition."""
        while (owner := self._owners.owner_of(partition)) is None:
            self._news.clear()
            await self._news.wait()
        return owner

    async def _ask(self, owner: str, request: Operate | OperateMany | MutateState) -> _Answer | None:
        """Return what the owner answers, None if it owns the partition no more or is gone."""
        pending = _Pending(self._subjects.owner(owner), asyncio.get_running_loop().create_future())
        self._pending[request.request_id] = pending
        try:
            message = OwnerRequests(VERSION, self._reply_subject, [request])
            self._bus.publish(pending.subject, encode(message), reply=self._reply_subject)
            return await pending.answer
        finally:
            del self._pending[request.request_id]

    def _on_replies(self, payload: bytes, reply: str) -> None:
        for message in _decoded(_replies, payload):
            for answer in message.replies:
                if isinstance(answer, _Answer):
                    self._settle(answer.request_id, answer)
                elif isinstance(answer, NotOwner):
                    self._settle(answer.request_id, None)

    def _on_no_responders(self, subject: str) -> None:
        for request_id, pending in self._pending.items():
            if pending.subject == subject:
                self._settle(request_id, None)

    def _settle(self, request_id: int, answer: _Answer | None) -> None:
        pending = self._pending.get(request_id)
        if pending is not None and not pending.answer.done():
            pending.answer.set_result(answer)

    def _on_announcement(self, payload: bytes, reply: str) -> None:
        for message in _decoded(_announcements, payload):
            self._owners.announced(message)
            self._news.set()

    def _on_heartbeat(self, payload: bytes, reply: str) -> None:
        for message in _decoded(_heartbeats, payload):
            self._owners.beat(message)
            self._news.set()


def _decoded(decoder: "msgspec.msgpack.Decoder[M]", payload: bytes) -> list[M]:
    """Return the one message, or none where it cannot be read."""
    try:
        message = decoder.decode(payload)
    except msgspec.MsgspecError as error:
        _log.warning("message_unreadable", reason=str(error))
        return []
    return [message] if message.version <= VERSION else []
