"""A simulated ingress process: the real admission and waiting, without HTTP; and a client that repeats until it is answered."""

import asyncio
import random
from typing import Final

from perdure.base.ids import InvocationId, partition_of_key
from perdure.bus.messages import (
    Accepted,
    Attach,
    Completed,
    Invoke,
    MutateState,
    NotFound,
    Operate,
    Operated,
    OwnerReply,
    OwnerRequest,
    SendSignalTo,
)
from perdure.model.result import Outcome, Success
from perdure.model.state import StateMutation
from perdure.registry.options import ServerDefaults
from perdure.registry.schema import Schema
from perdure.sim.cluster import Parts
from services.admin.errors import RoutingFailed
from services.admin.owner_client import OwnerClient
from services.ingress.admission import RequestHeaders, admit
from services.ingress.directory import directory_of
from services.ingress.routes import Call
from services.ingress.waiting import Waiting
from tests.simulation.checkers import History

RETRY_S: Final = 0.5


class IngressGone(Exception):
    """The process that the client talked to died."""


class IngressRole:
    """What an ingress process does; one object per run."""

    def __init__(self, schema: Schema, partitions: int) -> None:
        self._directory = directory_of(schema, ServerDefaults())
        self._partitions = partitions
        self._parts: Parts | None = None
        self._waiting: Waiting | None = None
        self._owners: OwnerClient | None = None
        self._asked: set[asyncio.Task[None]] = set()
        self._open: dict[int, asyncio.Future[OwnerReply]] = {}

    async def __call__(self, parts: Parts) -> None:
        waiting = Waiting(
            bus=parts.bus,
            subjects=parts.subjects,
            process_id=parts.process_id,
            partitions=self._partitions,
            on_orphan_blob=lambda _: None,
        )
        await waiting.start()
        owners = OwnerClient(parts.bus, parts.subjects, f"{parts.process_id}-admin", self._partitions)
        await owners.start()
        self._parts, self._waiting, self._owners = parts, waiting, owners
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._waiting = self._owners = None
            for asked in self._asked:
                asked.cancel()
            for future in self._open.values():
                if not future.done():
                    future.set_exception(IngressGone)

    @property
    def is_up(self) -> bool:
        return self._waiting is not None

    def admit(
        self, service: str, handler: str, key: str | None, body: bytes, *, idempotency_key: str | None, delay_ms: int | None, is_send: bool
    ) -> Invoke:
        """Return what a request becomes."""
        assert self._parts is not None
        assert self._waiting is not None
        entry = self._directory.find(service, handler)
        assert entry is not None, f"{service}/{handler}"
        query = f"delay={delay_ms}ms".encode() if delay_ms else b""
        return admit(
            Call(entry, key, is_send),
            RequestHeaders(idempotency_key, b"application/json", {}),
            body,
            f"/{service}/{handler}".encode(),
            query,
            now_ms=self._parts.clock.now_ms(),
            random=self._parts.random,
            request_id=self._waiting.next_request_id(),
        )

    def next_request_id(self) -> int:
        assert self._waiting is not None
        return self._waiting.next_request_id()

    async def mutate(self, service: str, key: str, mutation: StateMutation) -> None:
        """Ask for a change of state, as an admin process does.

        Raises:
            IngressGone: The process died first.
            RoutingFailed: Nobody answered.
        """
        assert self._owners is not None
        request = MutateState(0, partition_of_key(key, self._partitions), service, key, mutation)
        asked = asyncio.get_running_loop().create_task(self._owners.mutate_state(request))
        self._asked.add(asked)
        try:
            await asked
        except asyncio.CancelledError:
            raise IngressGone from None
        finally:
            self._asked.discard(asked)

    async def ask(self, request: OwnerRequest) -> OwnerReply:
        """Return the final reply.

        Raises:
            IngressGone: The process died first.
        """
        assert self._waiting is not None
        future = self._waiting.ask(request)
        self._open[request.request_id] = future
        try:
            return await future
        finally:
            del self._open[request.request_id]


