"""What released PostgreSQL clients ask of the catalogue, and what else they do: psql, psycopg, asyncpg, SQLAlchemy, JDBC, Grafana."""

import asyncio
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import asyncpg
import psycopg
import pytest
import sqlalchemy

from perdure.query.catalogue import TABLES
from tests.e2e.sql_process import RECORDS, Sql, psql

JDBC: Final = "/usr/share/java/postgresql.jar"
JAVA_ROOM: Final = Path(__file__).parent / "java"
COLUMNS: Final = len(TABLES["sys_invocation"].columns)


# ---- psql


@pytest.mark.parametrize("command", [r"\d", r"\dt"])
def test_psql_lists_the_tables(sql: Sql, command: str) -> None:
    lines = psql(sql, command).stdout.splitlines()
    assert lines == [f"public|{name}|table|perdure" for name in sorted(TABLES)]


def test_psql_describes_a_table(sql: Sql) -> None:
    finished = psql(sql, r"\d sys_deployment")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert finished.stdout.splitlines() == [
        "id|text|||",
        "ty|text|||",
        "endpoint|text|||",
        "created_at|timestamp with time zone|||",
        "min_service_protocol_version|bigint|||",
        "max_service_protocol_version|bigint|||",
        "services|text[]|||",
    ]


@pytest.mark.parametrize(
    "command", [r"\d+ state", r"\dn", r"\l", r"\du", r"\dv", r"\di", r"\df", r"\dT", r"\dp", r"\dx", r"\d pg_class", r"\dt *.*"]
)
def test_psql_has_an_answer_to_its_other_commands(sql: Sql, command: str) -> None:
    finished = psql(sql, command)
    assert finished.returncode == 0
    assert "ERROR" not in finished.stderr


def test_psql_joins_and_aggregates(sql: Sql) -> None:
    statement = (
        "SELECT s.ty, count(i.id), max(i.created_at) FROM sys_service s LEFT JOIN sys_invocation i ON i.target_service_name = s.name"
        " GROUP BY s.ty HAVING count(*) > 0 ORDER BY 1"
    )
    assert psql(sql, statement).stdout.splitlines() == [
        "service|1|2026-03-01 09:30:00.125000+00",
        "virtual_object|1|2026-03-01 09:30:00.125000+00",
    ]


def test_psql_copies_a_result_to_a_file(sql: Sql, tmp_path: Path) -> None:
    copied = tmp_path / "services.csv"
    finished = psql(sql, rf"\copy (select name, ty, public from sys_service order by name) to '{copied}' csv header")
    assert finished.stdout == "COPY 2\n"
    assert copied.read_text() == "name,ty,public\nCounter,virtual_object,f\nGreeter,service,t\n"


# ---- psycopg


@pytest.mark.parametrize("options", ["", "(FORMAT csv, HEADER, DELIMITER ';')", "(FORMAT binary)"])
def test_psycopg_copies_rows(sql: Sql, options: str) -> None:
    with sql.connect() as connection, connection.cursor() as cursor:
        with cursor.copy(f"COPY (SELECT name, public, NULL AS nothing FROM sys_service ORDER BY name) TO STDOUT {options}") as copy:
            if "binary" in options:
                copy.set_types(["text", "bool", "text"])
                assert list(copy.rows()) == [("Counter", False, None), ("Greeter", True, None)]
            elif options:
                assert b"".join(copy) == b"name;public;nothing\nCounter;f;\nGreeter;t;\n"
            else:
                assert b"".join(copy) == b"Counter\tf\t\\N\nGreeter\tt\t\\N\n"
        assert cursor.execute("SELECT 1").fetchone() == (1,)


def test_psycopg_passes_lists(sql: Sql) -> None:
    with sql.connect() as connection:
        rows = connection.execute("SELECT name FROM sys_service WHERE name = ANY(%s)", [["Greeter", "nobody"]]).fetchall()
        assert rows == [("Greeter",)]


def test_psycopg_works_asynchronously(sql: Sql) -> None:
    async def read() -> object:
        async with await psycopg.AsyncConnection.connect(sql.url) as connection, connection.pipeline():
            first = await connection.execute("SELECT count(*) FROM sys_invocation")
            second = await connection.execute("SELECT name FROM sys_service ORDER BY name LIMIT %s", [1])
            return await first.fetchone(), await second.fetchone()

    assert asyncio.run(read()) == ((len(RECORDS),), ("Counter",))


# ---- asyncpg


