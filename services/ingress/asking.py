"""Ask owners on behalf of a caller: read the caller's body, send what is large through the store, wait for the reply."""

import asyncio

import msgspec

from perdure.base.errors import StoreError
from perdure.base.ids import InvocationId
from perdure.base.limits import BUS_BODY_BYTES_MAX
from perdure.bus import messages
from perdure.model.result import Failure, Success
from services.ingress import refusals
from services.ingress.asgi import Client, Receive
from services.ingress.departures import CallerGone, Departures
from services.ingress.metrics import Meters
from services.ingress.tracing import Tracer
from services.ingress.uploads import Blobs, Uploads
from services.ingress.waiting import Request, Waiting


class BlobMissing(StoreError):
    """A large body is not in the store where its message says so."""


class Asking:
    """What every protocol of the ingress needs of owners."""

    def __init__(
        self,
        *,
        waiting: Waiting,
        departures: Departures,
        blobs: Blobs,
        uploads: Uploads,
        meters: Meters,
        tracer: Tracer | None = None,
    ) -> None:
        self.next_request_id = waiting.next_request_id
        """Return the id to put into the next request."""
        self.uploads = uploads
        self._waiting = waiting
        self._departures = departures
        self._blobs = blobs
        self._meters = meters
        self._tracer = tracer
        self._time = asyncio.get_running_loop().time

    async def ask(self, request: Request, receive: Receive) -> messages.OwnerReply:
        """Return the final reply to a request.

        Raises:
            CallerGone: The caller left first.
        """
        future = self._waiting.ask(request)
        asked_at_s = self._time()
        self._departures.watch(request.request_id, receive)
        try:
            reply = await future
        except asyncio.CancelledError:
            if future.cancelled() and not _is_cancelling():
                raise CallerGone from None
            raise
        finally:
            self._waiting.forget(request.request_id)
        self._meters.owners.observe(self._time() - asked_at_s)
        return reply

    async def invoke(
        self, invoke: messages.Invoke, receive: Receive, client: Client | None = None
    ) -> messages.Completed | messages.Accepted:
        """Return the reply to an invoke: `Completed` if it wants the result, else `Accepted`.

        Raises:
            Refused: The owner has too much to do, or this process holds too much.
            CallerGone: The caller left first.
        """
        if self._tracer is None:
            return await self._invoke(invoke, receive)
        with self._tracer.request(invoke, client) as request:
            request.reply = await self._invoke(request.invoke, receive)
        return request.reply

    async def _invoke(self, invoke: messages.Invoke, receive: Receive) -> messages.Completed | messages.Accepted:
        if len(invoke.body) > BUS_BODY_BYTES_MAX:
            invoke = msgspec.structs.replace(invoke, body=b"", body_blob_id=await self.uploads.store(invoke.body))
        held = len(invoke.body)
        self.uploads.hold(held)
        try:
            reply = await self.ask(invoke, receive)
        finally:
            self.uploads.release(held)
        if not isinstance(reply, (messages.Completed, messages.Accepted)):
            raise unexpected(reply)
        return reply

    async def signal(
        self, invocation_id: InvocationId, signal: int, result: Success | Failure, receive: Receive, blob_id: bytes | None = None
    ) -> None:
        """Complete a signal of an invocation, with a value that is in the store if `blob_id` says so.

        Whether the invocation exists makes no difference.

        Raises:
            Refused: The owner has too much to do.
            CallerGone: The caller left first.
        """
        if isinstance(result, Success) and len(result.value) > BUS_BODY_BYTES_MAX:
            result, blob_id = Success(b""), await self.uploads.store(result.value)
        reply = await self.ask(messages.SendSignalTo(self.next_request_id(), invocation_id, signal, None, result, blob_id), receive)
        if not isinstance(reply, messages.Accepted | messages.NotFound):
            raise unexpected(reply)

    async def value_of(self, reply: messages.Completed) -> bytes:
        """Return the value of a successful completion.

        Raises:
            BlobMissing: It should be in the store and is not.
        """
        assert isinstance(reply.result, Success)
        return reply.result.value if reply.result_blob_id is None else await self._blobs.take(reply.result_blob_id)


def unexpected(reply: messages.OwnerReply) -> Exception:
    """Return what to raise for a reply that does not answer the request."""
    if isinstance(reply, messages.Overloaded):
        return refusals.overloaded()
    return AssertionError(f"an owner cannot answer so: {type(reply).__name__}")


def _is_cancelling() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
