"""The ASGI application: body limit, CORS and load shedding around the answers. Source: shared/spec/ingress.md, section 1."""

from typing import Final

import structlog

from perdure.base.errors import StoreError
from services.ingress import cors, refusals, responses
from services.ingress.answers import Answers
from services.ingress.asgi import Receive, Scope, Send
from services.ingress.departures import CallerGone
from services.ingress.metrics import Meters
from services.ingress.refusals import Refused
from services.ingress.responses import HeaderPairs, Response
from services.ingress.rpc.door import Door

log = structlog.get_logger("perdure.ingress")

_LOOKED_AT: Final = frozenset({b"content-length", b"content-type", b"origin", b"connect-protocol-version"})
_RETRY: Final = "You may safely retry the request."


class Edge:
    """What the HTTP server calls for each request."""

    def __init__(self, answers: Answers, rpc: Door, meters: Meters, *, body_bytes_max: int, requests_max: int) -> None:
        self._answers = answers
        self._rpc = rpc
        self._meters = meters
        self._body_bytes_max = body_bytes_max
        self._requests_max = requests_max
        self._active = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers: HeaderPairs = scope["headers"]
        origin = None
        is_too_large = is_rpc = False
        for name, value in headers:
            if name not in _LOOKED_AT:
                continue
            if name == b"content-length":
                is_too_large = not value.isdigit() or int(value) > self._body_bytes_max
            elif name == b"content-type":
                is_rpc = is_rpc or value.startswith(b"application/grpc")
            elif name == b"origin":
                origin = value
            else:
                is_rpc = True
        if is_rpc or (scope["method"] == "GET" and b"connect=v1" in scope["query_string"]):
            await self._serve_rpc(scope, receive, send, origin)
            return
        if is_too_large:
            response = responses.plain_too_large()
        elif scope["method"] == "OPTIONS":
            response = cors.preflight(headers)
        else:
            try:
                response = await self._admit(scope, receive)
            except CallerGone:
                return
            cors.add_to(response.headers, origin)
        self._meters.responses[response.status] += 1
        await send({"type": "http.response.start", "status": response.status, "headers": response.headers})
        await send({"type": "http.response.body", "body": response.body})

    async def _serve_rpc(self, scope: Scope, receive: Receive, send: Send, origin: bytes | None) -> None:
        is_overloaded = self._active >= self._requests_max
        if is_overloaded:
            self._meters.rate_limited += 1
        else:
            self._meters.admitted += 1
        self._active += 1
        try:
            await self._rpc.serve(scope, receive, send, origin=origin, is_overloaded=is_overloaded)
        except CallerGone:
            return
        finally:
            self._active -= 1

    async def _admit(self, scope: Scope, receive: Receive) -> Response:
        meters = self._meters
        if self._active >= self._requests_max:
            meters.rate_limited += 1
            return responses.refusal(refusals.overloaded())
        meters.admitted += 1
        self._active += 1
        try:
            return await self._answers.answer(scope, receive)
        except CallerGone:
            raise
        except Refused as refused:
            return responses.refusal(refused)
        except StoreError as error:
            log.warning("store_failed", reason=error.message)
            return responses.refusal(Refused(503, f"internal routing error: {error.message}. {_RETRY}"))
        except Exception:
            log.exception("request_failed", method=scope["method"])
            return responses.refusal(Refused(500, "internal error of the ingress"))
        finally:
            self._active -= 1
