"""`grpc.health.v1.Health`. The service asked for is empty for the suite, or the name of a role or of a gRPC service of this port."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final

from perdure.codec.rpc.status import CallFailed, Status
from services.nodectl.rpc.method import Method, Methods, unary
from services.nodectl.rpc.proto.health_pb2 import HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse

IsServing = Callable[[str], Awaitable[bool | None]]
"""Say whether a service works; None where it is unknown."""

NAME: Final = "grpc.health.v1.Health"
WATCH_INTERVAL_S: Final = 1.0
_ANSWER_BY_STATE: Final = {True: 1, False: 2, None: 3}


class HealthService:
    """Answers checks and watches.

    Args:
        names: Of all services.
        stopping: Ends watches.
    """

    def __init__(self, names: Sequence[str], is_serving: IsServing, stopping: asyncio.Event) -> None:
        self._names = names
        self._is_serving = is_serving
        self._stopping = stopping

    def methods(self) -> Methods:
        """Return what it answers."""
        return {
            f"/{NAME}/Check": unary(HealthCheckRequest, self.check),
            f"/{NAME}/List": unary(HealthListRequest, self.list),
            f"/{NAME}/Watch": Method(HealthCheckRequest, self.watch),
        }

    async def check(self, request: HealthCheckRequest, _base_url: str) -> HealthCheckResponse:
        """Return the state, or fail where there is no such service."""
        state = await self._is_serving(request.service)
        if state is None:
            raise CallFailed(Status.NOT_FOUND, f"there is no service {request.service}")
        return _response(state)

    async def list(self, _request: HealthListRequest, _base_url: str) -> HealthListResponse:
        """Return the states of all services."""
        return HealthListResponse(statuses={name: _response(await self._is_serving(name)) for name in self._names})

    async def watch(self, request: HealthCheckRequest, _base_url: str) -> AsyncIterator[HealthCheckResponse]:
        """Yield the state, and again whenever it changes, until this process stops."""
        state = await self._is_serving(request.service)
        yield _response(state)
        while not self._stopping.is_set():
            try:
                async with asyncio.timeout(WATCH_INTERVAL_S):
                    await self._stopping.wait()
            except TimeoutError:
                last, state = state, await self._is_serving(request.service)
                if state is not last:
                    yield _response(state)


def _response(state: bool | None) -> HealthCheckResponse:
    return HealthCheckResponse(status=HealthCheckResponse.ServingStatus.Name(_ANSWER_BY_STATE[state]))
