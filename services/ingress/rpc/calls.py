"""From a request message to the invocation that it means, and from the owner's reply to the response message."""

import asyncio
from collections.abc import Awaitable
from typing import Protocol, TypeVar

import msgspec

from perdure.base.clock import Clock, Random
from perdure.base.errors import StoreError
from perdure.base.ids import format_invocation_id
from perdure.bus import messages
from perdure.codec.rpc.status import CallFailed
from perdure.codec.rpc.unary import Headers
from perdure.model.result import Failure
from services.ingress import metrics, responses
from services.ingress.asgi import Client, Receive
from services.ingress.asking import Asking
from services.ingress.directory import HandlerEntry
from services.ingress.refusals import Refused
from services.ingress.rpc.errors import FailureTeller

T = TypeVar("T")


class Request(msgspec.Struct):
    """What a method may need of a request beside its message."""

    path: bytes
    headers: list[tuple[bytes, bytes]]
    receive: Receive
    client: Client | None = None


class Moment(msgspec.Struct, frozen=True):
    """What is not a function of the request: an id for it, the time, randomness."""

    request_id: int
    now_ms: int
    random: Random


class HandlerMethod(Protocol):
    """A registered handler as a method. Pure."""

    entry: HandlerEntry
    tell: FailureTeller
    is_of_era: bool
    """Whether answers are those of the seed era: without the invocation's id, and with the end of a result's retention from the first."""

    def invoke_of(self, message: bytes, request: Request, moment: Moment, *, wants_result: bool) -> messages.Invoke:
        """Return what to ask the owner.

        Raises:
            CallFailed: The message or the headers are wrong.
            Refused: The handler's rules do not take the request.
        """
        ...

    def response_of(self, value: bytes) -> bytes:
        """Return the response message that holds a result.

        Raises:
            CallFailed: It does not fit.
        """
        ...


class CallEnded(CallFailed):
    """An invocation failed; the answer carries its metadata."""

    def __init__(self, failed: CallFailed, metadata: Headers) -> None:
        super().__init__(failed.call_status, failed.message, failed.info)
        self.metadata = metadata


class Calls:
    """Ask owners on behalf of methods."""

    def __init__(self, asking: Asking, meters: metrics.Meters, clock: Clock, random: Random) -> None:
        self.asking = asking
        self._meters = meters
        self._clock = clock
        self._random = random
        self._time = asyncio.get_running_loop().time

    def moment(self) -> Moment:
        """Return a fresh id with the time."""
        return Moment(self.asking.next_request_id(), self._clock.now_ms(), self._random)

    async def call(self, method: HandlerMethod, message: bytes, request: Request) -> tuple[bytes, Headers]:
        """Return the response message and the metadata to answer with.

        Raises:
            CallFailed: The call ends otherwise.
            Refused: The ingress turns it down.
        """
        return await self._counted(method, self._call(method, message, request), is_send=False)

    async def start(self, method: HandlerMethod, message: bytes, request: Request) -> str:
        """Start an invocation; return its id once it is durable.

        Raises:
            CallFailed: The message is wrong.
            Refused: The ingress turns it down.
        """
        return await self._counted(method, self._start(method, message, request), is_send=True)

    async def _counted(self, method: HandlerMethod, work: Awaitable[T], *, is_send: bool) -> T:
        meter, started_at = self._meters.of(method.entry, is_send), self._time()
        outcome = metrics.ABANDONED
        try:
            response = await work
            outcome = metrics.COMPLETED
        except CallEnded:
            outcome = metrics.INVOCATION_ERROR
            raise
        except (CallFailed, Refused):
            outcome = metrics.REQUEST_ERROR
            raise
        except StoreError:
            outcome = metrics.INGRESS_ERROR
            raise
        finally:
            meter.record(outcome, self._time() - started_at)
        return response

    async def _start(self, method: HandlerMethod, message: bytes, request: Request) -> str:
        invoke = method.invoke_of(message, request, self.moment(), wants_result=False)
        reply = await self.asking.invoke(invoke, request.receive, request.client)
        assert isinstance(reply, messages.Accepted)
        return format_invocation_id(invoke.invocation_id)

    async def _call(self, method: HandlerMethod, message: bytes, request: Request) -> tuple[bytes, Headers]:
        invoke = method.invoke_of(message, request, self.moment(), wants_result=True)
        reply = await self.asking.invoke(invoke, request.receive, request.client)
        assert isinstance(reply, messages.Completed)
        invocation_id = format_invocation_id(invoke.invocation_id)
        metadata = [] if method.is_of_era else [(b"x-restate-id", invocation_id.encode())]
        expires_at_ms = reply.expires_at_ms
        if expires_at_ms is None and method.is_of_era and not invoke.is_fresh:
            expires_at_ms = self._clock.now_ms() + invoke.completion_retention_ms
        if expires_at_ms is not None:
            metadata.append((b"idempotency-expires", responses.expiry_text(expires_at_ms)))
        if isinstance(reply.result, Failure):
            raise CallEnded(method.tell(reply.result, invocation_id), metadata)
        return method.response_of(await self.asking.value_of(reply)), metadata
