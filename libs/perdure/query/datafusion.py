"""DataFusion and Arrow, behind functions with types of their own.

Importing this module costs about 50 MB and a quarter of a second, so `engine` does it at the first query. Neither library tells its
types to a type checker: hence Any for their objects.
"""

import importlib
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

from perdure.codec.pgwire.values import Interval
from perdure.query.batches import batches_of
from perdure.query.json_functions import json_functions, uses_json, with_json_calls
from perdure.query.plans import Place, wanted_of
from perdure.query.postgres.catalogue import CATALOGUE, CATALOGUE_SCHEMAS, rows_of
from perdure.query.postgres.dialect import rewritten
from perdure.query.postgres.functions import FUNCTIONS, arrow_type, udfs
from perdure.query.table import Table
from perdure.query.wanted import Wanted
from perdure.query.wire import PUBLIC, Dialect

pa: Final[Any] = importlib.import_module("pyarrow")
_datafusion: Final[Any] = importlib.import_module("datafusion")
_catalog: Final[Any] = importlib.import_module("datafusion.catalog")

_CATALOGUE: Final = "restate"
_BATCH_ROWS: Final = 8_192
_WORD: Final = re.compile(r"\w+")
_UNSET: Final = {"bool": False, "int": 0, "float": 0.0}
"""What a column of the catalogue has where its row says nothing; others are null."""
_METADATA: Final = {"char": {"oid": "18"}}
"""Kinds that Arrow has no type for."""


def _constant(name: str, value: str) -> Any:
    return _datafusion.udf(lambda: pa.array([value]), [], pa.string(), "stable", name)


class _Recorder(_catalog.SchemaProvider):
    """A schema of empty tables that notes which of them are asked for."""

    def __init__(self, tables: Mapping[str, Any]) -> None:
        self._tables = tables
        self.asked: set[str] = set()

    @property
    def table_names(self) -> list[str]:
        return list(self._tables)

    def table(self, name: str) -> Any:
        if name in self._tables:
            self.asked.add(name)
        return self._tables.get(name)

    def table_exist(self, name: str) -> bool:
        return name in self._tables


def _numbered(parameters: Sequence[object]) -> dict[str, object]:
    return {str(number): _interval(value) if isinstance(value, Interval) else value for number, value in enumerate(parameters, 1)}


def _interval(value: Interval) -> Any:
    """Return a span as the engine takes it: with its days among the hours, as durations of columns have theirs."""
    return pa.scalar(pa.MonthDayNano([value.months, 0, value.microseconds * 1_000]), pa.month_day_nano_interval())


class Plan:
    """A statement that was planned: what it returns, and how to start it."""

    def __init__(self, frame: Any) -> None:
        self._frame = frame
        self.schema = frame.schema()

    def start(self) -> Any:
        """Return an asynchronous iterator of Arrow batches; the query stops once it is dropped."""
        return self._frame.execute_stream()


