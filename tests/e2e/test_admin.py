"""Admin over the wire: registration of a real SDK endpoint, changes that reach the ingress, and operators' actions.

Each test holds for the real server as well (`PERDURE_TEST_PEER=restate`, see `suite.py`).
"""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.endpoint import Endpoint
from tests.e2e.processes import REPOSITORY, end, eventually, is_listening, spawn
from tests.e2e.suite import Suite, ours_only
from tests.ports import free_ports

DEPLOYMENT_ID = re.compile(r"dp_1[0-9A-Za-z]{22}")
PREFIX = "Adm"


@pytest.fixture(scope="module")
def sdk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """An endpoint whose services no other module registers."""
    endpoint = Endpoint("tests.e2e.services:app", tmp_path_factory.mktemp("admin"), prefix=PREFIX)
    try:
        endpoint.start()
        yield endpoint
    finally:
        endpoint.stop()


@pytest.fixture
def deployment_id(suite: Suite, sdk: Endpoint) -> str:
    """The id of that endpoint, registered afresh."""
    return suite.register(sdk.url, force=True)["id"]


def admin(suite: Suite, method: str, path: str, **request: Any) -> httpx.Response:
    return suite.http.request(method, suite.admin_url + path, **request)


def operate(suite: Suite, invocation_id: str, action: str, query: str = "") -> httpx.Response:
    return admin(suite, "PATCH", f"/v4/invocations/{invocation_id}/{action}{query}")


def test_an_endpoint_is_discovered_and_can_be_called(suite: Suite, sdk: Endpoint, tag: str) -> None:
    registered = suite.register(sdk.url, force=True)
    assert DEPLOYMENT_ID.fullmatch(registered["id"])
    assert registered["sdk_version"].startswith("restate-sdk-python/")
    services = {each["name"]: each for each in registered["services"]}
    counter = services[f"{PREFIX}Counter"]
    assert counter["ty"] == "VirtualObject"
    assert {each["name"]: each["ty"] for each in counter["handlers"]} == {"add": "Exclusive", "get": "Shared", "clear": "Exclusive"}
    assert services[f"{PREFIX}Patient"]["inactivity_timeout"] == "1s"
    assert services[f"{PREFIX}Hidden"]["public"] is False
    listed = admin(suite, "GET", "/deployments").json()["deployments"]
    [own] = [each for each in listed if each["id"] == registered["id"]]
    assert (own["uri"], own["protocol_type"], own["http_version"]) == (sdk.url + "/", "BidiStream", "HTTP/2.0")
    assert suite.result(f"/{PREFIX}Counter/{tag}/add", 2) == 2


def test_a_service_that_is_made_private_is_refused_by_the_ingress(suite: Suite, deployment_id: str, tag: str) -> None:
    path = f"/{PREFIX}Counter/{tag}/add"
    assert admin(suite, "PATCH", f"/services/{PREFIX}Counter", json={"public": False}).json()["public"] is False
    refused = eventually(lambda: (answer := suite.call(path, 1)).status_code == 400 and answer, "the ingress refuses")
    assert isinstance(refused, httpx.Response)
    assert "not public" in refused.text
    assert admin(suite, "PATCH", f"/services/{PREFIX}Counter", json={"public": True}).json()["public"] is True
    eventually(lambda: suite.call(path, 1).status_code == 200, "the ingress accepts again")


def test_a_sleeping_invocation_is_cancelled_once(suite: Suite, deployment_id: str, sdk: Endpoint, tag: str) -> None:
    invocation = suite.send(f"/{PREFIX}Sleeper/nap", {"tag": tag, "ms": 3_600_000})
    sdk.wait_for_effect(f"{tag}-attempts", "asleep")
    assert operate(suite, invocation, "cancel").status_code == 202
    assert suite.attach(invocation).status_code == 409
    again = operate(suite, invocation, "cancel")
    assert (again.status_code, again.json()) == (
        409,
        {"message": f"The invocation '{invocation}' was already completed.", "restate_code": None},
    )


def test_a_scheduled_invocation_is_ended_at_once(suite: Suite, deployment_id: str, tag: str) -> None:
    invocation = suite.send(f"/{PREFIX}Greeter/greet?delay=1h", tag)
    assert operate(suite, invocation, "resume").status_code == 425
    assert operate(suite, invocation, "pause").status_code == 409
    assert operate(suite, invocation, "purge").status_code == 409
    assert operate(suite, invocation, "kill").status_code == 200
    assert operate(suite, invocation, "kill").status_code == 404


def test_a_killed_invocation_is_kept_until_it_is_purged(suite: Suite, deployment_id: str, sdk: Endpoint, tag: str) -> None:
    invocation = suite.send(f"/{PREFIX}Holder/hold", tag)
    sdk.wait_for_effect_count(tag, 1)
    assert operate(suite, invocation, "kill").status_code == 200
    assert suite.attach(invocation).json()["message"] == "killed"
    assert operate(suite, invocation, "purge").status_code == 200
    gone = operate(suite, invocation, "purge")
    assert (gone.status_code, gone.json()["message"]) == (404, f"The requested invocation '{invocation}' does not exist")


