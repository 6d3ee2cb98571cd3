"""From a route to its answer: reads the body, asks the owner, waits, and shapes what comes back."""

import asyncio
from typing import Protocol

from perdure.base.clock import Clock, Random
from perdure.base.ids import InvalidId, InvocationId, parse_awakeable_id, parse_resource_id
from perdure.bus import messages
from perdure.model.result import Failure, Success
from services.ingress import metrics, refusals, responses
from services.ingress.admission import admit, check_callable, check_scope, read_headers
from services.ingress.asgi import Receive, Scope
from services.ingress.asking import Asking, unexpected
from services.ingress.bodies import target_of
from services.ingress.departures import CallerGone, Departures
from services.ingress.directory import Directory, HandlerEntry
from services.ingress.freshness import Freshness
from services.ingress.refusals import Refused, Unregistered
from services.ingress.responses import Response
from services.ingress.routes import Call, CompleteAwakeable, Health, Lookup, ProtobufCall, Wait, WaitByBody, normalise, route_of
from services.ingress.tracing import Tracer
from services.ingress.uploads import Blobs, Uploads
from services.ingress.waiting import Waiting

_NOT_FOUND = Failure(404, "not found")


class ProtobufAnswers(Protocol):
    """Answers calls of protobuf services."""

    async def answer(self, scope: Scope, receive: Receive) -> Response:
        """Return the answer in the form of the seed era's JSON."""
        ...


