"""Where calls of gRPC and Connect come in. What answers them is imported with the first one: protobuf costs 6 MB."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from perdure.base.clock import Clock, Random
from perdure.registry.schema import Schema
from services.ingress.answers import Answers
from services.ingress.asgi import Receive, Scope, Send
from services.ingress.freshness import Freshness
from services.ingress.metrics import Meters
from services.ingress.responses import Response

if TYPE_CHECKING:
    from services.ingress.rpc.dispatch import Dispatch


class Door:
    """Answers calls of the family."""

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
        self._make = lambda: _import_dispatch()(
            answers=answers, meters=meters, clock=clock, random=random, schema=schema, freshness=freshness
        )

    async def serve(self, scope: Scope, receive: Receive, send: Send, *, origin: bytes | None, is_overloaded: bool) -> None:
        """Take a request of gRPC, gRPC-Web or Connect from its head to its last byte."""
        await self._dispatch.serve(scope, receive, send, origin=origin, is_overloaded=is_overloaded)

    async def answer(self, scope: Scope, receive: Receive) -> Response:
        """Return the answer to a request of a protobuf service that names no protocol."""
        answer = await self._dispatch.connect(scope, receive)
        return Response(answer.status, answer.headers, answer.body)

    @functools.cached_property
    def _dispatch(self) -> "Dispatch":
        return self._make()


def _import_dispatch() -> "type[Dispatch]":
    from services.ingress.rpc.dispatch import Dispatch

    return Dispatch
