"""TLS and passwords of the sql process, with real clients."""

import asyncio
import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import asyncpg
import psycopg
import pytest

from tests.contract.deployments.certificates import make_certificates
from tests.e2e.processes import eventually
from tests.e2e.sql_process import Sql

PASSWORD = "pencil & ruler"


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def secured(start_sql: Callable[..., Sql], room: Path) -> Sql:
    made = make_certificates(room)
    return start_sql(tls_cert_file=str(made.certificate), tls_key_file=str(made.key), user="ada", password=PASSWORD)


def connect(sql: Sql, **changes: str) -> "psycopg.Connection[tuple[object, ...]]":
    settings = {"host": "localhost", "user": "ada", "password": PASSWORD, "sslmode": "require"} | changes
    return psycopg.connect(port=sql.port, dbname="restate", autocommit=True, **settings)


def test_psycopg_checks_the_certificate_and_logs_in(secured: Sql, room: Path) -> None:
    with connect(secured, sslmode="verify-full", sslrootcert=str(room / "authority.pem")) as connection:
        assert connection.pgconn.ssl_in_use
        assert connection.execute("SELECT count(*) FROM sys_service").fetchone() == (2,)


def test_asyncpg_reads_much_over_tls(secured: Sql, room: Path) -> None:
    async def read() -> object:
        context = ssl.create_default_context(cafile=str(room / "authority.pem"))
        connection = await asyncpg.connect(host="localhost", port=secured.port, user="ada", password=PASSWORD, ssl=context)
        try:
            return len(await connection.fetch("SELECT value, repeat('x', 500) FROM generate_series(1, 5000)"))
        finally:
            await connection.close()

    assert asyncio.run(read()) == 5000


def test_psql_logs_in_with_and_without_tls(secured: Sql) -> None:
    program = shutil.which("psql")
    if program is None:
        pytest.skip("psql is not installed")
    for mode in ("require", "disable"):
        url = f"postgresql://ada@localhost:{secured.port}/restate?sslmode={mode}"
        environ = os.environ | {"PGPASSWORD": PASSWORD}
        finished = subprocess.run(
            [program, "-X", "-A", "-t", url, "-c", "SELECT 1"], env=environ, capture_output=True, text=True, check=False
        )
        assert (finished.returncode, finished.stdout) == (0, "1\n")


def test_clients_without_tls_are_refused_where_it_is_required(start_sql: Callable[..., Sql], tmp_path: Path) -> None:
    made = make_certificates(tmp_path)
    sql = start_sql(tls_cert_file=str(made.certificate), tls_key_file=str(made.key), tls_required="true")
    with connect(sql) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError, match="over TLS only: set sslmode to require"):
        connect(sql, sslmode="disable")


@pytest.mark.parametrize("changes", [{"password": "pencil"}, {"user": "bob"}])
def test_who_does_not_know_both_is_refused(secured: Sql, changes: dict[str, str]) -> None:
    with pytest.raises(psycopg.OperationalError, match=f'password authentication failed for user "{changes.get("user", "ada")}"'):
        connect(secured, **changes)


def test_a_query_is_cancelled_over_tls(secured: Sql) -> None:
    with connect(secured) as connection:
        stop = asyncio.Event()

        async def cancel() -> None:
            while not stop.is_set():
                connection.cancel_safe()
                await asyncio.sleep(0.05)

        async def run() -> None:
            canceller = asyncio.create_task(cancel())
            try:
                with pytest.raises(psycopg.errors.QueryCanceled):
                    await asyncio.to_thread(connection.execute, "SELECT count(*) FROM generate_series(1, 100000000000)")
            finally:
                stop.set()
                await canceller

        asyncio.run(run())


def test_a_renewed_certificate_is_shown_to_the_next_client(secured: Sql, room: Path) -> None:
    def shown() -> str:
        return _certificate_of(secured)

    before = shown()
    make_certificates(room)
    after = eventually(lambda: (found := shown()) != before and found, "the new certificate is shown")
    assert after == (room / "certificate.pem").read_text()
    (room / "certificate.pem").write_text("no certificate")
    assert shown() == after


def _certificate_of(sql: Sql) -> str:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection(("localhost", sql.port)) as plain:
        plain.sendall(bytes.fromhex("0000000804d2162f"))
        assert plain.recv(1) == b"S"
        with context.wrap_socket(plain) as encrypted:
            found = encrypted.getpeercert(binary_form=True)
    assert found is not None
    return ssl.DER_cert_to_PEM_cert(found)


def test_a_server_without_either_declines_tls(sql: Sql) -> None:
    with psycopg.connect(sql.url, sslmode="prefer") as connection:
        assert not connection.pgconn.ssl_in_use
    with pytest.raises(psycopg.OperationalError, match="does not support SSL"):
        psycopg.connect(sql.url, sslmode="require")
