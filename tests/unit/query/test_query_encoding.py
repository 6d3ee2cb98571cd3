"""Batches as JSON, against what restate-server 1.7.12 answered to the same expressions."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pytest

from perdure.query.catalogue import SCHEMAS
from perdure.query.datafusion import DataFusion
from perdure.query.encoding import encoded, json_rows
from perdure.query.engine import AS_ENGINE, Result
from perdure.query.wire import Form

ENGINE = DataFusion(SCHEMAS, {}, memory_bytes_max=1 << 26)


async def batches_of(sql: str) -> list[Any]:
    return [batch.to_pyarrow() async for batch in ENGINE.plan(sql, (), AS_ENGINE, {}).start()]


def shown(expression: str) -> str:
    [batch] = asyncio.run(batches_of(f"SELECT {expression} AS v"))
    return json_rows(batch).decode()


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1.5", "1.5"),
        ("cast(1.50 as decimal(4, 2))", "1.50"),
        ("'nan'::double", "null"),
        ("true", "true"),
        ("x'ff'", '"ff"'),
        ("interval '1 hour'", '"1 hours"'),
        ("interval '1 month 2 days'", '"1 mons 2 days"'),
        ("'2026-03-01'::date", '"2026-03-01"'),
        ("'09:30:00.125'::time", '"09:30:00.125"'),
        ("[1, null, 2]", "[1,null,2]"),
        ("18446744073709551615", "18446744073709551615"),
        ("arrow_cast(12000000005, 'Duration(Nanosecond)')", '"PT12.000000005S"'),
        ("arrow_cast(1500, 'Duration(Millisecond)')", '"PT1.5S"'),
        ("arrow_cast(11, 'Duration(Millisecond)')", '"PT0.011S"'),
        ("arrow_cast(0, 'Duration(Millisecond)')", '"P0D"'),
        ("arrow_cast(-1500, 'Duration(Millisecond)')", '"-PT1.5S"'),
        ("arrow_cast(86400000, 'Duration(Millisecond)')", '"PT86400S"'),
        ("named_struct('a', 1)", '{"a":1}'),
        ("arrow_cast(1772357400000, 'Timestamp(Millisecond, Some(\"+00:00\"))')", '"2026-03-01T09:30:00Z"'),
        ("arrow_cast(1772357400125, 'Timestamp(Millisecond, Some(\"+00:00\"))')", '"2026-03-01T09:30:00.125Z"'),
        ("arrow_cast(-1, 'Timestamp(Nanosecond, None)')", '"1969-12-31T23:59:59.999999999"'),
    ],
)
def test_values_are_written_as_clients_know_them(expression: str, value: str) -> None:
    assert shown(expression) == f'{{"v":{value}}}'


def test_a_null_is_left_out() -> None:
    assert shown("null") == "{}"


async def results(*batches: Any) -> AsyncIterator[Any]:
    for batch in batches:
        yield batch


def parts(form: Form, *counts: int) -> list[bytes]:
    schema = pa.schema([("n", pa.int64())])
    batches = [pa.record_batch([pa.array(range(count), pa.int64())], schema=schema) for count in counts]

    async def read() -> list[bytes]:
        return [part async for part in encoded(Result(schema, results(*batches)), form)]

    return asyncio.run(read())


@pytest.mark.parametrize("counts", [(), (0,), (2,), (0, 2), (2, 0, 1), (0, 0)])
def test_the_parts_make_one_document(counts: tuple[int, ...]) -> None:
    expected = [{"n": number} for count in counts for number in range(count)]
    assert json.loads(b"".join(parts(Form.JSON, *counts))) == {"rows": expected}
    stream = pa.ipc.open_stream(b"".join(parts(Form.ARROW, *counts)) + b"\xff\xff\xff\xff\x00\x00\x00\x00")
    assert stream.read_all().to_pylist() == expected
