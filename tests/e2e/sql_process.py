"""The sql process over a store that was filled by hand, without the other processes."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import psycopg
import pytest

from perdure.base.ids import InvocationId, invocation_id, partition_of
from perdure.model.deployment import Deployment, Handler, HandlerOptions, ProtocolMode, Service
from perdure.model.invocation import InvocationRecord, Pin, Source, Status
from perdure.model.journal import Combinator, Future
from perdure.model.result import Failure, Success
from perdure.model.target import HandlerType, ServiceType, Target
from perdure.registry.schema import bump_meta_version, put_deployment, put_service
from perdure.store.chunks import set_chunked
from perdure.store.format import prepare
from perdure.store.interface import Transaction
from perdure.store.keyspace import Keyspace
from perdure.store.opening import open_store
from tests.contract.bus.nats_server import NatsServer
from tests.e2e.processes import REPOSITORY, end, eventually, is_listening, spawn
from tests.ports import free_ports

PARTITIONS = 4
NOW_MS = 1_772_357_400_125
CALLER = invocation_id(2**63, b"\x01" * 16)


class Sql(NamedTuple):
    """A running sql process."""

    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"postgresql://anyone@127.0.0.1:{self.port}/restate"

    def connect(self) -> "psycopg.Connection[tuple[object, ...]]":
        return psycopg.connect(self.url, autocommit=True)


def an_id(number: int) -> InvocationId:
    return invocation_id(number * 2**60, number.to_bytes(16, "big"))


RECORDS = {
    an_id(1): InvocationRecord(Target("Greeter", "greet", None, HandlerType.PLAIN), Status.INVOKED, NOW_MS, NOW_MS + 1),
    an_id(2): InvocationRecord(
        Target("Counter", "add", "a/b", HandlerType.EXCLUSIVE),
        Status.COMPLETED,
        NOW_MS,
        NOW_MS + 2,
        source=Source("service", CALLER, Target("Greeter", "greet", None, HandlerType.PLAIN)),
        idempotency_key="once",
        completion_retention_ms=86_400_000,
        pin=Pin("dp_1a", 6),
        journal_length=5,
        command_count=3,
        result=Failure(409, "cancelled"),
        completed_at_ms=NOW_MS + 2,
        traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01",
    ),
    an_id(9): InvocationRecord(
        Target("Flow", "run", "w", HandlerType.WORKFLOW, is_workflow=True),
        Status.SUSPENDED,
        NOW_MS,
        NOW_MS + 3,
        awaiting=Future((4,), (1,), (), (Future((5,), combinator=Combinator.ALL_COMPLETED),)),
    ),
    an_id(15): InvocationRecord(
        Target("Flow", "run", "x", HandlerType.WORKFLOW, is_workflow=True), Status.COMPLETED, NOW_MS, NOW_MS, result=Success(b"x" * 200_000)
    ),
}


async def fill(path: Path) -> None:
    keyspace = Keyspace()
    store = open_store(path=str(path), fdb_cluster_file=None, root="perdure")
    await prepare(store, keyspace, PARTITIONS)

    def write(tr: Transaction) -> None:
        for each, record in RECORDS.items():
            keys = keyspace.partition(partition_of(each, PARTITIONS))
            key = keys.invocation(each) if record.status is Status.COMPLETED else keys.unfinished(each)
            set_chunked(tr, key, msgspec.msgpack.encode(record))
        services = {"Greeter": 1, "Counter": 1}
        put_deployment(tr, keyspace, Deployment("dp_1a", "http://h:9080", ProtocolMode.BIDI_STREAM, "HTTP/2.0", 5, 7, NOW_MS, services))
        greet = {"greet": Handler("greet", HandlerType.PLAIN)}
        add = {"add": Handler("add", HandlerType.EXCLUSIVE)}
        put_service(tr, keyspace, Service("Greeter", ServiceType.SERVICE, 1, "dp_1a", greet))
        private = HandlerOptions(ingress_private=True)
        put_service(tr, keyspace, Service("Counter", ServiceType.VIRTUAL_OBJECT, 1, "dp_1a", add, private))
        bump_meta_version(tr, keyspace)

    await store.transact(write)
    await store.close()


@pytest.fixture(scope="session")
def start_sql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Sql]]:
    base_dir = tmp_path_factory.mktemp("sql")
    asyncio.run(fill(base_dir / "perdure.db"))
    nats = NatsServer(base_dir)
    nats.start()
    started: list[Sql] = []

    def start_one(**settings: str) -> Sql:
        [port] = free_ports(1)
        environ = {"PERDURE_BASE_DIR": str(base_dir), "PERDURE_NATS_URL": nats.url, "PERDURE_SQL__PORT": str(port)}
        environ |= {f"PERDURE_SQL__{name.upper()}": value for name, value in settings.items()}
        environ["PYTHONPATH"] = os.pathsep.join([str(REPOSITORY / "libs"), str(REPOSITORY)])
        command = [sys.executable, "-m", "services.sql", "--bind", "127.0.0.1"]
        running = Sql(port, spawn(command, log=base_dir / f"sql-{port}.log", env=environ, cwd=REPOSITORY))
        started.append(running)
        eventually(lambda: is_listening(port) or running.process.poll() is not None, "sql listens")
        return running

    try:
        yield start_one
    finally:
        for running in started:
            end(running.process)
        nats.kill()


@pytest.fixture(scope="session")
def sql(start_sql: Callable[..., Sql]) -> Sql:
    return start_sql(query_timeout="5s")


def psql(sql: Sql, *commands: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("psql")
    if program is None:
        pytest.skip("psql is not installed")
    flags = [flag for command in commands for flag in ("-c", command)]
    return subprocess.run([program, "-X", "-A", "-t", sql.url, *flags], capture_output=True, text=True, timeout=60, check=False)
