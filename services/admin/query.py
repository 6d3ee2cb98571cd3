"""`POST /query`: read-only SQL, answered as JSON or as an Arrow stream. Source: shared/spec/admin.md, section 8."""

import asyncio
import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from perdure.query.errors import QUERY_CANCELED, QueryError
from perdure.query.wire import Form, Parameter
from perdure.query.workers import Answers, QueryWorkers
from services.admin.bodies import read_record
from services.admin.context import context_of
from services.admin.errors import QueryFailed, json_response

QUERY_S_MAX: Final = 60.0
"""How long a statement may take, its answer included."""

_JSON: Final = "application/json"
_MEDIA_TYPES: Final = {Form.JSON: _JSON, Form.ARROW: "application/vnd.apache.arrow.stream"}
_ENDS: Final = {Form.JSON: b"", Form.ARROW: b"\xff\xff\xff\xff\x00\x00\x00\x00"}
_CALLERS_FAULT: Final = re.compile(
    r"SQL error|(DDL|DML) not supported|No SQL statements|^(DataFusion error: )?Error during planning: "
    r"(?!table '|Invalid function|Cannot (coerce|infer)|Column in |\w+ queries |Too many |Unary |Aggregate |Statement )"
)
"""What is answered with 400; other errors of a statement are answered with 500, which clients know. Source: the real server's answers."""
_LATE: Final = QueryError(QUERY_CANCELED, f"the statement took longer than {QUERY_S_MAX:g} s")
_GONE: Final = QueryError(QUERY_CANCELED, "the client went away")

_log = structlog.get_logger()


class _Query(msgspec.Struct, frozen=True):
    query: str


async def post_query(request: Request) -> Response:
    """`POST /query`. Only an `Accept` that is exactly `application/json` gets JSON."""
    sql = (await read_record(request, _Query)).query
    queries = context_of(request).queries
    if queries is None:
        return json_response(503, {"message": "Query service not available"})
    form = Form.JSON if request.headers.get("accept") == _JSON else Form.ARROW
    try:
        async with asyncio.timeout(QUERY_S_MAX):
            answers = await queries.run(sql, (), form)
    except TimeoutError:
        return _refusal(_LATE)
    guard = _Guard(answers, request.receive)
    try:
        first = await anext(answers)
    except QueryError as error:
        guard.leave()
        return _refusal(error)
    except asyncio.CancelledError:
        guard.leave()
        raise
    return _Stream(answers, first, form, guard)


def _refusal(error: QueryError) -> Response:
    status = 400 if _CALLERS_FAULT.search(error.engine_text) else 500
    reason = error.engine_text.removeprefix("DataFusion error: ")
    return json_response(status, {"message": f"Datafusion error: {reason}" if reason else error.message})


async def rows_of(queries: QueryWorkers, sql: str, parameters: Sequence[Parameter]) -> list[dict[str, Any]]:
    """Return all rows of a statement of this process's own.

    Raises:
        QueryFailed: It failed, or took too long.
    """
    try:
        async with asyncio.timeout(QUERY_S_MAX):
            answers = await queries.run(sql, parameters, Form.JSON)
            parts = [part async for part in answers]
    except (TimeoutError, QueryError) as error:
        raise QueryFailed(f"the query of this request failed: {error}") from None
    return msgspec.json.decode(b"".join(parts))["rows"]


class _Guard:
    """Ends a statement when its time is over, and when its client goes away."""

    def __init__(self, answers: Answers, receive: Receive) -> None:
        self._answers = answers
        self._deadline = asyncio.get_running_loop().call_later(QUERY_S_MAX, answers.close, _LATE)
        self._watching = asyncio.ensure_future(self._watch(receive))

    def leave(self) -> None:
        """End the statement, if it still runs, and watch no more."""
        self._deadline.cancel()
        self._watching.cancel()
        self._answers.close()

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._answers.close(_GONE)


class _Stream(Response):
    """The parts of an answer as they come. What goes wrong after the first cuts the stream, since its status is out."""

    def __init__(self, answers: Answers, first: bytes, form: Form, guard: _Guard) -> None:
        super().__init__(media_type=_MEDIA_TYPES[form])
        del self.headers["content-length"]
        self._answers = answers
        self._first = first
        self._end = _ENDS[form]
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": self._first, "more_body": True})
            async for part in self._answers:
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": self._end})
        except QueryError as error:
            _log.warning("query_cut", reason=error.message)
        finally:
            self._guard.leave()
