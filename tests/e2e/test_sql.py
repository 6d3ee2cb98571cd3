"""The sql process over a store that the test filled, reached with psql, psycopg and asyncpg."""

import asyncio
import datetime
import socket
import threading
from collections.abc import Callable

import asyncpg
import psutil
import psycopg
import pytest

from perdure.base.ids import format_invocation_id
from perdure.query.workers import RUNNING_MAX
from tests.e2e.processes import eventually
from tests.e2e.sql_process import CALLER, NOW_MS, RECORDS, Sql, an_id, psql

RUNAWAY = "SELECT count(*) FROM generate_series(1, 100000000000)"


# ---- psql


def test_psql_selects_one(sql: Sql) -> None:
    finished = psql(sql, "SELECT 1")
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "1\n", "")


def test_psql_sees_invocations(sql: Sql) -> None:
    query = "SELECT target, status, created_at, completion_retention, journal_size FROM sys_invocation WHERE completion_failure IS NOT NULL"
    assert psql(sql, query).stdout == "Counter/a/b/add|completed|2026-03-01 09:30:00.125000+00|24:00:00|5\n"


def test_psql_runs_several_statements_of_one_message(sql: Sql) -> None:
    assert psql(sql, "BEGIN; SELECT 'a;b'; -- ;\n SHOW search_path; COMMIT;").stdout.splitlines() == ["BEGIN", "a;b", "public", "COMMIT"]


def test_psql_shows_errors_with_their_state(sql: Sql) -> None:
    finished = psql(sql, "\\set VERBOSITY verbose", "SELECT nope FROM sys_invocation")
    assert finished.returncode == 1
    assert "ERROR:  42703: No field named nope" in finished.stderr


# ---- psycopg


def test_psycopg_reads_types(sql: Sql) -> None:
    with sql.connect() as connection:
        row = connection.execute(
            "SELECT id, target_service_key, pinned_service_protocol_version, created_at, completion_retention, idempotency_key, trace_id"
            " FROM sys_invocation WHERE target_service_name = %s",
            ["Counter"],
        ).fetchone()
    created_at = datetime.datetime.fromtimestamp(NOW_MS / 1000, datetime.UTC)
    assert row == (format_invocation_id(an_id(2)), "a/b", 6, created_at, datetime.timedelta(days=1), "once", "a" * 32)


def test_binary_results_equal_text_results(sql: Sql) -> None:
    query = (
        "SELECT i.*, true AS yes, 1.5 AS half, arrow_cast(7, 'UInt64') AS big, '2026-03-01'::date AS day, x'ff' AS raw,"
        " arrow_cast(-1.25, 'Decimal128(10, 4)') AS exact FROM sys_invocation i ORDER BY id"
    )
    with sql.connect() as connection:
        texts = connection.cursor(binary=False).execute(query).fetchall()
        binaries = connection.cursor(binary=True).execute(query).fetchall()
    assert len(texts) == len(RECORDS)
    assert texts == binaries


@pytest.mark.parametrize("binary", [False, True])
def test_parameters_of_all_types_arrive(sql: Sql, binary: bool) -> None:
    moment = datetime.datetime(2026, 3, 1, 9, 30, tzinfo=datetime.UTC)
    given = [7, 2**40, 1.5, True, "text", None]
    place = "%b" if binary else "%t"
    with sql.connect() as connection:
        query = f"SELECT {', '.join(f'{place} AS c{number}' for number in range(len(given)))}"
        assert connection.execute(query, given).fetchone() == tuple(given)
        count = connection.execute(f"SELECT count(*) FROM sys_invocation WHERE created_at > {place}", [moment]).fetchone()
        assert count == (len(RECORDS),)


def test_a_prepared_statement_is_used_again_and_again(sql: Sql) -> None:
    with sql.connect() as connection:
        for number in range(12):
            assert connection.execute("SELECT %s::int8 + 1 AS n", [number]).fetchone() == (number + 1,)
        connection.execute("DEALLOCATE ALL")


