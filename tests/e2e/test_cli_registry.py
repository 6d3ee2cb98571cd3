"""The released command-line client, unchanged: deployments, services, state and subscriptions. One test for each command."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cli import MISSING, PROGRAM, Cli
from tests.e2e.endpoint import Endpoint
from tests.e2e.processes import eventually
from tests.e2e.suite import Suite, ours_only

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason=MISSING)

PREFIX = "CliReg"
COUNTER = f"{PREFIX}Counter"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    running = Endpoint("tests.e2e.services:app", tmp_path_factory.mktemp("cli-registry"), prefix=PREFIX)
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture
def deployment(suite: Suite, endpoint: Endpoint) -> str:
    """The id of the deployment that serves the services of these tests."""
    return suite.register(endpoint.url)["id"]


@pytest.fixture
def restate(suite: Suite, tmp_path: Path) -> Cli:
    return Cli(suite.admin_url, tmp_path)


def shown(suite: Suite, path: str) -> Any:
    return suite.http.get(suite.admin_url + path).json()


def state_of(suite: Suite, key: str) -> dict[str, str]:
    query = f"SELECT key, value_utf8 FROM state WHERE service_name = '{COUNTER}' AND service_key = '{key}'"
    return {row["key"]: row["value_utf8"] for row in suite.rows(query)}


def test_whoami_finds_the_server(suite: Suite, restate: Cli) -> None:
    told = restate("whoami")
    assert "is healthy" in told
    assert suite.admin_url in told


def test_deployments_register_asks_before_it_stores(suite: Suite, endpoint: Endpoint, restate: Cli) -> None:
    services = {each["name"] for each in shown(suite, "/services")["services"]}
    question = "apply those changes?"
    refused = restate.answering(question, "n", "deployments", "register", endpoint.url)
    assert refused != 0
    assert {each["name"] for each in shown(suite, "/services")["services"]} == services
    assert restate.answering(question, "y", "deployments", "register", endpoint.url) == 0
    assert shown(suite, f"/services/{COUNTER}")["revision"] == 1


def test_deployments_register_leaves_what_is_there_unless_forced(suite: Suite, deployment: str, endpoint: Endpoint, restate: Cli) -> None:
    before = shown(suite, f"/services/{COUNTER}")["revision"]
    assert f"already exists with id {deployment}" in restate("deployments", "register", endpoint.url)
    assert shown(suite, f"/services/{COUNTER}")["revision"] == before
    forced = restate("deployments", "register", "--force", "--extra-header", "x-a=b", "--metadata", "team=x", endpoint.url)
    assert deployment in forced
    assert shown(suite, f"/services/{COUNTER}")["revision"] == before + 1
    detail = shown(suite, f"/deployments/{deployment}")
    assert (detail["additional_headers"], detail["metadata"]) == ({"x-a": "b"}, {"team": "x"})
    assert "META0003" in restate("deployments", "register", "http://127.0.0.1:1", code=1)


def test_deployments_are_listed_and_described(deployment: str, endpoint: Endpoint, restate: Cli) -> None:
    assert deployment in restate("deployments", "list")
    described = restate("deployments", "describe", deployment)
    assert endpoint.url in described
    assert COUNTER in described
    restate("deployments", "describe", "dp_17f4GmlV2jAX6YvPFBOXnM5", code=1)


@ours_only
def test_deployments_remove_keeps_an_active_one_unless_forced(suite: Suite, restate: Cli, tmp_path: Path) -> None:
    removed = Endpoint("tests.e2e.services:app", tmp_path, prefix="CliGone")
    try:
        removed.start()
        deployment = suite.register(removed.url)["id"]
        assert "still Active" in restate("deployments", "remove", deployment, code=1)
        assert suite.http.delete(f"{suite.admin_url}/deployments/{deployment}").status_code == 409
        restate("deployments", "remove", "--force", deployment)
    finally:
        removed.stop()
    assert suite.http.get(f"{suite.admin_url}/deployments/{deployment}").status_code == 404
    assert suite.http.get(f"{suite.admin_url}/services/CliGoneCounter").status_code == 404


def test_services_are_listed_and_described(deployment: str, restate: Cli) -> None:
    assert COUNTER in restate("services", "list")
    described = restate("services", "describe", COUNTER)
    assert "VirtualObject" in described
    assert deployment in described
    restate("services", "describe", "CliNobody", code=1)


def test_services_config_shows_and_changes_options(suite: Suite, deployment: str, restate: Cli) -> None:
    restate("services", "config", "patch", COUNTER, "--idempotency-retention", "2days", "--public", "true")
    assert shown(suite, f"/services/{COUNTER}")["idempotency_retention"] == "2d"
    assert "2d" in restate("services", "config", "view", COUNTER)
    editing = restate.edited_by("""echo 'inactivity_timeout = "7min"' >> "$1" """)
    editing("services", "config", "edit", COUNTER)
    assert shown(suite, f"/services/{COUNTER}")["inactivity_timeout"] == "7m"
    assert "404" in restate("services", "config", "patch", "CliNobody", "--public", "false", code=1)


def test_state_is_edited_patched_and_cleared(suite: Suite, deployment: str, restate: Cli, tag: str) -> None:
    suite.result(f"/{COUNTER}/{tag}/add", 3)
    restate.edited_by('sed -i "s/3/44/" "$1"')("state", "edit", COUNTER, tag)
    eventually(lambda: state_of(suite, tag) == {"value": "44"}, "the edit is applied")
    assert "44" in restate("state", "get", COUNTER, tag)
    restate("state", "patch", COUNTER, tag, "-p", '[{"op": "add", "path": "/other", "value": 1}]')
    eventually(lambda: state_of(suite, tag) == {"value": "44", "other": "1"}, "the patch is applied")
    assert suite.result(f"/{COUNTER}/{tag}/add", 1) == 45
    restate("state", "clear", f"{COUNTER}/{tag}")
    eventually(lambda: state_of(suite, tag) == {}, "it is cleared")
    restate("state", "get", f"{PREFIX}Greeter", tag, code=1)


def test_subscriptions_and_clusters_come_and_go(suite: Suite, deployment: str, restate: Cli, tag: str) -> None:
    cluster = f"c{tag}"
    restate("kafka-clusters", "create", cluster, "bootstrap.servers=127.0.0.1:1")
    assert cluster in restate("kafka-clusters", "list")
    restate("subscriptions", "create", f"kafka://{cluster}/topic", f"service://{COUNTER}/add")
    [subscription] = [each["id"] for each in shown(suite, "/subscriptions")["subscriptions"] if cluster in each["source"]]
    assert subscription in restate("subscriptions", "list")
    assert "127.0.0.1:1" in restate("subscriptions", "describe", subscription)
    restate("subscriptions", "delete", subscription)
    restate("kafka-clusters", "delete", cluster)
    assert suite.http.get(f"{suite.admin_url}/subscriptions/{subscription}").status_code == 404
    assert suite.http.get(f"{suite.admin_url}/kafka-clusters/{cluster}").status_code == 404
    restate("subscriptions", "describe", subscription, code=1)
