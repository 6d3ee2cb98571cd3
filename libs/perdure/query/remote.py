"""The engine as a process without one sees it: Arrow batches out of the parts that a worker sends.

The Arrow library tells no types to a type checker: hence Any for its objects.
"""

import importlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

from perdure.query.engine import AS_ENGINE, Result
from perdure.query.wire import Dialect, Form, Parameter
from perdure.query.workers import Answers, QueryWorkers


class RemoteQueries:
    """Runs statements in workers."""

    def __init__(self, workers: QueryWorkers) -> None:
        self._workers = workers

    async def describe(self, sql: str, parameters: Sequence[Parameter] | None = None, dialect: Dialect = AS_ENGINE) -> Any:
        """Return the Arrow schema of what a statement returns."""
        return _arrow().ipc.read_schema(_buffer(await self._workers.describe(sql, parameters, dialect)))

    async def run(self, sql: str, parameters: Sequence[Parameter] = (), dialect: Dialect = AS_ENGINE) -> Result:
        """Start a statement."""
        answers = await self._workers.run(sql, parameters, Form.ARROW, dialect)
        schema = _arrow().ipc.read_schema(_buffer(await anext(answers)))
        return Result(schema, _batches(answers, schema), answers.close)


async def _batches(answers: Answers, schema: Any) -> AsyncIterator[Any]:
    async for part in answers:
        yield _arrow().ipc.read_record_batch(_buffer(part), schema)


def _buffer(part: bytes) -> Any:
    return _arrow().py_buffer(part)


def _arrow() -> Any:
    return importlib.import_module("pyarrow")
