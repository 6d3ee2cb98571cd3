"""From a request of any protocol of the family to the method that it names, and back. Source: shared/spec/seed-era.md, 4.1 to 4.3."""

import asyncio
from collections.abc import Callable, MutableMapping
from http import HTTPStatus
from typing import Any, Final

import structlog

from perdure.base.clock import Clock, Random
from perdure.base.errors import StoreError
from perdure.base.limits import KIB
from perdure.codec.descriptors.errors import BadMessage
from perdure.codec.descriptors.json import from_json, to_json
from perdure.codec.rpc.connect import VERSION_HEADER, ConnectCall, ConnectGetCall
from perdure.codec.rpc.grpc import ServerCall
from perdure.codec.rpc.grpc_unary import GrpcCall, GrpcWebCall
from perdure.codec.rpc.reflection import METHOD, REFLECTION_SERVICES, Reflection
from perdure.codec.rpc.status import CallFailed, Status
from perdure.codec.rpc.streams import streaming_call
from perdure.codec.rpc.unary import Answer, UnaryCall, by_name, path_of
from perdure.process.streams import answer_each
from perdure.registry.schema import Schema
from services.ingress import cors
from services.ingress.answers import Answers
from services.ingress.asgi import Receive, Scope, Send
from services.ingress.freshness import Freshness
from services.ingress.metrics import Meters
from services.ingress.refusals import Refused
from services.ingress.responses import HeaderPairs
from services.ingress.rpc import errors
from services.ingress.rpc.built_in import built_in_services
from services.ingress.rpc.calls import CallEnded, Calls, Request
from services.ingress.rpc.catalogue import Catalogue, Method, RpcService

log = structlog.get_logger("perdure.ingress.rpc")

REFLECTION_REQUEST_BYTES_MAX: Final = 64 * KIB
TIMEOUT_S_MAX: Final = 10 * 365 * 86_400
"""Longer deadlines are none."""

EXPOSED: Final = (
    b"access-control-expose-headers",
    b"grpc-status, grpc-message, grpc-status-details-bin, grpc-encoding, content-encoding, idempotency-expires, x-restate-id",
)


