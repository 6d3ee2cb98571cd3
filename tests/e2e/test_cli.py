"""The released command-line client, unchanged: invocations, and what reads them. One test for each command."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cli import MISSING, PROGRAM, Cli
from tests.e2e.conftest import Services
from tests.e2e.endpoint import Endpoint
from tests.e2e.processes import eventually
from tests.e2e.suite import Suite

PREFIX = "Cli"

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason=MISSING)


@pytest.fixture(scope="module")
def mine(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """Services that no other module registers."""
    endpoint = Endpoint("tests.e2e.services:app", tmp_path_factory.mktemp("cli"), prefix=PREFIX)
    try:
        endpoint.start()
        suite.register(endpoint.url)
        yield Services(suite, endpoint, PREFIX)
    finally:
        endpoint.stop()


@pytest.fixture
def restate(suite: Suite, tmp_path: Path) -> Cli:
    return Cli(suite.admin_url, tmp_path)


def held(mine: Services, tag: str) -> str:
    """Start an invocation that waits until it is told to go on."""
    invocation = mine.suite.send(mine.path("Holder", "hold"), tag)
    mine.endpoint.wait_for_effect_count(tag, 1)
    return invocation


def test_invocations_are_listed_by_service_and_status(mine: Services, restate: Cli, tag: str) -> None:
    running = held(mine, tag)
    done = mine.suite.send(mine.path("Greeter", "greet"), tag)
    mine.suite.attach(done)
    listed = restate("invocations", "list", "--service", f"{PREFIX}Holder")
    assert running in listed
    assert done not in listed
    listed = restate("invocations", "list", "--service", f"{PREFIX}Greeter", "--status", "completed")
    assert done in listed
    assert running not in listed
    assert running in restate("invocations", "list", "--all")


def test_an_invocation_is_described_with_its_journal(mine: Services, restate: Cli, tag: str) -> None:
    invocation = held(mine, tag)
    described = restate("invocations", "describe", invocation)
    assert f"{PREFIX}Holder/hold" in described
    assert "running" in described
    assert "tell" in described
    done = mine.suite.send(mine.path("Caller", "add_to"), {"key": tag, "amount": 2})
    mine.suite.attach(done)
    described = restate("invocations", "describe", done)
    assert f"{PREFIX}Counter/{tag}/add" in described
    assert "completed" in described
    restate("invocations", "describe", "inv_1gf3qgbvqBGZ3Wg62ENp11QEVhGegZNT7N", code=1)


def test_an_invocation_is_cancelled(mine: Services, restate: Cli, tag: str) -> None:
    invocation = mine.suite.send(mine.path("Sleeper", "nap"), {"tag": tag, "ms": 3_600_000})
    mine.endpoint.wait_for_effect(f"{tag}-attempts", "asleep")
    restate("invocations", "cancel", invocation)
    assert mine.suite.attach(invocation).status_code == 409


def test_an_invocation_is_killed_and_purged(mine: Services, restate: Cli, tag: str) -> None:
    invocation = held(mine, tag)
    restate("invocations", "kill", invocation)
    assert mine.suite.attach(invocation).json()["message"] == "killed"
    restate("invocations", "purge", invocation)
    restate("invocations", "describe", invocation, code=1)


def test_all_invocations_of_a_handler_are_cancelled(mine: Services, restate: Cli, tag: str) -> None:
    tags = [f"{tag}-{number}" for number in range(3)]
    invocations = [mine.suite.send(mine.path("Sleeper", "nap"), {"tag": each, "ms": 3_600_000}) for each in tags]
    for each in tags:
        mine.endpoint.wait_for_effect(f"{each}-attempts", "asleep")
    restate("invocations", "cancel", f"{PREFIX}Sleeper/nap")
    assert [mine.suite.attach(invocation).status_code for invocation in invocations] == [409] * 3


def test_a_paused_invocation_is_resumed(mine: Services, restate: Cli, tag: str) -> None:
    invocation = held(mine, tag)
    restate("invocations", "pause", invocation)
    status = f"SELECT status FROM sys_invocation_status WHERE id = '{invocation}'"
    eventually(lambda: "paused" in restate("sql", status), "it is paused")
    restate("invocations", "resume", invocation)
    eventually(lambda: "invoked" in restate("sql", status), "it runs again")


def test_a_completed_invocation_is_restarted_as_new(mine: Services, restate: Cli, tag: str) -> None:
    invocation = mine.suite.send(mine.path("Greeter", "greet"), tag)
    first = mine.suite.attach(invocation).json()
    restate("invocations", "restart-as-new", invocation)
    copies = f"SELECT id FROM sys_invocation WHERE restarted_from = '{invocation}'"
    [copy] = eventually(lambda: json.loads(restate("sql", "--json", copies)), "the copy is there")
    assert mine.suite.attach(copy["id"]).json() == first


def test_services_show_what_they_are_doing(mine: Services, restate: Cli, tag: str) -> None:
    invocation = mine.suite.send(mine.path("Journal", tag, "hold_lock"), tag)
    mine.endpoint.wait_for_effect_count(tag, 1)
    assert f"{PREFIX}Journal" in restate("services", "status")
    shown = restate("services", "status", f"{PREFIX}Journal")
    assert "hold_lock" in shown
    assert invocation in shown


def test_deployments_show_what_holds_them(mine: Services, restate: Cli, tag: str) -> None:
    held(mine, tag)
    [deployment] = [
        each["id"]
        for each in mine.suite.http.get(f"{mine.suite.admin_url}/deployments").json()["deployments"]
        if each["uri"].rstrip("/") == mine.endpoint.url
    ]
    listed = restate("deployments", "list", "--extra")
    assert deployment in listed
    described = restate("deployments", "describe", deployment, "--extra")
    assert f"{PREFIX}Holder" in described


def test_state_is_read(mine: Services, restate: Cli, tag: str) -> None:
    mine.suite.result(mine.path("Counter", tag, "add"), 41)
    shown = restate("state", "get", f"{PREFIX}Counter", tag)
    assert "value" in shown
    assert "41" in shown


def test_sql_is_shown_in_each_format(mine: Services, restate: Cli, tag: str) -> None:
    mine.suite.result(mine.path("Counter", tag, "add"), 41)
    statement = f"SELECT key, value_utf8, value_length FROM state WHERE service_name = '{PREFIX}Counter' AND service_key = '{tag}'"
    assert "41" in restate("sql", statement)
    assert json.loads(restate("sql", "--json", statement)) == [{"key": "value", "value_utf8": "41", "value_length": 2}]
    assert "table 'restate.public.nope' not found" in restate("sql", "SELECT * FROM nope", code=1)
