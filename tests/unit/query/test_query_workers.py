"""Statements in worker processes: results, errors, and that one that must end is ended."""

import asyncio
import datetime
import decimal
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from perdure.base.ids import invocation_id
from perdure.base.limits import MIB
from perdure.bus.messages import LiveInvocation
from perdure.codec.pgwire.values import Interval
from perdure.query.errors import QUERY_CANCELED, QueryError
from perdure.query.remote import RemoteQueries
from perdure.query.table import LiveById
from perdure.query.wire import Form, Open, Parameter, of_wire, to_wire
from perdure.query.workers import RUNNING_MAX, QueryWorkers
from tests.e2e.processes import REPOSITORY

RUNNING = invocation_id(5, bytes(16))
RUNAWAY = "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b WHERE a.value + b.value = 7"


@pytest.fixture(autouse=True)
def path_of_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{REPOSITORY / 'libs'}{os.pathsep}{REPOSITORY}")


def with_workers(path: Path, work: Callable[[QueryWorkers], Awaitable[None]], *, memory_bytes_max: int = 64 * MIB) -> None:
    async def ask_live() -> LiveById:
        return {RUNNING: LiveInvocation(RUNNING, "running", 1)}

    async def run() -> None:
        workers = QueryWorkers(Open(str(path / "store.db"), None, "perdure", memory_bytes_max), ask_live=ask_live)
        try:
            await work(workers)
        finally:
            await workers.close()
        assert worker_pids() == set()

    asyncio.run(run())


def worker_pids() -> set[int]:
    return {child.pid for child in psutil.Process().children() if is_worker(child)}


def is_worker(process: psutil.Process) -> bool:
    try:
        return "perdure.query.worker" in process.cmdline()
    except psutil.NoSuchProcess:  # ended, or waiting to be noticed
        return False


async def document(workers: QueryWorkers, sql: str, *parameters: Parameter) -> object:
    return json.loads(b"".join([part async for part in await workers.run(sql, parameters, Form.JSON)]))


def test_statements_follow_each_other_in_one_worker(tmp_path: Path) -> None:
    async def work(workers: QueryWorkers) -> None:
        assert await document(workers, "SELECT $1 AS a, $2 AS b", 7, "x") == {"rows": [{"a": 7, "b": "x"}]}
        [pid] = worker_pids()
        with pytest.raises(QueryError, match="No field named nope") as caught:
            await document(workers, "SELECT nope FROM state")
        assert caught.value.sqlstate == "42703"
        assert "Schema error" in caught.value.engine_text
        assert await document(workers, "SELECT in_flight FROM sys_invocation_state") == {"rows": [{"in_flight": True}]}
        assert worker_pids() == {pid}

    with_workers(tmp_path, work)


def test_batches_arrive_as_they_were(tmp_path: Path) -> None:
    async def work(workers: QueryWorkers) -> None:
        queries = RemoteQueries(workers)
        assert (await queries.describe("SELECT id, public FROM sys_service s, sys_deployment d WHERE name = $1")).names == ["id", "public"]
        result = await queries.run("SELECT value AS n FROM generate_series(1, 20000)")
        assert result.schema.names == ["n"]
        assert [row["n"] async for batch in result.batches for row in batch.to_pylist()] == list(range(1, 20001))

    with_workers(tmp_path, work)


def test_a_reader_that_gives_up_ends_its_statement(tmp_path: Path) -> None:
    async def work(workers: QueryWorkers) -> None:
        answers = await workers.run(RUNAWAY, (), Form.JSON)
        await until(worker_pids)  # a process that has just begun has no command line for a moment
        [pid] = worker_pids()
        process = psutil.Process(pid)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await anext(answers)
        await until(lambda: not process.is_running())
        assert await document(workers, "SELECT 1 AS a") == {"rows": [{"a": 1}]}

    with_workers(tmp_path, work)


def test_whoever_closes_a_statement_tells_its_reader_why(tmp_path: Path) -> None:
    async def work(workers: QueryWorkers) -> None:
        answers = await workers.run(RUNAWAY, (), Form.JSON)
        answers.close(QueryError(QUERY_CANCELED, "enough"))
        with pytest.raises(QueryError, match="enough"):
            await anext(answers)

    with_workers(tmp_path, work)