class Dispatch:
    """Answers calls of all protocols."""

    def __init__(
        self,
        *,
        answers: Answers,
        meters: Meters,
        clock: Clock,
        random: Random,
        schema: Callable[[], Schema],
        freshness: Freshness,
    ) -> None:
        self._answers = answers
        self._schema = schema
        self._freshness = freshness
        self._calls = Calls(answers.asking, meters, clock, random)
        self._built_in = built_in_services(self._calls, self._service)
        self._reflection = Reflection(self._now)
        self._catalogue: Catalogue | None = None
        self._message_bytes_max = answers.asking.uploads.body_bytes_max

    async def serve(self, scope: Scope, receive: Receive, send: Send, *, origin: bytes | None, is_overloaded: bool) -> None:
        """Take one request from its head to its last byte."""
        headers = by_name(scope["headers"])
        content_type, limit = headers.get(b"content-type", b""), self._message_bytes_max
        is_web = content_type.startswith(b"application/grpc-web")
        is_grpc = content_type.startswith(b"application/grpc") and not is_web
        service = _reflection_service(scope["raw_path"])
        if is_grpc and "http.response.trailers" not in scope.get("extensions", ()):
            await _send(send, Answer(505, [(b"content-length", b"0")]), origin)
        elif service is not None and (stream := streaming_call(scope["headers"], message_bytes_max=REFLECTION_REQUEST_BYTES_MAX)):
            await self._reflect(service, stream, receive, send, origin, is_overloaded=is_overloaded)
        elif not is_grpc and not is_web:
            await _send(send, await self.connect(scope, receive, is_overloaded=is_overloaded), origin)
        else:
            call = (GrpcWebCall if is_web else GrpcCall)(headers, message_bytes_max=limit)
            answer = call.failure(errors.overloaded()) if is_overloaded else await self._answer(call, scope, receive)
            await _send(send, answer, origin)

    async def connect(self, scope: Scope, receive: Receive, *, is_overloaded: bool = False) -> Answer:
        """Return the answer to a call of Connect, or of the seed era's JSON and protobuf over HTTP."""
        call = self._connect_call(scope)
        if call is None or _reflection_service(scope["raw_path"]) is not None:
            return Answer(415, [(b"content-length", b"0")])
        if is_overloaded:
            return call.failure(errors.overloaded())
        return await self._answer(call, scope, receive)

    def _connect_call(self, scope: Scope) -> UnaryCall | None:
        headers, limit = by_name(scope["headers"]), self._message_bytes_max
        content_type, names_version = headers.get(b"content-type"), VERSION_HEADER in headers
        if scope["method"] == "GET":
            if b"connect=v1" in scope["query_string"]:
                return ConnectGetCall(headers, scope["query_string"], message_bytes_max=limit)
            if content_type is None:
                return _EmptyCall(headers, is_json=True, names_version=names_version, message_bytes_max=limit)
        elif scope["method"] == "POST" and content_type is not None:
            is_json = content_type.startswith(b"application/json")
            if is_json or content_type.startswith(b"application/proto"):
                return ConnectCall(headers, is_json=is_json, names_version=names_version, message_bytes_max=limit)
        return None

    async def _answer(self, call: UnaryCall, scope: Scope, receive: Receive) -> Answer:
        try:
            timeout_ms = call.timeout_ms()
            if timeout_ms is None:
                return await self._call(call, scope, receive)
            async with asyncio.timeout(min(timeout_ms / 1000, TIMEOUT_S_MAX)):
                return await self._call(call, scope, receive)
        except CallEnded as ended:
            return call.failure(ended, ended.metadata)
        except CallFailed as failed:
            return call.failure(failed)
        except Refused as refused:
            return call.failure(errors.of_refusal(refused))
        except TimeoutError:
            return call.failure(CallFailed(Status.DEADLINE_EXCEEDED, "the deadline of the call passed; what it started goes on"))
        except StoreError as error:
            log.warning("store_failed", reason=error.message)
            return call.failure(
                CallFailed(Status.UNAVAILABLE, f"internal routing error: {error.message}. Retry the request, that is safe.")
            )
        except Exception as error:
            log.exception("call_failed", error=type(error).__name__)
            return call.failure(CallFailed(Status.INTERNAL, "internal error of the ingress"))

    async def _call(self, call: UnaryCall, scope: Scope, receive: Receive) -> Answer:
        names = path_of(scope["raw_path"])
        if names is None:
            raise errors.bad_path(scope["raw_path"])
        service = await self._service(names[0])
        if service is None:
            raise errors.internal(names[0]) or errors.service_not_found(names[0])
        if not service.is_public:
            raise errors.not_public(names[0])
        message = call.request(await self._body(call, receive))
        method = await self._method(service, names[1])
        if not method.is_public:
            raise errors.not_public(names[0])
        if isinstance(call, ConnectGetCall) and not method.has_no_side_effects:
            return Answer(405, [(b"allow", b"POST"), (b"content-length", b"0")])
        request = Request(scope["raw_path"], scope["headers"], receive, scope.get("client"))
        if not call.is_json:
            response, metadata = await method.call(message, request)
            return call.success(response, metadata)
        try:
            message = from_json(method.request_class, message)
        except BadMessage as error:
            raise CallFailed(Status.INVALID_ARGUMENT, f"Error when parsing request: {error.message}") from None
        response, metadata = await method.call(message, request)
        return call.success(_json_of(method, response), metadata)

    async def _body(self, call: UnaryCall, receive: Receive) -> bytes:
        try:
            return await self._answers.asking.uploads.read_whole(receive, bytes_max=call.body_bytes_max)
        except Refused as refused:
            if refused.status != HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
                raise
            text = f"the message has more than {self._message_bytes_max} bytes, the limit that `request_size_limit` sets"
            raise CallFailed(Status.RESOURCE_EXHAUSTED, text) from None

    async def _service(self, name: str) -> RpcService | None:
        """Return a service, private ones too; reads the metadata again before one counts as unknown."""
        found = self._now().find(name)
        if found is None:
            await self._freshness.renew()
            found = self._now().find(name)
        return found

    async def _method(self, service: RpcService, name: str) -> Method:
        found = service.method(name)
        if found is None:
            await self._freshness.renew()
            renewed = self._now().find(service.name)
            found = None if renewed is None else renewed.method(name)
        if found is None:
            raise errors.method_not_found(service.name, name)
        return found

    def _now(self) -> Catalogue:
        """Return what there is at the newest version of the metadata."""
        known, directory = self._catalogue, self._answers.directory
        if known is None or known.directory is not directory:
            known = self._catalogue = Catalogue(self._schema(), directory, self._built_in, self._calls, known)
        return known

    async def _reflect(
        self, service: str, call: ServerCall, receive: Receive, send: Send, origin: bytes | None, *, is_overloaded: bool
    ) -> None:
        async def send_to_origin(part: MutableMapping[str, Any]) -> None:
            if part["type"] == "http.response.start":
                _admit_origin(part["headers"], origin)
            await send(part)

        status, text = Status.OK, ""
        try:
            if is_overloaded:
                raise errors.overloaded()
            await answer_each(call, lambda message: self._reflection.answer(service, message), receive, send_to_origin)
        except CallFailed as failed:
            status, text = failed.call_status, failed.message
        for part in call.end(status, text):
            await send_to_origin(part)


class _EmptyCall(ConnectCall):
    """A GET without a message: an empty one is meant."""

    def request(self, body: bytes) -> bytes:
        return b"{}"


def _json_of(method: Method, response: bytes) -> bytes:
    try:
        return to_json(method.response_class, response)
    except BadMessage as error:
        raise CallFailed(Status.INTERNAL, f"the response is malformed: {error.message}") from None


def _reflection_service(raw_path: bytes) -> str | None:
    names = path_of(raw_path)
    return names[0] if names is not None and names[0] in REFLECTION_SERVICES and names[1] == METHOD else None


def _admit_origin(headers: HeaderPairs, origin: bytes | None) -> None:
    cors.add_to(headers, origin)
    if origin is not None:
        headers.append(EXPOSED)


async def _send(send: Send, answer: Answer, origin: bytes | None) -> None:
    _admit_origin(answer.headers, origin)
    has_trailers = answer.trailers is not None
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers, "trailers": has_trailers})
    await send({"type": "http.response.body", "body": answer.body})
    if has_trailers:
        await send({"type": "http.response.trailers", "headers": answer.trailers, "more_trailers": False})
