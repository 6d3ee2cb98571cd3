"""What a session answers, message by message, without a socket."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import structlog
from prometheus_client import CollectorRegistry

from perdure.base.limits import MIB
from perdure.codec.pgwire import frontend as fe
from perdure.query.engine import Engine
from perdure.store.keyspace import Keyspace
from perdure.store.opening import open_store
from services.sql.metrics import SqlMetrics
from services.sql.portal import ResultLimits
from services.sql.session import Session, SessionLimits

LIMITS = SessionLimits(query_timeout_ms=60_000, result=ResultLimits(1_000, MIB))


def answers(tmp_path: Path, *messages: fe.FrontendMessage) -> list[tuple[str, bytes]]:
    """Type and content of every message that a new session answers to `messages`."""
    sent: list[bytes] = []

    async def send(data: bytes) -> None:
        sent.append(data)

    async def no_live() -> dict[Any, Any]:
        return {}

    async def run() -> None:
        store = open_store(path=str(tmp_path / "store.db"), fdb_cluster_file=None, root="perdure")
        engine = Engine(store, Keyspace(), ask_live=no_live, memory_bytes_max=64 * MIB)
        session = Session(engine, fe.Startup(0, {}), LIMITS, send, structlog.get_logger(), SqlMetrics(CollectorRegistry()))
        for message in messages:
            await session.receive(message)
        await store.close()

    asyncio.run(run())
    stream = b"".join(sent)
    split: list[tuple[str, bytes]] = []
    while stream:
        end = 1 + int.from_bytes(stream[1:5], "big")
        split.append((chr(stream[0]), stream[5:end]))
        stream = stream[end:]
    return split


def kinds(given: list[tuple[str, bytes]]) -> str:
    return "".join(kind for kind, _ in given)


def state(content: bytes) -> str:
    return next(field[1:].decode() for field in content.split(b"\0") if field[:1] == b"C")


def parse(sql: str, name: str = "", *oids: int) -> fe.Parse:
    return fe.Parse(name, sql, oids)


def bind(*parameters: bytes | None, statement: str = "", portal: str = "") -> fe.Bind:
    return fe.Bind(portal, statement, (), parameters, ())


def test_an_empty_query_is_answered_as_such(tmp_path: Path) -> None:
    assert kinds(answers(tmp_path, fe.Query(" ; "))) == "IZ"


def test_an_error_ends_the_statements_of_its_message(tmp_path: Path) -> None:
    given = answers(tmp_path, fe.Query("select 1; select nope; select 2"), fe.Query("select 3"))
    assert kinds(given) == "TDCEZTDCZ"


def test_after_an_error_everything_is_skipped_until_sync(tmp_path: Path) -> None:
    given = answers(
        tmp_path, parse("select nope"), bind(), fe.DescribePortal(""), fe.Execute("", 0), fe.Query("select 1"), parse("select 1"), fe.Sync()
    )
    assert kinds(given) == "12EZ"
    assert state(given[2][1]) == "42703"


def test_a_portal_gives_its_rows_in_portions(tmp_path: Path) -> None:
    given = answers(tmp_path, parse("values (1), (2), (3)"), bind(), fe.Execute("", 2), fe.Execute("", 2), fe.Execute("", 2), fe.Sync())
    assert kinds(given) == "12DDsDCCZ"
    assert [content for kind, content in given if kind == "C"] == [b"SELECT 1\0", b"SELECT 0\0"]


def test_a_statement_describes_parameters_and_columns(tmp_path: Path) -> None:
    given = answers(tmp_path, parse("select name from sys_service where name = $1 limit $2::int8"), fe.DescribeStatement(""), fe.Sync())
    assert kinds(given) == "1tTZ"
    assert given[1][1] == bytes.fromhex("0002 00000019 00000014")
    assert b"name\0" in given[2][1]


def test_what_returns_no_rows_describes_no_data(tmp_path: Path) -> None:
    given = answers(tmp_path, parse("begin"), fe.DescribeStatement(""), bind(), fe.DescribePortal(""), fe.Execute("", 0), fe.Sync())
    assert kinds(given) == "1tn2nCZ"
    assert given[-1][1] == b"T"


@pytest.mark.parametrize(
    ("messages", "sqlstate"),
    [
        ([bind()], "26000"),
        ([fe.DescribeStatement("a")], "26000"),
        ([fe.Execute("a", 0)], "34000"),
        ([parse("select 1", "a"), parse("select 1", "a")], "42P05"),
        ([parse("select 1"), bind(portal="a"), bind(portal="a")], "42P03"),
        ([parse("select 1; select 2")], "42601"),
        ([parse("select $1"), bind()], "08P01"),
        ([parse("select $1::int"), bind(b"x")], "22P02"),
        ([parse("select 1"), fe.Bind("", "", (), (), (0, 0)), fe.Execute("", 0)], "08P01"),
        ([parse("deallocate a"), bind(), fe.Execute("", 0)], "26000"),
        (
            [
                parse("values (1)"),
                bind(),
                fe.Execute("", 0),
                parse("select value from generate_series(1, 1001)"),
                bind(),
                fe.Execute("", 0),
            ],
            "54000",
        ),
    ],
)
def test_misuse_of_the_extended_protocol_has_its_state(messages: list[fe.FrontendMessage], sqlstate: str, tmp_path: Path) -> None:
    given = answers(tmp_path, *messages, fe.Sync())
    assert kinds(given).endswith("EZ")
    assert state(given[-2][1]) == sqlstate


def test_a_closed_statement_is_gone(tmp_path: Path) -> None:
    given = answers(tmp_path, parse("select 1", "a"), fe.CloseStatement("a"), fe.CloseStatement("a"), bind(statement="a"), fe.Sync())
    assert kinds(given) == "133EZ"


def test_a_failed_transaction_waits_for_its_end(tmp_path: Path) -> None:
    given = answers(tmp_path, *map(fe.Query, ("begin", "selec", "select 1", "commit", "select 1")))
    assert kinds(given) == "CZEZEZCZTDCZ"
    assert [content for kind, content in given if kind == "Z"] == [b"T", b"E", b"E", b"I", b"I"]
    assert (state(given[4][1]), given[6][1]) == ("25P02", b"ROLLBACK\0")


def test_the_process_starts_without_the_engine() -> None:
    check = "import sys, services.sql.app; print(sorted({'pyarrow', 'datafusion'} & set(sys.modules)))"
    finished = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True, env={"PYTHONPATH": "libs:."})
    assert finished.stdout == "[]\n"
