"""Runs one statement: `python -m services.nodectl.sql.worker`, the question on standard input, the answer on standard output."""

import asyncio
import os
import sys
from typing import Any, Final

import msgspec

from perdure.base.limits import MIB
from perdure.process.parent import die_with_parent
from perdure.query.batches import batches_of
from perdure.query.datafusion import DataFusion
from perdure.query.encoding import arrow_bytes
from perdure.query.errors import of_engine
from perdure.query.wire import PUBLIC, Dialect
from services.nodectl.sql.messages import Answer, Question
from services.nodectl.sql.tables import TABLES

ROWS_PER_PIECE: Final = 128
_MEMORY_BYTES_MAX: Final = 64 * MIB
_END: Final = b"\xff\xff\xff\xff\x00\x00\x00\x00"


async def answer(question: Question) -> Answer:
    """Return the result: the schema with the first batch, then a batch each, then the end of the stream."""
    try:
        engine = DataFusion({PUBLIC: TABLES}, {}, memory_bytes_max=_MEMORY_BYTES_MAX)
        filled = {(PUBLIC, name): batches_of(TABLES[name], iter(rows)) for name, rows in question.rows.items()}
        plan = engine.plan(question.sql, (), Dialect(), filled)
        batches = [piece async for batch in plan.start() for piece in _pieces(batch.to_pyarrow(), plan.schema)]
    except Exception as error:
        failed = of_engine(error)
        return Answer(error=(failed.engine_text or failed.message).removeprefix("DataFusion error: "))
    schema = arrow_bytes(plan.schema)
    return Answer(pieces=[schema + batches[0], *batches[1:], _END] if batches else [schema + _END])


def _pieces(batch: Any, schema: Any) -> list[bytes]:
    whole = batch if batch.schema.types == schema.types else batch.cast(schema)
    return [arrow_bytes(whole.slice(start, ROWS_PER_PIECE)) for start in range(0, whole.num_rows, ROWS_PER_PIECE)]


def main() -> int:
    """Answer one question."""
    die_with_parent(os.getppid())
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get into the answer
    question = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Question)
    answers.write(msgspec.msgpack.encode(asyncio.run(answer(question))))
    answers.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
