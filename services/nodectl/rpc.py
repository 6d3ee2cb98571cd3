"""The gRPC surface: `grpc.health.v1.Health`. The service asked for is empty for the suite, or the name of a role."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from perdure.base.limits import KIB
from perdure.codec.rpc.grpc import ServerCall
from perdure.codec.rpc.status import CallFailed, Status

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
IsServing = Callable[[str], bool | None]
"""Say whether a service works; None where it is unknown."""

REQUEST_BYTES_MAX: Final = 64 * KIB
WATCH_INTERVAL_S: Final = 1.0

_CHECK: Final = "/grpc.health.v1.Health/Check"
_WATCH: Final = "/grpc.health.v1.Health/Watch"
_ANSWER_BY_STATE: Final = {True: 1, False: 2, None: 3}


class HealthRpc:
    """Answer gRPC calls.

    Args:
        stopping: Ends watches.
    """

    def __init__(self, is_serving: IsServing, stopping: asyncio.Event) -> None:
        self._is_serving = is_serving
        self._stopping = stopping

    async def handle(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Take one call from its request to its status."""
        call = ServerCall(scope["headers"], message_bytes_max=REQUEST_BYTES_MAX)
        status, text = Status.OK, ""
        try:
            await self._dispatch(scope["path"], call, receive, send)
        except CallFailed as error:
            status, text = error.call_status, error.message
        for message in call.end(status, text):
            await send(message)

    async def _dispatch(self, path: str, call: ServerCall, receive: Receive, send: Send) -> None:
        if path not in (_CHECK, _WATCH):
            raise CallFailed(Status.UNIMPLEMENTED, f"there is no method {path}")
        service = _service_asked_for(await _read(call, receive))
        if path == _WATCH:
            await self._watch(service, call, receive, send)
            return
        state = self._is_serving(service)
        if state is None:
            raise CallFailed(Status.NOT_FOUND, f"there is no service {service}")
        await _send_state(state, call, send)

    async def _watch(self, service: str, call: ServerCall, receive: Receive, send: Send) -> None:
        """Send the state, and again whenever it changes, until the client or this process goes."""
        gone = asyncio.ensure_future(_disconnected(receive))
        stop = asyncio.ensure_future(self._stopping.wait())
        try:
            last: bool | None = None
            is_first = True
            while not (gone.done() or stop.done()):
                state = self._is_serving(service)
                if is_first or state is not last:
                    await _send_state(state, call, send)
                    last, is_first = state, False
                await asyncio.wait([gone, stop], timeout=WATCH_INTERVAL_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            stop.cancel()


async def _read(call: ServerCall, receive: Receive) -> bytes:
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise CallFailed(Status.CANCELLED, "the client went away")
        request = call.receive(event.get("body", b""), is_last=not event.get("more_body", False))
        if request is not None:
            return request


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _service_asked_for(request: bytes) -> str:
    # Imported with the first call: 6 MB, and most suites are asked over HTTP.
    from google.protobuf.message import DecodeError

    from services.nodectl.proto.health_pb2 import HealthCheckRequest

    try:
        return HealthCheckRequest.FromString(request).service
    except DecodeError as error:
        raise CallFailed(Status.INTERNAL, f"the request is not a HealthCheckRequest: {error}") from None


async def _send_state(state: bool | None, call: ServerCall, send: Send) -> None:
    from services.nodectl.proto.health_pb2 import HealthCheckResponse

    answer = HealthCheckResponse(status=HealthCheckResponse.ServingStatus.Name(_ANSWER_BY_STATE[state]))
    for message in call.send(answer.SerializeToString()):
        await send(message)