def test_a_completed_invocation_is_restarted_as_new(suite: Suite, deployment_id: str, tag: str) -> None:
    invocation = suite.send(f"/{PREFIX}Greeter/greet", tag)
    first = suite.attach(invocation).json()
    answer = operate(suite, invocation, "restart-as-new")
    assert answer.status_code == 200
    copy = answer.json()["new_invocation_id"]
    assert copy != invocation
    assert copy[:16] == invocation[:16]
    assert suite.attach(copy).json() == first
    assert operate(suite, invocation, "purge-journal").status_code == 200
    assert operate(suite, invocation, "restart-as-new").status_code == 410


def test_an_unknown_invocation_is_told(suite: Suite) -> None:
    unknown = "inv_1gf3qgbvqBGZ3Wg62ENp11QEVhGegZNT7N"
    for action in ("cancel", "kill", "purge", "purge-journal", "pause", "resume", "restart-as-new"):
        answer = operate(suite, unknown, action)
        assert (answer.status_code, answer.json()["message"]) == (404, f"The requested invocation '{unknown}' does not exist")


@ours_only
def test_two_admins_that_register_at_once_leave_whole_revisions(suite: Suite, sdk: Endpoint, tmp_path: Path) -> None:
    """Every revision exists once, in the deployment that says so; here are two processes, the rules are tested with the application."""
    port = free_ports(1)[0]
    nats = re.search(r'listen: "([^"]+)"', (suite.base_dir / "nats.conf").read_text())
    assert nats is not None
    flags = ["--base-dir", str(suite.base_dir), "--nats-url", f"nats://{nats[1]}", "--bind", "127.0.0.1", "--port", str(port)]
    command = [str(REPOSITORY / ".venv/bin/python"), "-m", "services.admin", *flags]
    second = spawn(command, log=tmp_path / "log", env=suite.env, cwd=REPOSITORY)
    try:
        eventually(lambda: is_listening(port), "the second admin listens")
        addresses = [f"{sdk.url}/{number}" for number in range(6)]
        admins = [suite.admin_url, f"http://127.0.0.1:{port}"]
        orders = [(url, {"uri": address, "use_http_11": True}) for address in addresses for url in admins]
        orders += [(url, {"uri": addresses[0], "use_http_11": True, "force": True}) for url in admins]
        with ThreadPoolExecutor(len(orders)) as pool:
            answers = list(pool.map(lambda order: suite.http.post(f"{order[0]}/deployments", json=order[1]), orders))
        assert {answer.status_code for answer in answers} <= {200, 201}
        listed = [suite.http.get(f"{url}/deployments").json()["deployments"] for url in admins]
        services = [suite.http.get(f"{url}/services/{PREFIX}Counter").json() for url in admins]
    finally:
        assert end(second) == 0
    assert sorted(listed[0], key=lambda each: each["id"]) == sorted(listed[1], key=lambda each: each["id"])
    mine = [each for each in listed[0] if each["uri"].startswith(f"{sdk.url}/")]
    revisions = [service["revision"] for each in mine for service in each["services"] if service["name"] == f"{PREFIX}Counter"]
    assert len(mine) == len({each["uri"] for each in mine})
    assert len(revisions) == len(set(revisions)) == len(mine) >= len(addresses)
    assert services[0]["revision"] == services[1]["revision"] == max(revisions)
    for each in mine:
        assert len({service["revision"] for service in each["services"]}) == 1


@ours_only
def test_a_deployment_is_drained_once_its_invocations_have_ended(suite: Suite, sdk: Endpoint, tag: str) -> None:
    older, newer = (suite.register(f"{sdk.url}/{tag}{number}", use_http_11=True)["id"] for number in (1, 2))

    def usage(deployment: str) -> dict[str, Any]:
        return admin(suite, "GET", f"/deployments/{deployment}/usage").json()

    assert usage(older) == {"drained": True, "active_services": [], "invocations": {}}
    assert f"{PREFIX}Sleeper" in usage(newer)["active_services"]
    invocation = suite.send(f"/{PREFIX}Sleeper/nap", {"tag": tag, "ms": 3_600_000})
    sdk.wait_for_effect(f"{tag}-attempts", "asleep")
    suite.register(f"{sdk.url}/{tag}3", use_http_11=True)
    eventually(lambda: usage(newer) == {"drained": False, "active_services": [], "invocations": {"suspended": 1}}, "it is suspended")
    refused = admin(suite, "DELETE", f"/deployments/{newer}")
    assert (refused.status_code, "(1 suspended)" in refused.json()["message"]) == (409, True)
    killed = admin(suite, "POST", "/internal/invocations_batch_operations/kill", json={"filter": {"services": [f"{PREFIX}Sleeper"]}})
    assert killed.status_code == 202
    assert suite.attach(invocation).json()["message"] == "killed"
    assert usage(newer)["drained"]
    assert [admin(suite, "DELETE", f"/deployments/{each}").status_code for each in (older, newer)] == [202, 202]