class Answers:
    """Answer every request that was let in."""

    def __init__(
        self,
        *,
        waiting: Waiting,
        departures: Departures,
        blobs: Blobs,
        clock: Clock,
        random: Random,
        meters: metrics.Meters,
        freshness: Freshness,
        uploads: Uploads,
        tracer: Tracer | None = None,
    ) -> None:
        self.directory = Directory()
        self.rpc: ProtobufAnswers | None = None
        self.asking = Asking(waiting=waiting, departures=departures, blobs=blobs, uploads=uploads, meters=meters, tracer=tracer)
        self._clock = clock
        self._random = random
        self._meters = meters
        self._freshness = freshness
        self._time = asyncio.get_running_loop().time

    async def answer(self, scope: Scope, receive: Receive) -> Response:
        """Return the answer to a request.

        Raises:
            Refused: The ingress turns it down.
            CallerGone: Nobody is there to answer.
        """
        path = normalise(scope["raw_path"])
        try:
            route = route_of(path, self.directory)
        except Unregistered:
            await self._freshness.renew()
            route = route_of(path, self.directory)
        if isinstance(route, Call):
            return await self._call(route, path, scope, receive)
        method = scope["method"]
        match route:
            case Wait():
                _require(method, "GET")
                return await self._wait(route.invocation_id, route.is_attach, route.entry, route.names_handler, receive)
            case CompleteAwakeable():
                _require(method, "POST")
                return await self._complete_awakeable(route, receive)
            case WaitByBody():
                _require(method, "POST")
                target = target_of(await self.asking.uploads.read_whole(receive), self.directory)
                return await self._wait(target.invocation_id, route.is_attach, target.entry, target.names_handler, receive)
            case Lookup():
                _require(method, "POST")
                return responses.found(
                    target_of(await self.asking.uploads.read_whole(receive), self.directory, is_lookup=True).invocation_id
                )
            case ProtobufCall():
                assert self.rpc is not None
                return await self.rpc.answer(scope, receive)
            case Health():
                _require(method, "GET")
                return responses.health([service.name for service in self.directory.services.values()])

    async def _call(self, call: Call, path: bytes, scope: Scope, receive: Receive) -> Response:
        meter = self._meters.of(call.entry, call.is_send)
        started_at = self._time()
        outcome = metrics.INGRESS_ERROR
        try:
            response, outcome = await self._invoke(call, path, scope, receive)
        except Refused as refused:
            outcome = metrics.REQUEST_ERROR if refused.status < 500 else metrics.INGRESS_ERROR
            raise
        except (CallerGone, asyncio.CancelledError):
            outcome = metrics.ABANDONED
            raise
        finally:
            meter.record(outcome, self._time() - started_at)
        return response

    async def _invoke(self, call: Call, path: bytes, scope: Scope, receive: Receive) -> tuple[Response, int]:
        entry = call.entry
        check_callable(entry)
        headers = read_headers(scope["headers"], entry)
        check_scope(call)
        method = scope["method"]
        if method not in {"POST", "GET"}:
            raise refusals.method_not_allowed()
        body = await self.asking.uploads.read(receive)
        try:
            invoke = admit(
                call,
                headers,
                body.data,
                path,
                scope["query_string"],
                now_ms=self._clock.now_ms(),
                random=self._random,
                request_id=self.asking.next_request_id(),
                body_blob_id=body.blob_id,
            )
        except Refused:
            self.asking.uploads.drop(body)
            raise
        reply = await self.asking.invoke(invoke, receive, scope.get("client"))
        if isinstance(reply, messages.Completed):
            return await self._completed(invoke.invocation_id, reply, entry)
        is_new = reply.is_new or invoke.is_fresh
        execution_at_ms = reply.execution_at_ms if reply.execution_at_ms is not None or not is_new else invoke.execution_at_ms
        return responses.sent(invoke.invocation_id, execution_at_ms, is_new=is_new), metrics.COMPLETED

    async def _completed(
        self, invocation_id: InvocationId, reply: messages.Completed, entry: HandlerEntry | None, *, is_named: bool = True
    ) -> tuple[Response, int]:
        """Return the answer to a completion; `entry` None means that the handler is gone, or where nobody named one, that it is unknown."""
        result = reply.result
        if isinstance(result, Failure):
            return responses.failure(invocation_id, result, reply.expires_at_ms), metrics.INVOCATION_ERROR
        value = await self.asking.value_of(reply)
        if entry is None and is_named:
            raise refusals.not_found()
        content_type = responses.result_type(entry, value)
        return responses.success(invocation_id, value, content_type, reply.expires_at_ms), metrics.COMPLETED

    async def _wait(
        self, invocation_id: InvocationId, is_attach: bool, entry: HandlerEntry | None, names_handler: bool, receive: Receive
    ) -> Response:
        request_id = self.asking.next_request_id()
        kind = messages.Attach if is_attach else messages.GetOutput
        match await self.asking.ask(kind(request_id, invocation_id), receive):
            case messages.Completed() as reply:
                if not names_handler and reply.target is not None:
                    entry = self.directory.find(reply.target.service, reply.target.handler)
                is_named = names_handler or reply.target is not None
                response, _ = await self._completed(invocation_id, reply, entry, is_named=is_named)
                return response
            case messages.NotFound():
                if is_attach:
                    return responses.failure(invocation_id, _NOT_FOUND)
                raise refusals.invocation_not_found()
            case messages.NotReady():
                raise refusals.not_completed()
            case reply:
                raise unexpected(reply)

    async def _complete_awakeable(self, route: CompleteAwakeable, receive: Receive) -> Response:
        invocation_id, signal = awakeable_target(route.awakeable_id)
        uploads = self.asking.uploads
        if route.is_resolve:
            body = await uploads.read(receive)
            await self.asking.signal(invocation_id, signal, Success(body.data), receive, body.blob_id)
        else:
            message = (await uploads.read_whole(receive)).decode("utf-8", "replace")
            await self.asking.signal(invocation_id, signal, Failure(500, message), receive)
        return responses.accepted()


def awakeable_target(text: str) -> tuple[InvocationId, int]:
    """Return the invocation and signal of an awakeable.

    Raises:
        Refused: The id is of neither form; the reason is that of the old one.
    """
    try:
        return parse_awakeable_id(text)
    except InvalidId as error:
        raise refusals.bad_awakeable_id(text, str(error) if text.startswith("prom_") else _why_not_old(text)) from None


def _why_not_old(text: str) -> str:
    try:
        parse_resource_id("prom", text)
    except InvalidId as error:
        return str(error)
    raise AssertionError(f"{text} begins otherwise")


def _require(method: str, allowed: str) -> None:
    if method != allowed:
        raise refusals.method_not_allowed()
