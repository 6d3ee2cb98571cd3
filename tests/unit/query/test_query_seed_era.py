"""The tables of the seed era over a store with known rows."""

from pathlib import Path

import pytest

from perdure.query.engine import AS_ENGINE, Engine
from perdure.query.errors import QueryError
from perdure.query.wire import Dialect
from tests.unit.query.test_query_tables import HOLDER, PLAIN, WAITING, text, with_engine

SEED_ERA = Dialect(schema="v0_8")
PLAIN_KEY = "ffffffff-ffff-ffff-ffff-ffffffffffff"
MOMENT = "2026-03-01T09:30:00"

STATEMENTS: list[tuple[str, list[tuple[object, ...]]]] = [
    (
        "SELECT service, method, service_key, status, id, invoked_by, journal_size FROM sys_status ORDER BY service",
        [
            ("Counter", "add", "a", "invoked", text(HOLDER), "ingress", 3),
            ("Greeter", "greet", PLAIN_KEY, "suspended", text(PLAIN), "restate", 0),
        ],
    ),
    ("SELECT service, method, service_key, id, sequence_number FROM sys_inbox", [("Counter", "add", "a", text(WAITING), 7)]),
    ("SELECT id, in_flight, retry_count FROM sys_invocation_state", [(text(HOLDER), True, 2)]),
    ("SELECT count(*) FROM sys_invocation_state", [(1,)]),
    (
        "SELECT index, entry_type, completed, invoked_service, invoked_method, invoked_service_key FROM sys_journal"
        " WHERE service = 'Counter' AND service_key = 'a' ORDER BY index",
        [
            (0, "PollInputStream", True, None, None, None),
            (1, "Custom", None, None, None, None),
            (2, "Invoke", False, "Flow", "run", "b"),
        ],
    ),
    ("SELECT service, service_key, key, value_utf8 FROM state WHERE service = 'Flow'", [("Flow", "b", "name", '"n"')]),
    ("SELECT count(*) FROM sys_status WHERE status = 'free'", [(0,)]),
    ("SELECT count(*) FROM sys_service", [(0,)]),
    ("SELECT CAST(CAST(created_at AS TIMESTAMP) AS VARCHAR) FROM sys_status WHERE service = 'Counter'", [(f"{MOMENT}.125",)]),
]


async def rows(engine: Engine, sql: str, dialect: Dialect) -> list[tuple[object, ...]]:
    result = await engine.run(sql, (), dialect)
    return [tuple(row.values()) async for batch in result.batches for row in batch.to_pylist()]


@pytest.mark.parametrize(("sql", "expected"), STATEMENTS)
def test_a_table_shows_what_it_showed_then(sql: str, expected: list[tuple[object, ...]], tmp_path: Path) -> None:
    async def work(engine: Engine) -> None:
        assert await rows(engine, sql, SEED_ERA) == expected

    with_engine(tmp_path, work)


def test_a_statement_that_only_fits_the_old_tables_means_them(tmp_path: Path) -> None:
    async def work(engine: Engine) -> None:
        assert await rows(engine, "SELECT count(*) FROM sys_status", AS_ENGINE) == [(2,)]
        assert await rows(engine, "SELECT ss.id FROM sys_status ss JOIN sys_journal sj ON ss.service = sj.service", AS_ENGINE)
        assert (await engine.describe("SELECT service FROM state")).names == ["service"]
        assert len(await rows(engine, "SELECT * FROM state LIMIT 1", AS_ENGINE)) == 1
        assert (await engine.describe("SELECT * FROM state")).names[1] == "scope"
        assert (await engine.describe("SELECT * FROM v0_8.state")).names[1] == "service"

    with_engine(tmp_path, work)


def test_what_fits_neither_is_refused_in_the_terms_of_today(tmp_path: Path) -> None:
    async def work(engine: Engine) -> None:
        with pytest.raises(QueryError, match=r"restate\.public\.nope"):
            await engine.run("SELECT * FROM nope", (), AS_ENGINE)

    with_engine(tmp_path, work)
