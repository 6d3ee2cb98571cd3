"""Many clients at once, slow ones, silent ones, and statements that want too much."""

import asyncio
import socket
from collections.abc import Callable, Iterator

import asyncpg
import psutil
import psycopg
import pytest

from perdure.query.workers import RUNNING_MAX
from tests.e2e.processes import eventually
from tests.e2e.sql_process import RECORDS, Sql


@pytest.fixture(scope="module", autouse=True)
def silent(sql: Sql) -> Iterator[socket.socket]:
    """A client that begins to speak and stops, for as long as the others are tested."""
    with socket.create_connection(("127.0.0.1", sql.port), timeout=30) as client:
        client.sendall(b"\0\0")
        yield client


def test_two_hundred_idle_and_twenty_busy_clients_are_served_at_once(start_sql: Callable[..., Sql]) -> None:
    sql = start_sql()

    async def run() -> list[object]:
        idle = [await asyncpg.connect(sql.url, timeout=60) for _ in range(200)]
        busy = [await asyncpg.connect(sql.url, timeout=60) for _ in range(20)]
        try:
            counts = await asyncio.gather(*(each.fetchval("SELECT count(*) FROM sys_invocation", timeout=60) for each in busy))
            return [*counts, await idle[-1].fetchval("SELECT 1")]
        finally:
            for each in (*idle, *busy):
                each.terminate()

    assert asyncio.run(run()) == [len(RECORDS)] * 20 + [1]


def test_a_client_that_takes_nothing_is_cut_and_holds_up_nobody(start_sql: Callable[..., Sql]) -> None:
    sql = start_sql(query_timeout="2s")
    statement = b"SELECT repeat('x', 10000) FROM generate_series(1, 20000)\0"
    slow: list[socket.socket] = []
    try:
        for _ in range(RUNNING_MAX + 1):
            client = socket.create_connection(("127.0.0.1", sql.port))
            client.sendall(bytes.fromhex("00000010000300007573657200610000") + b"Q" + (len(statement) + 4).to_bytes(4, "big") + statement)
            slow.append(client)
        eventually(lambda: _answers(sql), "another client is answered")
        eventually(lambda: not _workers_that_send(sql), "no statement is left behind", limit_s=20)
    finally:
        for client in slow:
            client.close()


def _answers(sql: Sql) -> bool:
    with sql.connect() as connection:
        try:
            return connection.execute("SELECT 1").fetchone() == (1,)
        except psycopg.errors.QueryCanceled:
            return False  # it waited for a turn in vain


def _workers_that_send(sql: Sql) -> list[psutil.Process]:
    return [worker for worker in psutil.Process(sql.process.pid).children() if worker.status() == psutil.STATUS_RUNNING]


def test_a_join_that_takes_too_much_memory_is_stopped_and_the_process_stays(start_sql: Callable[..., Sql]) -> None:
    sql = start_sql(query_memory_limit="16MiB")
    statement = "SELECT count(*) FROM generate_series(1, 20000000) a JOIN generate_series(1, 20000000) b ON a.value = b.value"
    with sql.connect() as connection:
        with pytest.raises(psycopg.errors.OutOfMemory):
            connection.execute(statement)
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert sql.process.poll() is None


def test_a_client_that_says_nothing_is_left_after_a_while(silent: socket.socket) -> None:
    assert silent.recv(1) == b""
