"""New versions of a deployment while invocations are in flight."""

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.e2e.contract.conftest import PROGRAMS, Contract
from tests.e2e.endpoint import Endpoint
from tests.e2e.processes import eventually
from tests.e2e.suite import Suite

SERVICE = "VirtualObjectCommandInterpreter"
VERSION = {"type": "getEnvVariable", "envName": "VERSION"}
WAIT = {"type": "awaitOne", "command": {"type": "createAwakeable", "awakeableKey": "a"}}


class Versions(NamedTuple):
    """The first version, registered, and the second, which only runs yet."""

    first: Contract
    second: Contract

    def register_second(self) -> str:
        return self.first.suite.register(self.second.endpoint.url)["id"]


@pytest.fixture(params=list(PROGRAMS))
def versions(request: pytest.FixtureRequest, suite: Suite, key: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Versions]:
    """Two endpoints with the same services, of which a test registers the second when it wants to."""
    prefix = f"Upgrade{key}"
    directory = tmp_path_factory.mktemp("upgrade")
    first, second = (Endpoint(PROGRAMS[request.param], directory, prefix=prefix, env={"VERSION": name}) for name in ("one", "two"))
    try:
        first.start()
        second.start()
        registered = suite.register(first.url)["id"]
        yield Versions(Contract(suite, first, registered, 7), Contract(suite, second, "", 7))
    finally:
        first.stop()
        second.stop()


def test_new_invocations_go_to_the_new_version_and_pinned_ones_stay(versions: Versions, key: str) -> None:
    contract = versions.first
    waiting = contract.send(SERVICE, key, "interpretCommands", body={"commands": [VERSION, WAIT, VERSION]})
    eventually(lambda: contract.result(SERVICE, key, "hasAwakeable", body="a"), "it waits")
    assert contract.row(waiting)["pinned_deployment_id"] == contract.deployment_id
    second = versions.register_second()
    assert contract.result(SERVICE, f"{key}-new", "interpretCommands", body={"commands": [VERSION]}) == "two"
    contract.result(SERVICE, key, "resolveAwakeable", body={"awakeableKey": "a", "value": "go on"})
    assert contract.suite.attach(waiting).json() == "one"
    assert contract.result(SERVICE, key, "getResults") == ["one", "go on", "one"]
    restarted = contract.operate(waiting, "restart-as-new").json()["new_invocation_id"]
    eventually(lambda: contract.row(restarted).get("pinned_deployment_id") == second, "the restarted one runs on the new version")
    contract.operate(restarted, "kill")


def test_a_paused_invocation_is_resumed_on_the_new_version_where_that_is_asked_for(versions: Versions, key: str) -> None:
    contract = versions.first
    invocation = contract.send(SERVICE, key, "interpretCommands", body={"commands": [VERSION, WAIT, VERSION]})
    eventually(lambda: contract.result(SERVICE, key, "hasAwakeable", body="a"), "it waits")
    assert contract.operate(invocation, "pause").status_code == 202
    contract.wait_for_status(invocation, "paused")
    contract.result(SERVICE, key, "resolveAwakeable", body={"awakeableKey": "a", "value": "go on"})
    second = versions.register_second()
    assert contract.row(invocation)["status"] == "paused"
    assert contract.operate(invocation, "resume", deployment="latest").status_code == 200
    assert contract.suite.attach(invocation).json() == "two"
    assert contract.result(SERVICE, key, "getResults") == ["one", "go on", "two"]
    assert contract.row(invocation)["pinned_deployment_id"] == second