class SimClient:
    """A client of all ingress processes, outside of the suite: it finds another one when its own dies."""

    def __init__(self, roles: dict[str, IngressRole], history: History, dice: random.Random) -> None:
        self._roles = roles
        self._history = history
        self._dice = dice
        self.calls = 0

    async def call(self, service: str, handler: str, key: str | None, body: bytes, idempotency_key: str | None = None) -> Outcome:
        """Return the result of a call; a client whose ingress dies attaches to its invocation, and invokes again if there is none."""
        self.calls += 1
        ingress = await self._pick()
        invoke = ingress.admit(service, handler, key, body, idempotency_key=idempotency_key, delay_ms=None, is_send=False)
        request: OwnerRequest = invoke
        while True:
            try:
                reply = await ingress.ask(request)
            except IngressGone:
                ingress = await self._pick()
                request = Attach(ingress.next_request_id(), invoke.invocation_id)
                continue
            if isinstance(reply, NotFound):
                request = _again(invoke, ingress.next_request_id())
                continue
            assert isinstance(reply, Completed), reply
            self._history.on_reply(invoke.invocation_id, reply.result)
            return reply.result

    async def send(
        self, service: str, handler: str, key: str | None, body: bytes, *, delay_ms: int = 0, idempotency_key: str | None = None
    ) -> InvocationId:
        """Send; return once it is accepted."""
        self.calls += 1
        ingress = await self._pick()
        invoke = ingress.admit(service, handler, key, body, idempotency_key=idempotency_key, delay_ms=delay_ms, is_send=True)
        request = invoke
        while True:
            try:
                reply = await ingress.ask(request)
            except IngressGone:
                ingress = await self._pick()
                request = _again(invoke, ingress.next_request_id())
                continue
            assert isinstance(reply, Accepted), reply
            self._history.on_accepted(invoke.invocation_id)
            return invoke.invocation_id

    async def signal(self, invocation: InvocationId, index: int, value: bytes) -> None:
        """Resolve an awakeable."""
        while True:
            ingress = await self._pick()
            try:
                reply = await ingress.ask(SendSignalTo(ingress.next_request_id(), invocation, index, None, Success(value)))
            except IngressGone:
                continue
            assert isinstance(reply, Accepted), reply
            return

    async def attach(self, invocation: InvocationId) -> Outcome | None:
        """Return the result of an invocation; None if there is no such invocation (any more)."""
        while True:
            ingress = await self._pick()
            try:
                reply = await ingress.ask(Attach(ingress.next_request_id(), invocation))
            except IngressGone:
                continue
            if isinstance(reply, NotFound):
                return None
            assert isinstance(reply, Completed), reply
            self._history.on_reply(invocation, reply.result)
            return reply.result

    async def operate(self, invocation: InvocationId, action: str) -> str:
        """Do what an operator does; return the outcome."""
        while True:
            ingress = await self._pick()
            self._history.lifecycle.ask(invocation, action)
            try:
                reply = await ingress.ask(Operate(ingress.next_request_id(), invocation, action))
            except IngressGone:
                continue
            assert isinstance(reply, Operated), reply
            self._history.lifecycle.on_operated(invocation, action, reply.outcome)
            return reply.outcome

    async def mutate(self, service: str, key: str, entries: dict[str, bytes], version: str | None = None) -> None:
        """Replace the state of an object, if it is of that version."""
        mutation = StateMutation(tuple(sorted((name.encode(), value) for name, value in entries.items())), version)
        self._history.lifecycle.ask_mutation(service, key, mutation)
        while True:
            ingress = await self._pick()
            try:
                return await ingress.mutate(service, key, mutation)
            except (IngressGone, RoutingFailed):
                continue

    async def _pick(self) -> IngressRole:
        while not (up := [role for role in self._roles.values() if role.is_up]):
            await asyncio.sleep(RETRY_S)
        return self._dice.choice(up)


def _again(invoke: Invoke, request_id: int) -> Invoke:
    """Return the same invocation as a new request, which an owner may know already."""
    return Invoke(
        request_id,
        invoke.invocation_id,
        invoke.target,
        invoke.body,
        invoke.headers,
        invoke.wants_result,
        invoke.idempotency_key,
        False,
        invoke.execution_at_ms,
        invoke.completion_retention_ms,
        invoke.journal_retention_ms,
    )