def test_a_transaction_has_its_states(sql: Sql) -> None:
    with psycopg.connect(sql.url) as connection:
        connection.execute("SELECT 1")
        assert connection.info.transaction_status is psycopg.pq.TransactionStatus.INTRANS
        with pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute("SELECT * FROM nope")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            connection.execute("SELECT 1")
        connection.rollback()
        with connection.transaction(), connection.transaction():
            assert connection.execute("SELECT 2").fetchone() == (2,)
        assert connection.info.transaction_status is psycopg.pq.TransactionStatus.IDLE


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("INSERT INTO sys_service VALUES ('a')", psycopg.errors.ReadOnlySqlTransaction),
        ("UPDATE sys_service SET name = 'a'", psycopg.errors.ReadOnlySqlTransaction),
        ("CREATE TABLE t AS SELECT 1", psycopg.errors.ReadOnlySqlTransaction),
        ("COPY (SELECT 1) TO '/tmp/x.csv'", psycopg.errors.ReadOnlySqlTransaction),
        ("EXPLAIN ANALYZE CREATE TABLE t AS SELECT 1", psycopg.errors.ReadOnlySqlTransaction),
        ("SELECT * FROM nope", psycopg.errors.UndefinedTable),
        ("SELECT nope FROM sys_service", psycopg.errors.UndefinedColumn),
        ("SELECT nope()", psycopg.errors.UndefinedFunction),
        ("SELEC 1", psycopg.errors.SyntaxError),
        ("SELECT 1 / 0", psycopg.errors.DivisionByZero),
        ("SELECT 'a'::int", psycopg.errors.InvalidTextRepresentation),
        ("SHOW nope", psycopg.errors.UndefinedObject),
    ],
)
def test_what_cannot_be_run_says_why(sql: Sql, statement: str, error: type[psycopg.Error]) -> None:
    with sql.connect() as connection:
        with pytest.raises(error):
            connection.execute(statement)
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_the_registry_is_there(sql: Sql) -> None:
    with sql.connect() as connection:
        services = connection.execute("SELECT name, revision, public, ty FROM sys_service ORDER BY name").fetchall()
        deployments = connection.execute("SELECT id, ty, endpoint, services FROM sys_deployment").fetchall()
    assert services == [("Counter", 1, False, "virtual_object"), ("Greeter", 1, True, "service")]
    assert deployments == [("dp_1a", "http", "http://h:9080/", ["Counter", "Greeter"])]


def test_the_search_path_shows_the_tables_of_the_seed_era(sql: Sql) -> None:
    with psycopg.connect(sql.url, autocommit=True, options="-c search_path=v0_8") as connection:
        services = connection.execute("SELECT name, instance_type FROM sys_service ORDER BY name").fetchall()
        assert services == [("Counter", "keyed"), ("Greeter", "unkeyed")]
        connection.execute("SET search_path TO public")
        assert connection.execute("SELECT ty FROM sys_service WHERE name = 'Greeter'").fetchone() == ("service",)
        status = "SELECT service, status, created_at FROM sys_status WHERE service = 'Greeter'"  # only that era has it
        assert connection.execute(status).fetchall() == [("Greeter", "invoked", "2026-03-01 09:30:00")]


def test_suspended_invocations_tell_what_they_wait_for(sql: Sql) -> None:
    with sql.connect() as connection:
        row = connection.execute(
            "SELECT suspended_waiting_for_completions, suspended_waiting_for_signals, suspended_waiting_future_json"
            " FROM sys_invocation WHERE status = 'suspended'"
        ).fetchone()
    tree = '{"Unknown":[{"Single":{"CompletionId":4}},{"Single":{"SignalIndex":1}},{"AllCompleted":[{"Single":{"CompletionId":5}}]}]}'
    assert row == ([4, 5], [1], tree)


def test_callers_are_told(sql: Sql) -> None:
    with sql.connect() as connection:
        row = connection.execute(
            "SELECT invoked_by, invoked_by_id, invoked_by_target FROM sys_invocation WHERE invoked_by = 'service'"
        ).fetchone()
    assert row == ("service", format_invocation_id(CALLER), "Greeter/greet")


def test_version_and_settings_are_those_of_postgres(sql: Sql) -> None:
    with sql.connect() as connection:
        [version] = connection.execute("SELECT version()").fetchone() or ("",)
        connection.execute("SET application_name = 'a test'")
        assert connection.execute("SHOW application_name").fetchone() == ("a test",)
        assert connection.execute("SHOW TRANSACTION ISOLATION LEVEL").fetchone() == ("read committed",)
        assert connection.info.server_version == 140000
    assert str(version).startswith("PostgreSQL 14.0 (Perdure")


