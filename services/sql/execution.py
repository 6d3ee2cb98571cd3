"""Runs the statements of one session: queries in the engine, the rest here."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final

from perdure.codec.pgwire.backend import Column, TransactionStatus
from perdure.codec.pgwire.values import Oid, Parameter
from perdure.query.engine import Close, Queries, close_nothing
from perdure.query.errors import FEATURE_NOT_SUPPORTED, READ_ONLY, QueryError
from perdure.query.wire import Dialect
from services.sql.rows import columns_of, rows_of
from services.sql.settings import Settings
from services.sql.statements import Kind, Statement

_TRANSACTION_ABORTED: Final = "25P02"


Pages = AsyncIterator[list[tuple[object, ...]]]


class Outcome:
    """What a statement returned: rows that come in pages, or only a tag.

    Attributes:
        tag: Of the completed command; those with rows add their number.
        columns: None where there are no rows.
        pages: Rows as Python values.
        close: Ends what still runs, to be called where not all pages are read; pages raise the error that it is given.
    """

    def __init__(self, tag: str, columns: Sequence[Column] | None = None, pages: Pages | None = None, close: Close = close_nothing) -> None:
        assert (columns is None) == (pages is None)
        self.tag = tag
        self.columns = columns
        self.pages = pages
        self.close = close


class Executor:
    """State of one session: transaction and settings. Nothing can be written, so a transaction is a word and no more."""

    def __init__(self, queries: Queries, given_settings: Mapping[str, str]) -> None:
        self._queries = queries
        self._settings = Settings(given_settings)
        self._status: TransactionStatus = b"I"

    @property
    def transaction_status(self) -> TransactionStatus:
        return self._status

    @property
    def settings(self) -> Settings:
        return self._settings

    @property
    def _dialect(self) -> Dialect:
        return Dialect(is_postgres=True, schema=self._settings.schema)

    def fail(self) -> None:
        """Take note that a statement failed."""
        if self._status == b"T":
            self._status = b"E"

    async def describe(self, statement: Statement, parameters: Sequence[Parameter] | None) -> Sequence[Column] | None:
        """Return the columns that a statement will return; None where it returns no rows."""
        self.check(statement)
        match statement.kind:
            case Kind.QUERY:
                return columns_of(await self._queries.describe(statement.sql, parameters, self._dialect))
            case Kind.SHOW:
                name, _ = self._settings.show(statement)
                return [Column(name, Oid.TEXT)]
            case _:
                return None

    async def run(self, statement: Statement, parameters: Sequence[Parameter]) -> Outcome:
        """Run a statement.

        Raises:
            QueryError: It cannot be run; so does iterating its pages.
        """
        self.check(statement)
        match statement.kind:
            case Kind.QUERY:
                result = await self._queries.run(statement.sql, parameters, self._dialect)
                return Outcome("SELECT", columns_of(result.schema), _pages(result.batches), result.close)
            case Kind.SHOW:
                name, value = self._settings.show(statement)
                return Outcome("SHOW", [Column(name, Oid.TEXT)], _one_page([(value,)]))
            case Kind.SET:
                self._settings.set(statement)
            case Kind.BEGIN:
                if self._status == b"I":
                    self._settings.begin()
                self._status = b"T"
                return Outcome("BEGIN")
            case Kind.COMMIT | Kind.ROLLBACK:
                return self._end_transaction(is_undone=self._status == b"E" or statement.kind is Kind.ROLLBACK)
            case Kind.DISCARD:
                if "all" in statement.words:
                    self._settings.reset()
                return Outcome(" ".join(statement.words[:2]).upper())
            case Kind.IGNORED:
                if self._status == b"E" and statement.command == "ROLLBACK":
                    self._status = b"T"
            case _:
                pass
        return Outcome(statement.command)

    def _end_transaction(self, *, is_undone: bool) -> Outcome:
        self._settings.end(is_undone=is_undone)
        self._status = b"I"
        return Outcome("ROLLBACK" if is_undone else "COMMIT")

    def check(self, statement: Statement) -> None:
        """Refuse what cannot be run, whatever it says.

        Raises:
            QueryError: It writes, is not supported, or the transaction has failed.
        """
        if statement.kind is Kind.WRITE:
            raise QueryError(READ_ONLY, f"cannot execute {statement.command}: this server is read-only")
        if statement.kind is Kind.UNSUPPORTED:
            raise QueryError(FEATURE_NOT_SUPPORTED, f"{statement.command} is not supported by this server")
        ends = statement.kind in {Kind.COMMIT, Kind.ROLLBACK} or (statement.kind is Kind.IGNORED and statement.command == "ROLLBACK")
        if self._status == b"E" and not ends:
            raise QueryError(_TRANSACTION_ABORTED, "current transaction is aborted, commands ignored until end of transaction block")


async def _pages(batches: AsyncIterator[object]) -> Pages:
    async for batch in batches:
        yield list(rows_of(batch))


async def _one_page(rows: list[tuple[object, ...]]) -> Pages:
    yield rows