def test_a_worker_that_dies_fails_its_statement_alone(tmp_path: Path) -> None:
    async def work(workers: QueryWorkers) -> None:
        answers = await workers.run(RUNAWAY, (), Form.JSON)
        await until(worker_pids)  # a process that has just begun has no command line for a moment
        [pid] = worker_pids()
        psutil.Process(pid).kill()
        with pytest.raises(QueryError, match="has ended"):
            await anext(answers)
        assert await document(workers, "SELECT 1 AS a") == {"rows": [{"a": 1}]}

    with_workers(tmp_path, work)


def test_more_statements_than_there_is_room_for_wait_their_turn(tmp_path: Path) -> None:
    seen: list[int] = []

    async def work(workers: QueryWorkers) -> None:
        async def one(number: int) -> object:
            found = await document(workers, "SELECT $1 AS n", number)
            seen.append(len(worker_pids()))
            return found

        assert await asyncio.gather(*map(one, range(20))) == [{"rows": [{"n": number}]} for number in range(20)]
        assert max(seen) <= RUNNING_MAX

    with_workers(tmp_path, work)


def test_a_statement_that_takes_too_much_memory_is_ended(tmp_path: Path) -> None:
    async def work(workers: QueryWorkers) -> None:
        with pytest.raises(QueryError, match="bytes of memory") as caught:
            await document(workers, "SELECT length(repeat('x', 500000000)) AS n")
        assert caught.value.sqlstate == "53200"
        assert await document(workers, "SELECT 1 AS a") == {"rows": [{"a": 1}]}

    with_workers(tmp_path, work, memory_bytes_max=MIB)


def test_a_worker_that_died_while_idle_is_replaced(tmp_path: Path) -> None:
    async def work(workers: QueryWorkers) -> None:
        await document(workers, "SELECT 1 AS a")
        [worker] = workers._idle
        psutil.Process(worker.pid).kill()
        await until(lambda: not worker.is_alive)
        assert await document(workers, "SELECT 1 AS a") == {"rows": [{"a": 1}]}

    with_workers(tmp_path, work)


def test_a_short_result_frees_its_worker_before_it_is_read_and_workers_are_kept_for_the_next(tmp_path: Path) -> None:
    async def work(workers: QueryWorkers) -> None:
        unread = [await workers.run(f"SELECT {number} AS n", (), Form.JSON) for number in range(6)]
        found = [json.loads(b"".join([part async for part in answers]))["rows"][0]["n"] for answers in unread]
        assert found == list(range(6))
        kept = worker_pids()
        assert 1 <= len(kept) <= RUNNING_MAX
        await asyncio.gather(*(document(workers, "SELECT 1 AS n") for _ in range(RUNNING_MAX)))
        assert worker_pids() >= kept

    with_workers(tmp_path, work)


def test_parameters_keep_their_types_on_the_way() -> None:
    moment = datetime.datetime(2026, 3, 1, 9, 30, tzinfo=datetime.UTC)
    given: list[Parameter] = [None, True, 7, 1.5, "x", b"x", moment, moment.date(), decimal.Decimal("1.50"), Interval(1, 2)]
    returned = of_wire(to_wire(given))
    assert returned == given
    assert list(map(type, returned)) == list(map(type, given))
    assert of_wire(to_wire([1 << 80])) == [decimal.Decimal(1 << 80)]


async def until(fact: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not fact():
            await asyncio.sleep(0.01)


def test_the_size_of_the_process_that_starts_a_worker_does_not_count(tmp_path: Path) -> None:
    ballast = bytearray(400 * MIB)
    ballast[:: 4 * 1_024] = b"x" * len(ballast[:: 4 * 1_024])

    async def work(workers: QueryWorkers) -> None:
        await document(workers, "SELECT 1 AS a")
        [pid] = worker_pids()
        await document(workers, "SELECT 1 AS a")
        assert worker_pids() == {pid}

    with_workers(tmp_path, work)