class DataFusion:
    """Plans statements over given tables. Contexts live as long as one statement: nothing is left behind.

    Args:
        schemas: schema -> its tables.
        constants: Functions without arguments, and what they return.
    """

    def __init__(self, schemas: Mapping[str, Mapping[str, Table[Any]]], constants: Mapping[str, str], *, memory_bytes_max: int) -> None:
        self._functions = [_constant(name, value) for name, value in constants.items()]
        self._memory_bytes_max = memory_bytes_max
        self._options = _datafusion.SQLOptions().with_allow_ddl(False).with_allow_dml(False).with_allow_statements(False)
        self._empty = {
            schema: {name: _provider(batches_of(table, iter(()))) for name, table in tables.items()} for schema, tables in schemas.items()
        }

    def wanted_by(self, sql: str, parameters: Sequence[object], dialect: Dialect) -> dict[Place, Wanted]:
        """Return table -> what a statement wants of it, for those that it reads. Raises whatever is wrong with the statement."""
        recorders = {schema: _Recorder(tables) for schema, tables in self._empty.items()}
        frame = self._frame(sql, _numbered(parameters), dialect, recorders)
        asked = {(schema, name) for schema, recorder in recorders.items() for name in recorder.asked}
        return wanted_of(frame.optimized_logical_plan(), asked, dialect.schema) if asked else {}

    def plan(self, sql: str, parameters: Sequence[object] | None, dialect: Dialect, filled: Mapping[Place, list[Any]]) -> Plan:
        """Plan a statement over all tables, those of `filled` with rows; parameters of None leave `$1` and on open."""
        schemas = {schema: dict(tables) for schema, tables in self._empty.items()}
        for (schema, name), batches in filled.items():
            schemas[schema][name] = _provider(batches)
        providers = {schema: _Recorder(tables) for schema, tables in schemas.items()}
        return Plan(self._frame(sql, None if parameters is None else _numbered(parameters), dialect, providers))

    def _frame(self, sql: str, parameters: dict[str, object] | None, dialect: Dialect, schemas: Mapping[str, _Recorder]) -> Any:
        text = with_json_calls(rewritten(sql) if dialect.is_postgres else sql)
        words = set(_WORD.findall(text.lower())) if dialect.is_postgres else set[str]()
        context = self._context(dialect, has_own_catalogue=bool(words & CATALOGUE_SCHEMAS))
        catalogue = context.catalog(_CATALOGUE)
        for schema, provider in schemas.items():
            if schema in {PUBLIC, dialect.schema} or schema in text.lower():  # lists of all tables are those of today
                catalogue.register_schema(schema, provider)
        if words & CATALOGUE_SCHEMAS:
            for schema, tables in _postgres_catalogue().items():
                catalogue.register_schema(schema, _Recorder(tables))
        if not words.isdisjoint(FUNCTIONS):
            for function in _postgres_functions():
                context.register_udf(function)
        if uses_json(text):
            for function in _json_functions():
                context.register_udf(function)
        return context.sql_with_options(text, self._options, parameters)

    def _context(self, dialect: Dialect, *, has_own_catalogue: bool) -> Any:
        config = _datafusion.SessionConfig().with_default_catalog_and_schema(_CATALOGUE, dialect.schema)
        config = config.with_information_schema(not has_own_catalogue)
        if dialect.is_postgres:
            config = config.set("datafusion.sql_parser.dialect", "postgresql")
            config = config.set("datafusion.sql_parser.map_string_types_to_utf8view", "false")
        runtime = _datafusion.RuntimeEnvBuilder().with_disk_manager_disabled().with_greedy_memory_pool(self._memory_bytes_max)
        context = _datafusion.SessionContext(config.with_target_partitions(1).with_batch_size(_BATCH_ROWS), runtime)
        for function in (*self._functions, _constant("current_schema", dialect.schema)):
            context.register_udf(function)
        return context


def _provider(batches: list[Any]) -> Any:
    """Return batches as a table that can be put into any schema."""
    context = _datafusion.SessionContext()
    context.register_record_batches("t", [batches])
    return context.table_provider("t")


@cache
def _postgres_catalogue() -> dict[str, dict[str, Any]]:
    """Return the tables of PostgreSQL's catalogue, by schema."""
    found: dict[str, dict[str, Any]] = {}
    for schema, layouts in CATALOGUE.items():
        found[schema] = {}
        for name, layout in layouts.items():
            types = pa.schema([pa.field(column, arrow_type(kind), metadata=_METADATA.get(kind)) for column, kind in layout])
            defaults: dict[str, Any] = {column: _UNSET.get(kind) for column, kind in layout}
            rows = [defaults | row for row in rows_of(schema, name)]
            found[schema][name] = _provider([pa.RecordBatch.from_pylist(rows, schema=types)])
    return found


@cache
def _json_functions() -> list[Any]:
    return json_functions(_datafusion.udf)


@cache
def _postgres_functions() -> list[Any]:
    return udfs()
