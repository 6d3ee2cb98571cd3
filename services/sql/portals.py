"""The portals of a session, which are its cursors as well: statements that were given their parameters, and how far they are read."""

import asyncio
from collections.abc import Sequence
from typing import Final

from perdure.codec.pgwire.backend import Column
from perdure.codec.pgwire.values import Parameter
from perdure.query.errors import QUERY_CANCELED, QueryError
from services.sql.execution import Executor, Outcome
from services.sql.portal import ResultLimits, RowStream, spread
from services.sql.statements import Statement

NO_CURSOR: Final = "34000"
_LEFT_ALONE: Final = "the cursor was left unread for {:g} s, and its statement was ended: fetch without such pauses, or ask for fewer rows"


class Prepared:
    """A statement that can be bound again and again.

    Args:
        statement: As it is run.
        oids: Types of its parameters.
        asked: As the client has sent it.
    """

    def __init__(self, statement: Statement, oids: Sequence[int], asked: str) -> None:
        self.statement = statement
        self.oids = oids
        self.asked = asked
        self.described: Sequence[Column] | None = None


class Portal:
    """One statement on its way.

    Args:
        formats: Of the columns: none (text), one for all, or one each.
        is_held: Whether it outlives the transaction.
    """

    def __init__(self, prepared: Prepared, parameters: Sequence[Parameter], formats: Sequence[int], *, is_held: bool = False) -> None:
        self.prepared = prepared
        self.parameters = parameters
        self.formats = formats
        self.is_held = is_held
        self.outcome: Outcome | None = None
        self.stream: RowStream | None = None
        self._rest: asyncio.TimerHandle | None = None

    @property
    def columns(self) -> Sequence[Column]:
        """What its rows are made of, once it was started; as the client was told, if it was."""
        assert self.outcome is not None
        return self.prepared.described or self.outcome.columns or ()

    async def start(self, executor: Executor, limits: ResultLimits) -> Outcome:
        """Run the statement, if it does not run yet.

        Raises:
            QueryError: It cannot be run.
        """
        if self._rest is not None:
            self._rest.cancel()
        if self.outcome is None:
            self.outcome = await executor.run(self.prepared.statement, self.parameters)
            if self.outcome.columns is not None and self.outcome.pages is not None:
                self.stream = RowStream(self.outcome.pages, self.columns, spread(self.formats, len(self.columns)), limits)
        return self.outcome

    def rest(self, rest_s_max: float) -> None:
        """Leave the rest of the rows for later. A statement that must run on for them ends after a while: others wait for its place."""
        assert self.outcome is not None
        error = QueryError(QUERY_CANCELED, _LEFT_ALONE.format(rest_s_max))
        self._rest = asyncio.get_running_loop().call_later(rest_s_max, self.outcome.close, error)

    def close(self) -> None:
        """End whatever still runs."""
        if self._rest is not None:
            self._rest.cancel()
        if self.outcome is not None:
            self.outcome.close()


class Portals:
    """All portals of a session."""

    def __init__(self) -> None:
        self._portals: dict[str, Portal] = {}

    def __getitem__(self, name: str) -> Portal:
        portal = self._portals.get(name)
        if portal is None:
            raise QueryError(NO_CURSOR, f'portal "{name}" does not exist')
        return portal

    def add(self, name: str, portal: Portal) -> None:
        """Keep a portal; the one without a name replaces another.

        Raises:
            QueryError: There is one of that name.
        """
        if name and name in self._portals:
            raise QueryError("42P03", f'portal "{name}" already exists')
        self.close(name)
        self._portals[name] = portal

    def close(self, name: str) -> bool:
        """Close one; return whether it was there."""
        portal = self._portals.pop(name, None)
        if portal is not None:
            portal.close()
        return portal is not None

    def close_all(self, *, but_held: bool = False) -> None:
        """Close all, or all that do not outlive a transaction."""
        for name, portal in list(self._portals.items()):
            if not (but_held and portal.is_held):
                self.close(name)
