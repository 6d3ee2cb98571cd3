"""Runs SQL over a snapshot of the store.

A statement is planned over empty tables, which tells what it wants of which; that is read; then it runs over it.
The engine is imported at the first statement: most processes never see one.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import msgspec

from perdure.query import errors
from perdure.query.wire import PUBLIC, SEED_ERA, Dialect, Parameter
from perdure.store.interface import Store
from perdure.store.keyspace import Keyspace

if TYPE_CHECKING:
    from perdure.query.datafusion import DataFusion, Plan
    from perdure.query.plans import Place
    from perdure.query.table import LiveById
    from perdure.query.wanted import Wanted

COMPATIBLE_POSTGRES: Final = "14.0"
"""What clients are told that they speak with; they choose features by it."""


AS_ENGINE: Final = Dialect()

T = TypeVar("T")


class Close(Protocol):
    """Ends a statement; who still reads it gets the error."""

    def __call__(self, error: errors.QueryError | None = None, /) -> None: ...


def close_nothing(_error: errors.QueryError | None = None) -> None:
    """Close what has nothing that still runs."""


class Result:
    """What a statement returns: the Arrow schema, known at once, and its batches as they come.

    Whoever does not read all batches must close it.
    """

    def __init__(self, schema: Any, batches: AsyncIterator[Any], close: Close = close_nothing) -> None:
        self.schema = schema
        self.batches = batches
        self.close = close


class Queries(Protocol):
    """Whatever runs statements: an engine in this process or in another."""

    async def describe(self, sql: str, parameters: Sequence[Parameter] | None = None, dialect: Dialect = AS_ENGINE) -> Any:
        """Return the Arrow schema of what a statement returns, without reading anything; without parameters `$1` and on are open.

        Raises:
            QueryError: The statement is wrong.
        """
        ...

    async def run(self, sql: str, parameters: Sequence[Parameter] = (), dialect: Dialect = AS_ENGINE) -> Result:
        """Start a statement.

        Raises:
            QueryError: The statement is wrong. Iterating the batches raises it, too, for what shows only then.
        """
        ...


class Engine:
    """Queries over the tables of the catalogue.

    Args:
        store: Where rows come from.
        keyspace: Where they are.
        ask_live: Asks the invokers what they know of invocations that are running.
        memory_bytes_max: What one statement may read of a table, and what it may hold beside that.
        snapshot_s_max: How long a snapshot of the store may be read; None: until all is read.
    """

    def __init__(
        self,
        store: Store,
        keyspace: Keyspace,
        *,
        ask_live: Callable[[], Awaitable["LiveById"]],
        memory_bytes_max: int,
        snapshot_s_max: float | None = None,
    ) -> None:
        self._store = store
        self._keyspace = keyspace
        self._ask_live = ask_live
        self._memory_bytes_max = memory_bytes_max
        self._snapshot_s_max = snapshot_s_max
        self._engine: DataFusion | None = None

    async def describe(self, sql: str, parameters: Sequence[Parameter] | None = None, dialect: Dialect = AS_ENGINE) -> Any:
        """Return the Arrow schema of what a statement returns."""
        return await asyncio.to_thread(self._describe, sql, parameters, dialect)

    async def run(self, sql: str, parameters: Sequence[Parameter] = (), dialect: Dialect = AS_ENGINE) -> Result:
        """Read what a statement needs and start it. It ends at the latest with the process."""
        dialect, wanted = await asyncio.to_thread(self._settle, sql, parameters, dialect)
        filled = await self._read(wanted) if wanted else {}
        plan = await asyncio.to_thread(self._plan, sql, parameters, dialect, filled)
        return Result(plan.schema, _batches(plan))

    def _load(self) -> "DataFusion":
        if self._engine is None:
            from perdure.query.catalogue import SCHEMAS
            from perdure.query.datafusion import DataFusion

            version = f"PostgreSQL {COMPATIBLE_POSTGRES} (Perdure)"
            constants = {"version": version, "current_database": "restate"}
            self._engine = DataFusion(SCHEMAS, constants, memory_bytes_max=self._memory_bytes_max)
        return self._engine

    def _settle(self, sql: str, parameters: Sequence[Parameter], dialect: Dialect) -> tuple[Dialect, dict["Place", "Wanted"]]:
        """Return the dialect in which a statement can be run, and what it wants then."""
        return _in_fitting_schema(lambda fitting: (fitting, self._wanted_by(sql, parameters, fitting)), dialect)

    def _wanted_by(self, sql: str, parameters: Sequence[Parameter], dialect: Dialect) -> dict["Place", "Wanted"]:
        engine = self._load()
        try:
            return engine.wanted_by(sql, parameters, dialect)
        except Exception as error:
            raise errors.of_engine(error) from None

    async def _read(self, wanted: dict["Place", "Wanted"]) -> dict["Place", list[Any]]:
        from perdure.query.catalogue import SCHEMAS
        from perdure.query.reading import Reading

        wants_live = any(SCHEMAS[schema][name].wants_live(parts) for (schema, name), parts in wanted.items())
        live: LiveById = await self._ask_live() if wants_live else {}
        reading = Reading(self._keyspace, live, wanted, bytes_max=self._memory_bytes_max, snapshot_s_max=self._snapshot_s_max)
        return await reading.read(self._store)

    def _describe(self, sql: str, parameters: Sequence[Parameter] | None, dialect: Dialect) -> Any:
        return _in_fitting_schema(lambda fitting: self._plan(sql, parameters, fitting, {}).schema, dialect)

    def _plan(self, sql: str, parameters: Sequence[Parameter] | None, dialect: Dialect, filled: dict["Place", list[Any]]) -> "Plan":
        engine = self._load()
        try:
            return engine.plan(sql, parameters, dialect, filled)
        except Exception as error:
            raise errors.of_engine(error) from None


def _in_fitting_schema(plan: Callable[[Dialect], T], dialect: Dialect) -> T:
    """Plan a statement; one that names tables or columns which only the seed era had means those."""
    try:
        return plan(dialect)
    except errors.QueryError as error:
        if dialect.schema != PUBLIC or error.sqlstate not in errors.UNKNOWN_NAMES:
            raise
        try:
            return plan(msgspec.structs.replace(dialect, schema=SEED_ERA))
        except errors.QueryError:
            raise error from None


async def _batches(plan: "Plan") -> AsyncIterator[Any]:
    try:
        async for batch in plan.start():
            found = batch.to_pyarrow()
            yield found if found.schema.types == plan.schema.types else found.cast(plan.schema)
    except Exception as error:
        raise errors.of_engine(error) from None
