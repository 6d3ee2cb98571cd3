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


def rows(given: list[tuple[str, bytes]]) -> list[str]:
    """The only column of all rows, as text."""
    return [content[6:].decode() for kind, content in given if kind == "D"]


def tags(given: list[tuple[str, bytes]]) -> list[str]:
    return [content[:-1].decode() for kind, content in given if kind == "C"]


def queries(*texts: str) -> list[fe.FrontendMessage]:
    return [fe.Query(text) for text in texts]


DECLARE = 'DECLARE "C" NO SCROLL CURSOR FOR VALUES (1), (2), (3), (4), (5), (6)'


def test_a_cursor_is_fetched_in_portions_and_moved_over_rows(tmp_path: Path) -> None:
    fetches = ('FETCH "C"', 'move 1 in "C"', 'FETCH FORWARD 2 FROM "C"', 'FETCH 0 "C"', 'fetch all from "C"', 'FETCH NEXT FROM "C"')
    given = answers(tmp_path, *queries("begin", DECLARE, *fetches, 'close "C"', "commit"))
    assert rows(given) == ["1", "3", "4", "5", "6"]
    ends = ["FETCH 1", "MOVE 1", "FETCH 2", "FETCH 0", "FETCH 2", "FETCH 0", "CLOSE CURSOR", "COMMIT"]
    assert tags(given) == ["BEGIN", "DECLARE CURSOR", *ends]


def test_a_cursor_is_a_portal_and_a_portal_a_cursor(tmp_path: Path) -> None:
    declared = answers(tmp_path, *queries("begin", DECLARE), fe.DescribePortal("C"), fe.Execute("C", 2), fe.Sync())
    assert kinds(declared) == "CZCZTDDsZ"
    bound = (fe.Query("begin"), parse("values (1), (2), (3)", "s"), bind(statement="s", portal="p"))
    fetched = answers(
        tmp_path, *bound, parse("move 1 in p"), bind(), fe.Execute("", 0), parse("fetch p"), fe.DescribeStatement(""), fe.Sync()
    )
    assert kinds(fetched) == "CZ1212C1tTZ"
    by_protocol = answers(tmp_path, *bound, parse("fetch 2 p"), bind(), fe.DescribePortal(""), fe.Execute("", 0), fe.Sync())
    assert (kinds(by_protocol), rows(by_protocol)) == ("CZ1212TDDCZ", ["1", "2"])


def test_a_cursor_ends_with_its_transaction_unless_it_is_held(tmp_path: Path) -> None:
    held = DECLARE.replace("FOR", "WITH HOLD FOR").replace('"C"', "h")
    given = answers(tmp_path, *queries("begin", DECLARE, held, "commit", "fetch h", 'fetch "C"', "fetch h", "close all", "fetch h"))
    assert kinds(given) == "CZCZCZCZTDCZEZTDCZCZEZ"
    assert rows(given) == ["1", "2"]


def test_a_cursor_has_its_parameters_and_its_form(tmp_path: Path) -> None:
    declare = parse("declare c binary cursor for select $1::int8 as n, 'x' as t")
    given = answers(
        tmp_path,
        fe.Query("begin"),
        declare,
        bind(b"7"),
        fe.Execute("", 0),
        fe.Sync(),
        fe.Query("fetch c"),
        parse("fetch c"),
        bind(),
        fe.Sync(),
    )
    assert kinds(given) == "CZ12CZTDCZ12Z"
    assert given[7][1] == bytes.fromhex("0002 00000008 0000000000000007 00000001") + b"x"


@pytest.mark.parametrize(
    ("texts", "sqlstate"),
    [
        ([DECLARE], "25P01"),
        (["begin", DECLARE, DECLARE], "42P03"),
        (["begin", "declare c cursor for begin"], "42601"),
        (["begin", "declare c cursor for select nope"], "42703"),
        (["begin", "declare c cursor for delete from state"], "25006"),
        (["begin", DECLARE, 'fetch prior from "C"'], "0A000"),
        (["fetch c"], "34000"),
        (["close c"], "34000"),
        (["fetch"], "42601"),
        (["listen c"], "0A000"),
    ],
)
def test_misuse_of_cursors_has_its_state(texts: list[str], sqlstate: str, tmp_path: Path) -> None:
    given = answers(tmp_path, *queries(*texts))
    assert kinds(given).endswith("EZ")
    assert state(given[-2][1]) == sqlstate


def test_discarding_all_leaves_nothing_of_a_session(tmp_path: Path) -> None:
    before = queries("set application_name to a", "declare c cursor with hold for select 1")
    given = answers(
        tmp_path, *before, parse("select 1", "s"), fe.Sync(), *queries("discard all", "fetch c"), bind(statement="s"), fe.Sync()
    )
    assert kinds(given) == "SCZCZ1ZSCZEZEZ"
    assert (given[0][1], given[7][1]) == (b"application_name\0a\0", b"application_name\0\0")


def test_a_statement_is_cut_when_its_client_wants_it_so(tmp_path: Path) -> None:
    given = answers(tmp_path, *queries("set statement_timeout = '1ms'", "select count(*) from generate_series(1, 100000000)", "reset all"))
    assert kinds(given) == "CZEZCZ"
    assert state(given[2][1]) == "57014"


@pytest.mark.parametrize(
    ("sql", "fields"),
    [
        ("select 1; select name, nope\nfrom sys_service", {"P": "24"}),
        ("select nmae from sys_service", {"M": "No field named nmae", "H": "Did you mean 'sys_service.name'?", "P": "8"}),
        ("select * from 'x', nope", {}),
        ("select 'nope', * from sys_nope", {"C": "42P01", "P": "23"}),
        ("select\nname frm sys_service x", {"C": "42601", "P": "17"}),
        ("selec 1", {"M": "syntax error: expected an SQL statement, found selec", "P": "1"}),
        ("fetch c", {"M": 'portal "c" does not exist'}),
    ],
)
def test_an_error_says_where_it_is_and_what_may_be_meant(sql: str, fields: dict[str, str], tmp_path: Path) -> None:
    for given in (
        answers(tmp_path, fe.Query(sql)),
        *([answers(tmp_path, parse(sql), bind(), fe.Execute("", 0))] if ";" not in sql else []),
    ):
        told = next(
            {field[:1].decode(): field[1:].decode() for field in content.split(b"\0") if field} for kind, content in given if kind == "E"
        )
        assert {key: told.get(key) for key in fields} == fields


def test_the_process_starts_without_the_engine() -> None:
    check = "import sys, services.sql.app; print(sorted({'pyarrow', 'datafusion'} & set(sys.modules)))"
    finished = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True, env={"PYTHONPATH": "libs:."})
    assert finished.stdout == "[]\n"
