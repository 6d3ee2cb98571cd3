"""JSON in SQL."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.query.catalogue import SCHEMAS
from perdure.query.datafusion import DataFusion
from perdure.query.engine import AS_ENGINE
from perdure.query.json_functions import with_json_calls

ENGINE = DataFusion(SCHEMAS, {}, memory_bytes_max=1 << 26)
DOCUMENT = json.dumps({"a": {"b": [1, "x", None, 2.5, True]}, "n": None, "s": "é"})


def value(sql: str, *parameters: object) -> object:
    async def run() -> object:
        [batch] = [batch.to_pyarrow() async for batch in ENGINE.plan(sql, parameters, AS_ENGINE, {}).start()]
        return batch.column(0).to_pylist()[0]

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("json_get_int($1, 'a', 'b', 0)", 1),
        ("json_get_str($1, 'a', 'b', 1)", "x"),
        ("json_get_float($1, 'a', 'b', 3)", 2.5),
        ("json_get_float($1, 'a', 'b', 0)", 1.0),
        ("json_get_bool($1, 'a', 'b', 4)", True),
        ("json_get_int($1, 'a', 'b', 4)", None),
        ("json_get_str($1, 'a')", None),
        ("json_get_str($1, 'a', 'b', 99)", None),
        ("json_get_str($1, 's')", "é"),
        ("json_as_text($1, 'n')", None),
        ("json_as_text($1, 'a', 'b', 3)", "2.5"),
        ("json_contains($1, 'n')", True),
        ("json_contains($1, 'missing', 'b')", False),
        ("json_length($1)", 3),
        ("json_length($1, 'a', 'b')", 5),
        ("json_object_keys($1)", ["a", "n", "s"]),
        ("json_get_array($1, 'a', 'b')", ["1", '"x"', "null", "2.5", "true"]),
        ("$1 -> 'a' -> 'b' ->> 1", "x"),
        ("($1 ->> 's') || '!'", "é!"),
        ("$1 ? 'a' AND NOT $1 ? 'z'", True),
        ("json_get_int(json_get_json($1, 'a'), 'b', 0) + 1", 2),
        ("json_get_int('no json', 'a')", None),
        ("json_length('5')", None),
    ],
)
def test_what_lies_at_a_path_is_found(expression: str, expected: object) -> None:
    assert value(f"SELECT {expression}", *([DOCUMENT] if "$1" in expression else [])) == expected


@given(st.recursive(st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(), st.lists, max_leaves=5))
def test_text_of_any_value_reads_back(given_value: object) -> None:
    document = json.dumps({"k": given_value})
    found = value("SELECT json_get_json($1, 'k')", document)
    assert json.loads(str(found)) == given_value


def test_a_statement_without_json_is_left_alone() -> None:
    sql = "SELECT id FROM sys_journal WHERE entry_json LIKE '%->%' -- why?\n"
    assert with_json_calls(sql) == sql
