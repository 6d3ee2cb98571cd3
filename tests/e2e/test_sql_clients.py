"""What released PostgreSQL clients ask of the catalogue, and what else they do: psql, psycopg, asyncpg, SQLAlchemy, JDBC, Grafana."""

import asyncio
import datetime
import io
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
    "commands",
    [
        r"\d+ state,\dt+,\dn+,\l,\l+,\du+,\dv,\di,\d pg_class,\dt *.*",
        r"\df,\df+,\da,\dT+,\dp,\dx,\dX,\dc,\dC,\dd,\ddp,\dL,\do,\db+",
        r"\dew,\deu,\dF,\dFd,\dRp,\dRs,\drds,\dAc,\dAf,\dy,\dconfig,\lo_list",
    ],
)
def test_psql_has_an_answer_to_its_other_commands(sql: Sql, commands: str) -> None:
    finished = psql(sql, *commands.split(","))
    assert finished.returncode == 0
    assert "ERROR" not in finished.stderr


def test_psql_reads_through_a_cursor_and_shows_where_an_error_is(sql: Sql) -> None:
    numbers = psql(sql, r"\set FETCH_COUNT 3", "SELECT value FROM generate_series(1, 7)").stdout.split()
    assert numbers == list("1234567")
    told = psql(sql, "SELECT nmae FROM sys_service").stderr.splitlines()
    assert told[:3] == ["ERROR:  No field named nmae", "LINE 1: SELECT nmae FROM sys_service", "               ^"]


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


def test_psycopg_reads_through_a_cursor_of_the_server(sql: Sql) -> None:
    with psycopg.connect(sql.url) as connection, connection.cursor(name="c", binary=True) as cursor:
        cursor.execute("SELECT value FROM generate_series(1, 1000) WHERE value > %s", [7])
        assert cursor.fetchmany(2) == [(8,), (9,)]
        cursor.scroll(10)
        assert sum(row[0] for row in cursor) == 1000 * 1001 // 2 - 19 * 20 // 2
    with psycopg.connect(sql.url) as connection:
        assert connection.execute("SELECT now() - %s < now()", [datetime.timedelta(days=1)]).fetchone() == (True,)


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


def test_asyncpg_hands_connections_of_a_pool_from_one_to_the_next(sql: Sql) -> None:
    async def read() -> tuple[object, object]:
        async with asyncpg.create_pool(sql.url, min_size=1, max_size=1) as pool:
            async with pool.acquire() as connection:
                await connection.execute("SET search_path TO v0_8")
                await connection.execute("DECLARE c CURSOR WITH HOLD FOR SELECT 1")
            async with pool.acquire() as connection:  # as it was: the pool has asked for that
                return await connection.fetchval("SHOW search_path"), await connection.execute("DECLARE c CURSOR WITH HOLD FOR SELECT 1")

    assert asyncio.run(read()) == ("public", "DECLARE CURSOR")


def test_asyncpg_moves_in_a_cursor_and_copies_with_parameters(sql: Sql) -> None:
    async def read() -> tuple[object, bytes]:
        connection = await asyncpg.connect(sql.url)
        try:
            async with connection.transaction(readonly=True):
                cursor = await connection.cursor("SELECT value FROM generate_series(1, 9)")
                await cursor.forward(3)
                value = await cursor.fetchrow()
            copied = io.BytesIO()
            await connection.copy_from_query("SELECT name FROM sys_service WHERE name <> $1", "Counter", output=copied, format="csv")
            return value and value["value"], copied.getvalue()
        finally:
            await connection.close()

    assert asyncio.run(read()) == (4, b"Greeter\n")


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


def test_sqlalchemy_streams_a_result(sql: Sql) -> None:
    engine = sqlalchemy.create_engine(sql.url.replace("postgresql:", "postgresql+psycopg:"))
    try:
        with engine.connect().execution_options(stream_results=True, yield_per=100) as connection:
            numbers = connection.execute(sqlalchemy.text("SELECT value FROM generate_series(1, 1000) WHERE value > :least"), {"least": 10})
            assert sum(row.value for row in numbers) == 1000 * 1001 // 2 - 55
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
        "select quote_ident(table_name) as t from information_schema.tables where table_name like 'sys_s%' and"
        " quote_ident(table_schema) IN (SELECT CASE WHEN trim(s[i]) = '\"$user\"' THEN user ELSE trim(s[i]) END"
        " FROM generate_series(array_lower(string_to_array("
        "current_setting('search_path'),','),1), array_upper(string_to_array(current_setting('search_path'),','),1)) as i,"
        " string_to_array(current_setting('search_path'),',') s) order by 1",
        [("sys_scheduler",), ("sys_service",)],
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


# ---- DBeaver, Metabase and pgcli: some of what they ask when they connect

TOOLS: Final = [
    "SELECT db.oid,db.* FROM pg_catalog.pg_database db WHERE datallowconn AND NOT datistemplate OR db.datname = 'restate' ORDER BY datname",
    "SELECT n.oid,n.*,d.description FROM pg_catalog.pg_namespace n LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=n.oid"
    " AND d.objsubid=0 AND d.classoid='pg_namespace'::regclass ORDER BY nspname",
    "SELECT c.oid,c.*,d.description,pg_catalog.pg_get_expr(c.relpartbound, c.oid) as partition_expr,"
    " pg_catalog.pg_get_partkeydef(c.oid) as partition_key FROM pg_catalog.pg_class c LEFT OUTER JOIN pg_catalog.pg_description d"
    " ON d.objoid=c.oid AND d.objsubid=0 AND d.classoid='pg_class'::regclass WHERE c.relnamespace=2200 AND c.relkind not in ('i','I','c')",
    "select t.schemaname, pg_catalog.has_any_column_privilege(current_user, format('%I.%I', t.schemaname, t.name), 'update') as update"
    " from (select schemaname, tablename as name from pg_catalog.pg_tables union select schemaname, viewname from pg_catalog.pg_views) t"
    " where t.schemaname !~ '^pg_' and pg_catalog.has_schema_privilege(current_user, t.schemaname, 'usage')",
    "SELECT n.nspname, c.relname, stat.n_live_tup FROM pg_catalog.pg_class c INNER JOIN pg_catalog.pg_namespace n ON c.relnamespace = n.oid"
    " LEFT JOIN pg_stat_user_tables AS stat ON n.nspname = stat.schemaname AND c.relname = stat.relname WHERE c.relkind = ANY('{r,p,v}')",
]


def test_tools_find_what_they_ask_for_when_they_connect(sql: Sql) -> None:
    with sql.connect() as connection:
        found = [connection.execute(statement.encode()).fetchall() for statement in TOOLS]
    assert all(found)
    assert found[0][0][:2] == (16_383, 16_383)  # a column that is named twice is there twice


@pytest.mark.parametrize(("statement", "expected"), GRAFANA)
def test_grafana_finds_tables_columns_and_series(sql: Sql, statement: str, expected: list[tuple[object, ...]]) -> None:
    with sql.connect() as connection:
        assert connection.execute(statement.encode()).fetchall() == expected
