"""One client's session: messages in, answers out. Statements run one at a time, in the order in which they came."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec
from structlog.typing import FilteringBoundLogger

from perdure.codec.pgwire import backend
from perdure.codec.pgwire import frontend as fe
from perdure.codec.pgwire.backend import Column
from perdure.codec.pgwire.copy import CopyEncoder
from perdure.codec.pgwire.values import InvalidParameter, Oid, Parameter, decode_parameter
from perdure.query.engine import Queries
from perdure.query.errors import INTERNAL, QUERY_CANCELED, QueryError
from services.sql.copying import parse_copy
from services.sql.cursors import parse_close, parse_declare, parse_fetch
from services.sql.execution import Executor, Outcome
from services.sql.explaining import explained
from services.sql.metrics import SqlMetrics
from services.sql.portal import CopyStream, ResultLimits, RowStream, spread
from services.sql.portals import NO_CURSOR, Portal, Portals, Prepared
from services.sql.statements import Kind, Statement, parse, split, with_intervals

_ROWS_AT_A_TIME: Final = 1_000
_MANY_STATEMENTS: Final = "cannot insert multiple commands into a prepared statement"

Send = Callable[[bytes], Awaitable[None]]


class SessionLimits(msgspec.Struct, frozen=True):
    """What a session may ask for."""

    query_timeout_ms: int
    result: ResultLimits


class Session:
    """Everything between startup and farewell.

    Args:
        send: Takes bytes for the client, and waits where the client is slow.
    """

    def __init__(
        self, queries: Queries, startup: fe.Startup, limits: SessionLimits, send: Send, log: FilteringBoundLogger, metrics: SqlMetrics
    ) -> None:
        self._executor = Executor(queries, startup.parameters)
        self._limits = limits
        self._send = send
        self._log = log
        self._metrics = metrics
        self._prepared: dict[str, Prepared] = {}
        self._portals = Portals()
        self._is_skipping = False
        self._deadline: asyncio.Timeout | None = None
        self._is_cut = False
        self._asked = ""
        """The statement that is run, as the client has sent it."""
        self._sent = ""
        """The text with all statements that it came in."""

    def cut(self) -> None:
        """End the statement that is running, if any, as its client or an operator asks."""
        if self._deadline is not None and not self._deadline.expired():
            self._is_cut = True
            self._deadline.reschedule(asyncio.get_running_loop().time())

    def close(self) -> None:
        """End whatever still runs; the client is gone."""
        self._portals.close_all()

    async def receive(self, message: fe.FrontendMessage) -> None:
        """Do what a message asks, and answer it."""
        if isinstance(message, fe.Sync):
            self._is_skipping = False
            await self._send_ready()
        elif self._is_skipping:
            pass  # until the client has seen the error and says so
        elif isinstance(message, fe.Query):
            await self._counted(self._simple_query(message.sql))
            await self._send_ready()
        else:
            attempt = self._counted if isinstance(message, fe.Execute) else self._attempt
            self._is_skipping = not await attempt(self._extended(message))

    async def _send_ready(self) -> None:
        if self._executor.transaction_status == b"I":
            self._portals.close_all(but_held=True)
        await self._send(backend.ready_for_query(self._executor.transaction_status))

    async def _counted(self, work: Awaitable[None]) -> bool:
        started_at_s = time.monotonic()
        is_done = await self._attempt(work)
        self._metrics.record(is_done, time.monotonic() - started_at_s)
        return is_done

    async def _attempt(self, work: Awaitable[None]) -> bool:
        """Return whether `work` was done; the client knows what went wrong otherwise."""
        error: QueryError
        self._is_cut = False
        try:
            async with asyncio.timeout(self._timeout_ms / 1_000) as self._deadline:
                await work
        except QueryError as caught:
            error = caught
        except TimeoutError:
            reason = "user request" if self._is_cut else "statement timeout"
            error = QueryError(QUERY_CANCELED, f"canceling statement due to {reason}")
        except (ConnectionError, fe.PostgresProtocolError):
            raise
        except Exception:
            self._log.exception("statement_failed")
            error = QueryError(INTERNAL, "internal error; the server's log tells more")
        else:
            return True
        finally:
            self._deadline = None
        self._executor.fail()
        self._portals.close_all(but_held=True)
        in_its_place = " " * self._sent.find(self._asked) + self._asked  # so that positions are those in all that was sent
        told = explained(error.message, in_its_place)
        report = backend.error_response("ERROR", error.sqlstate, told.message, detail=told.detail, hint=told.hint, position=told.position)
        await self._send(report)
        return False

    @property
    def _timeout_ms(self) -> int:
        wanted_ms = self._executor.settings.statement_timeout_ms
        return min(wanted_ms or self._limits.query_timeout_ms, self._limits.query_timeout_ms)

    # ---- simple protocol

    async def _simple_query(self, sql: str) -> None:
        statements = split(sql)
        if not statements:
            await self._send(backend.EMPTY_QUERY_RESPONSE)
        for statement in statements:
            self._asked, self._sent = statement.sql, sql
            match statement.kind:
                case Kind.COPY:
                    await self._copy(statement, ())
                case Kind.FETCH:
                    await self._fetch(statement, (), is_described=False)
                case _:
                    await self._simple_statement(statement)

    async def _simple_statement(self, statement: Statement) -> None:
        outcome = await self._run(statement, ())
        if outcome.columns is None or outcome.pages is None:
            await self._send(backend.command_complete(outcome.tag))
            return
        formats = [0] * len(outcome.columns)
        try:
            await self._send(backend.row_description(outcome.columns, formats))
            stream = RowStream(outcome.pages, outcome.columns, formats, self._limits.result)
            await self._send_rows(stream, 0)
        finally:
            outcome.close()
        await self._send(backend.command_complete(_tag(outcome, stream.rows)))

    async def _run(self, statement: Statement, parameters: Sequence[Parameter]) -> Outcome:
        match statement.kind:
            case Kind.DECLARE:
                return await self._declare(statement, parameters)
            case Kind.CLOSE:
                return self._close_cursor(parse_close(statement.sql))
            case Kind.DEALLOCATE:
                self._deallocate(statement)
            case Kind.DISCARD if "all" in statement.words:
                self._prepared.clear()
                self._portals.close_all()
            case _:
                pass
        application = self._executor.settings.application_name
        outcome = await self._executor.run(statement, parameters)
        if self._executor.settings.application_name != application:
            await self._send(backend.parameter_status("application_name", self._executor.settings.application_name))
        return outcome

    async def _send_rows(self, stream: RowStream, rows_max: int, *, is_skipped: bool = False) -> None:
        sent_before = stream.rows
        while not stream.is_exhausted:
            room = rows_max - (stream.rows - sent_before) if rows_max else _ROWS_AT_A_TIME
            if room == 0:
                return
            if (encoded := await stream.take(min(room, _ROWS_AT_A_TIME))) and not is_skipped:
                await self._send(encoded)

    async def _copy(self, statement: Statement, parameters: Sequence[Parameter]) -> None:
        wanted = parse_copy(statement.sql)
        outcome = await self._executor.run(parse(wanted.sql), parameters)
        if outcome.columns is None or outcome.pages is None:
            raise QueryError("42601", "COPY takes a query that returns rows")
        try:
            stream = CopyStream(outcome.pages, CopyEncoder(outcome.columns, wanted.options), self._limits.result)
            await self._send(stream.begin())
            while encoded := await stream.take():
                await self._send(encoded)
            await self._send(stream.end() + backend.command_complete(f"COPY {stream.rows}"))
        finally:
            outcome.close()

    def _deallocate(self, statement: Statement) -> None:
        name = statement.sql.split()[-1].strip('";')
        if name.lower() == "all":
            self._prepared.clear()
        elif self._prepared.pop(name, None) is None:
            raise QueryError("26000", f'prepared statement "{name}" does not exist')

    # ---- extended protocol

    async def _extended(self, message: fe.FrontendMessage) -> None:
        match message:
            case fe.Parse():
                self._parse(message)
                await self._send(backend.PARSE_COMPLETE)
            case fe.Bind():
                self._bind(message)
                await self._send(backend.BIND_COMPLETE)
            case fe.DescribeStatement(name):
                await self._describe_statement(self._prepared_of(name))
            case fe.DescribePortal(name):
                await self._describe_portal(self._portals[name])
            case fe.Execute(name, rows_max):
                await self._execute(self._portals[name], rows_max)
            case fe.CloseStatement(name):
                self._prepared.pop(name, None)
                await self._send(backend.CLOSE_COMPLETE)
            case fe.ClosePortal(name):
                self._portals.close(name)
                await self._send(backend.CLOSE_COMPLETE)
            case fe.Flush():
                pass
            case _:
                raise fe.PostgresProtocolError(f"unexpected message {type(message).__name__}")

    def _parse(self, message: fe.Parse) -> None:
        self._asked = self._sent = message.sql
        if message.statement and message.statement in self._prepared:
            raise QueryError("42P05", f'prepared statement "{message.statement}" already exists')
        parts = split(message.sql)
        if len(parts) > 1:
            raise QueryError("42601", _MANY_STATEMENTS)
        statement = parts[0] if parts else parse("")
        oids = list(message.parameter_oids) + [0] * (statement.parameter_count - len(message.parameter_oids))
        oids = [oid or statement.parameter_casts.get(number, Oid.TEXT) for number, oid in enumerate(oids, 1)]
        intervals = [number for number, oid in enumerate(oids, 1) if oid == Oid.INTERVAL]
        statement = msgspec.structs.replace(statement, sql=with_intervals(statement.sql, intervals))
        self._prepared[message.statement] = Prepared(statement, oids, message.sql)

    def _bind(self, message: fe.Bind) -> None:
        prepared = self._prepared_of(message.statement)
        if len(message.parameters) != len(prepared.oids):
            raise QueryError("08P01", f"{len(message.parameters)} parameters for a statement that has {len(prepared.oids)}")
        codes = spread(message.parameter_formats, len(message.parameters))
        try:
            values = [decode_parameter(*given) for given in zip(message.parameters, prepared.oids, codes, strict=True)]
        except InvalidParameter as error:
            raise QueryError("22P02", str(error)) from None
        self._portals.add(message.portal, Portal(prepared, values, message.result_formats))

    def _prepared_of(self, name: str) -> Prepared:
        prepared = self._prepared.get(name)
        if prepared is None:
            raise QueryError("26000", f'prepared statement "{name}" does not exist')
        self._asked = self._sent = prepared.asked
        return prepared

    async def _describe_statement(self, prepared: Prepared) -> None:
        await self._send(backend.parameter_description(prepared.oids))
        if prepared.statement.kind is Kind.FETCH:
            await self._send_columns(await self._fetched_columns(prepared.statement), ())
            return
        prepared.described = await self._executor.describe(prepared.statement, None if prepared.oids else ())
        await self._send_columns(prepared.described, ())

    async def _describe_portal(self, portal: Portal) -> None:
        columns = portal.prepared.described
        if portal.prepared.statement.kind is Kind.FETCH:
            columns = await self._fetched_columns(portal.prepared.statement)
        elif portal.outcome is not None:
            columns = portal.outcome.columns and portal.columns
        elif columns is None:
            columns = await self._executor.describe(portal.prepared.statement, portal.parameters)
        await self._send_columns(columns, portal.formats)

    async def _send_columns(self, columns: Sequence[Column] | None, formats: Sequence[int]) -> None:
        if columns is None:
            await self._send(backend.NO_DATA)
        else:
            await self._send(backend.row_description(columns, spread(formats, len(columns))))

    async def _execute(self, portal: Portal, rows_max: int) -> None:
        statement = portal.prepared.statement
        self._asked = self._sent = portal.prepared.asked
        match statement.kind:
            case Kind.EMPTY:
                await self._send(backend.EMPTY_QUERY_RESPONSE)
            case Kind.COPY:
                await self._copy(statement, portal.parameters)
            case Kind.FETCH:
                await self._fetch(statement, portal.formats, is_described=True)
            case Kind.QUERY | Kind.SHOW:
                await self._execute_query(portal, rows_max)
            case _:
                outcome = await self._run(statement, portal.parameters)
                await self._send(backend.command_complete(outcome.tag))

    async def _execute_query(self, portal: Portal, rows_max: int) -> None:
        outcome = await portal.start(self._executor, self._limits.result)
        assert portal.stream is not None
        rows_before = portal.stream.rows
        await self._send_rows(portal.stream, rows_max)
        if portal.stream.is_exhausted:
            await self._send(backend.command_complete(_tag(outcome, portal.stream.rows - rows_before)))
        else:
            portal.rest(self._limits.query_timeout_ms / 1_000)
            await self._send(backend.PORTAL_SUSPENDED)

    # ---- cursors

    async def _declare(self, statement: Statement, parameters: Sequence[Parameter]) -> Outcome:
        self._executor.check(statement)
        wanted = parse_declare(statement.sql)
        if self._executor.transaction_status == b"I" and not wanted.is_held:
            raise QueryError("25P01", "DECLARE CURSOR can only be used in transaction blocks: BEGIN first, or add WITH HOLD")
        portal = Portal(Prepared(parse(wanted.sql), (), wanted.sql), parameters, [1] if wanted.is_binary else [], is_held=wanted.is_held)
        await portal.start(self._executor, self._limits.result)
        if portal.stream is None:
            raise QueryError("42601", "a cursor takes a query that returns rows")
        self._portals.add(wanted.name, portal)
        portal.rest(self._limits.query_timeout_ms / 1_000)
        return Outcome("DECLARE CURSOR")

    async def _fetched_columns(self, statement: Statement) -> Sequence[Column] | None:
        """Return the columns of what a FETCH reads; None where it only moves."""
        wanted = parse_fetch(statement.sql)
        portal = self._portals[wanted.name]
        if portal.outcome is None:
            await portal.start(self._executor, self._limits.result)
        return None if wanted.is_move else portal.columns

    async def _fetch(self, statement: Statement, formats: Sequence[int], *, is_described: bool) -> None:
        self._executor.check(statement)
        wanted = parse_fetch(statement.sql)
        portal = self._portals[wanted.name]
        await portal.start(self._executor, self._limits.result)
        if portal.stream is None:
            raise QueryError("24000", f'cursor "{wanted.name}" has no rows to fetch')
        formats = spread(formats or portal.formats, len(portal.columns))
        if not (wanted.is_move or is_described):
            await self._send(backend.row_description(portal.columns, formats))
        portal.stream.encode_as(formats)
        rows_before = portal.stream.rows
        if wanted.rows_max != 0:
            await self._send_rows(portal.stream, wanted.rows_max or 0, is_skipped=wanted.is_move)
        if not portal.stream.is_exhausted:
            portal.rest(self._limits.query_timeout_ms / 1_000)
        await self._send(backend.command_complete(f"{statement.command} {portal.stream.rows - rows_before}"))

    def _close_cursor(self, name: str | None) -> Outcome:
        if name is None:
            self._portals.close_all()
            return Outcome("CLOSE CURSOR ALL")
        if not self._portals.close(name):
            raise QueryError(NO_CURSOR, f'cursor "{name}" does not exist')
        return Outcome("CLOSE CURSOR")


def _tag(outcome: Outcome, rows: int) -> str:
    return f"{outcome.tag} {rows}" if outcome.tag == "SELECT" else outcome.tag