def test_rows_come_as_the_cursor_fetches_them(sql: Sql) -> None:
    with sql.connect() as connection:
        stream = connection.cursor().stream("SELECT value FROM generate_series(1, 20000)")
        assert sum(int(str(row[0])) for row in stream) == 20000 * 20001 // 2


# ---- asyncpg


def test_asyncpg_reads_through_a_cursor(sql: Sql) -> None:
    async def read() -> tuple[list[object], object]:
        connection = await asyncpg.connect(sql.url)
        try:
            async with connection.transaction():
                cursor = connection.cursor("SELECT value FROM generate_series(1, 2500)", prefetch=1000)
                values = [record["value"] async for record in cursor]
            status = await connection.fetchval("SELECT status FROM sys_invocation WHERE target_service_name = $1", "Greeter")
            return values, status
        finally:
            await connection.close()

    assert asyncio.run(read()) == (list(range(1, 2501)), "ready")


def test_a_client_that_leaves_amid_a_result_leaves_no_statement_behind(sql: Sql) -> None:
    async def read_a_little() -> None:
        connection = await asyncpg.connect(sql.url)
        await connection.execute("BEGIN")
        cursor = await connection.cursor("SELECT repeat('x', 1000) AS filler FROM generate_series(1, 100000)")
        assert len(await cursor.fetch(10)) == 10
        connection.terminate()

    for _ in range(RUNNING_MAX + 1):
        asyncio.run(read_a_little())
    with sql.connect() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


# ---- limits


def test_a_runaway_query_is_cut(start_sql: Callable[..., Sql]) -> None:
    sql = start_sql(query_timeout="3s")
    with sql.connect() as connection:
        with pytest.raises(psycopg.errors.QueryCanceled, match="statement timeout"):
            connection.execute(RUNAWAY)
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_query_that_is_cut_burns_no_more(start_sql: Callable[..., Sql]) -> None:
    sql = start_sql(query_timeout="3s")
    join = "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b WHERE a.value + b.value = 7"
    with sql.connect() as connection:
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute(join)
        workers = psutil.Process(sql.process.pid).children()
        eventually(lambda: not any(worker.is_running() for worker in workers), "its process is gone")
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_client_cancels_its_query(sql: Sql) -> None:
    with sql.connect() as connection:
        stop = threading.Event()

        def cancel_until_it_works() -> None:
            while not stop.wait(0.02):
                connection.cancel()

        canceller = threading.Thread(target=cancel_until_it_works)
        canceller.start()
        try:
            with pytest.raises(psycopg.errors.QueryCanceled, match="user request"):
                connection.execute(RUNAWAY)
        finally:
            stop.set()
            canceller.join()
        assert connection.info.status is psycopg.pq.ConnStatus.OK


def test_too_large_results_and_too_many_sessions_are_refused(start_sql: Callable[..., Sql]) -> None:
    sql = start_sql(result_rows_limit="1000", connections_max="1")
    with sql.connect() as connection:
        assert len(connection.execute("SELECT value FROM generate_series(1, 1000)").fetchall()) == 1000
        with pytest.raises(psycopg.errors.ProgramLimitExceeded, match="limit of 1000 rows"):
            connection.execute("SELECT value FROM generate_series(1, 1001)")
        with pytest.raises(psycopg.OperationalError, match="too many connections"):
            sql.connect()


def test_what_is_not_postgres_is_refused(sql: Sql) -> None:
    with socket.create_connection(("127.0.0.1", sql.port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        answer = b""
        while data := client.recv(4096):
            answer += data
    assert b"C08P01\0" in answer


def test_stopping_tells_idle_clients_and_ends_in_order(start_sql: Callable[..., Sql]) -> None:
    sql = start_sql()
    connection = sql.connect()
    connection.execute("SELECT 1")
    sql.process.terminate()
    assert sql.process.wait(10) == 0
    with pytest.raises(psycopg.errors.AdminShutdown):
        connection.execute("SELECT 1")
    connection.close()
