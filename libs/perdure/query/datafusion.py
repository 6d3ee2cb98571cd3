"""DataFusion and Arrow, behind functions with types of their own.

Importing this module costs about 50 MB and a quarter of a second, so `engine` does it at the first query. Neither library tells its
types to a type checker: hence Any for their objects.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from perdure.query.batches import batches_of
from perdure.query.plans import wanted_of
from perdure.query.table import Table
from perdure.query.wanted import Wanted

pa: Final[Any] = importlib.import_module("pyarrow")
_datafusion: Final[Any] = importlib.import_module("datafusion")
_catalog: Final[Any] = importlib.import_module("datafusion.catalog")

_CATALOGUE: Final = "restate"
_SCHEMA: Final = "public"
_BATCH_ROWS: Final = 8_192


def _constant(value: str) -> Callable[[], Any]:
    return lambda: pa.array([value])


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
    return {str(number): value for number, value in enumerate(parameters, 1)}


class Plan:
    """A statement that was planned: what it returns, and how to start it."""

    def __init__(self, frame: Any) -> None:
        self._frame = frame
        self.schema = frame.schema()

    def start(self) -> Any:
        """Return an asynchronous iterator of Arrow batches; the query stops once it is dropped."""
        return self._frame.execute_stream()


class DataFusion:
    """Plans statements over given tables. Contexts live as long as one statement: nothing is left behind."""

    def __init__(self, tables: Mapping[str, Table[Any]], constants: Mapping[str, str], *, memory_bytes_max: int) -> None:
        self._empty = {name: batches_of(table, iter(())) for name, table in tables.items()}
        self._functions = [_datafusion.udf(_constant(value), [], pa.string(), "stable", name) for name, value in constants.items()]
        self._memory_bytes_max = memory_bytes_max
        context = self._context_of({})
        self._tables = {name: context.table_provider(name) for name in tables}
        self._options = _datafusion.SQLOptions().with_allow_ddl(False).with_allow_dml(False).with_allow_statements(False)

    def wanted_by(self, sql: str, parameters: Sequence[object]) -> dict[str, Wanted]:
        """Return table -> what a statement wants of it, for those that it reads. Raises whatever is wrong with the statement."""
        context = self._context()
        recorder = _Recorder(self._tables)
        context.catalog(_CATALOGUE).register_schema(_SCHEMA, recorder)
        frame = context.sql_with_options(sql, self._options, _numbered(parameters))
        return wanted_of(frame.optimized_logical_plan(), recorder.asked) if recorder.asked else {}

    def plan(self, sql: str, parameters: Sequence[object] | None, filled: Mapping[str, list[Any]]) -> Plan:
        """Plan a statement over all tables, those of `filled` with rows; parameters of None leave `$1` and on open."""
        context = self._context_of(filled)
        return Plan(context.sql_with_options(sql, self._options, None if parameters is None else _numbered(parameters)))

    def _context_of(self, filled: Mapping[str, list[Any]]) -> Any:
        context = self._context()
        for name, empty in self._empty.items():
            context.register_record_batches(name, [filled.get(name, empty)])
        return context

    def _context(self) -> Any:
        config = _datafusion.SessionConfig().with_information_schema(True).with_default_catalog_and_schema(_CATALOGUE, _SCHEMA)
        runtime = _datafusion.RuntimeEnvBuilder().with_disk_manager_disabled().with_greedy_memory_pool(self._memory_bytes_max)
        context = _datafusion.SessionContext(config.with_target_partitions(1).with_batch_size(_BATCH_ROWS), runtime)
        for function in self._functions:
            context.register_udf(function)
        return context