def test_asyncpg_learns_types_that_it_does_not_know(sql: Sql) -> None:
    async def read() -> tuple[object, object, object]:
        connection = await asyncpg.connect(sql.url)
        try:
            suspended = await connection.fetchrow("SELECT * FROM sys_invocation WHERE status = 'suspended'")
            await connection.set_type_codec("bool", schema="pg_catalog", encoder=str, decoder="<{}>".format)
            public = await connection.fetchval("SELECT public FROM sys_service WHERE name = $1", "Greeter")
            named = await connection.fetch("SELECT oid, typname FROM pg_type WHERE oid = any($1::oid[]) ORDER BY 1", [25, 1700])
            assert suspended is not None
            return suspended["suspended_waiting_for_completions"], public, [tuple(row) for row in named]
        finally:
            await connection.close()

    assert asyncio.run(read()) == ([4, 5], "<t>", [(25, "text"), (1700, "numeric")])


def test_asyncpg_gives_parameters_the_types_of_their_columns(sql: Sql) -> None:
    async def read() -> object:
        connection = await asyncpg.connect(sql.url)
        try:
            return await connection.fetchval("SELECT target FROM sys_invocation WHERE journal_size >= $1 LIMIT $2", 5, 1)
        finally:
            await connection.close()

    assert asyncio.run(read()) == "Counter/a/b/add"


# ---- SQLAlchemy


def test_sqlalchemy_inspects_and_reflects(sql: Sql) -> None:
    engine = sqlalchemy.create_engine(sql.url.replace("postgresql:", "postgresql+psycopg:"))
    try:
        inspector = sqlalchemy.inspect(engine)
        assert sorted(inspector.get_table_names()) == sorted(TABLES)
        assert "public" in inspector.get_schema_names()
        assert [column["name"] for column in inspector.get_columns("sys_invocation")] == [
            column.name for column in TABLES["sys_invocation"].columns
        ]
        assert inspector.get_pk_constraint("state")["constrained_columns"] == []
        assert (inspector.get_indexes("state"), inspector.get_foreign_keys("state")) == ([], [])
        metadata = sqlalchemy.MetaData()
        metadata.reflect(engine, only=["sys_service"])
        service = metadata.tables["sys_service"]
        with engine.connect() as connection:
            found = connection.execute(sqlalchemy.select(service.c.name).where(service.c.public).order_by(service.c.name))
            assert found.fetchall() == [("Greeter",)]
    finally:
        engine.dispose()


# ---- JDBC


def test_jdbc_introspects_selects_and_pages(sql: Sql) -> None:
    if shutil.which("java") is None or not os.path.exists(JDBC):
        pytest.skip("Java or its PostgreSQL driver is not installed")
    url = f"jdbc:postgresql://127.0.0.1:{sql.port}/restate"
    runaway = "SELECT count(*) FROM generate_series(1, 100000000000)"
    command = ["java", "-cp", JDBC, str(JAVA_ROOM / "Introspect.java"), url, runaway]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (finished.returncode, finished.stderr) == (0, "")
    lines = finished.stdout.splitlines()
    assert lines[:11] == [
        "version 14.0",
        "schema public",
        "schemas 4",
        f"tables {len(TABLES)}",
        f"columns {COLUMNS}",
        "keys 0",
        "imported 0",
        "indexes 0",
        "procedures 0",
        "types true",
        "keywords ilike,limit,offset,returning",
    ]
    assert lines[11:19] == ["target Counter/a/b/add 1772357400125"] * 8
    assert lines[19:] == [f"invocations {len(RECORDS)}", "deployments 1", "paged 1000", "refused 25006", "refused 57014"]


# ---- Grafana: the statements of its data source for PostgreSQL, as it sends them

GRAFANA: Final = [
    ("SELECT current_setting('server_version_num')::int/100 as version", [(1400,)]),
    (
        "select quote_ident(table_name) as t from information_schema.tables where quote_ident(table_schema) not in"
        " ('information_schema', 'pg_catalog', 'v0_8') and table_type = 'BASE TABLE' and table_name like 'sys_inv%' order by 1",
        [("sys_invocation",), ("sys_invocation_state",), ("sys_invocation_status",)],
    ),
    (
        'SELECT quote_ident(column_name) AS "column", data_type AS "type" FROM information_schema.columns'
        " WHERE quote_ident(table_name) = 'sys_service' AND quote_ident(table_schema) = 'public' ORDER BY ordinal_position",
        [("name", "text"), ("revision", "numeric"), ("public", "boolean"), ("ty", "text"), ("deployment_id", "text")],
    ),
    (
        'SELECT floor(extract(epoch from created_at)/3600)*3600 AS "time", count(*) FROM sys_invocation'
        " WHERE created_at BETWEEN '2026-03-01T00:00:00Z' AND '2026-03-02T00:00:00Z' GROUP BY 1 ORDER BY 1",
        [(1772355600.0, len(RECORDS))],
    ),
]


@pytest.mark.parametrize(("statement", "expected"), GRAFANA)
def test_grafana_finds_tables_columns_and_series(sql: Sql, statement: str, expected: list[tuple[object, ...]]) -> None:
    with sql.connect() as connection:
        assert connection.execute(statement.encode()).fetchall() == expected
