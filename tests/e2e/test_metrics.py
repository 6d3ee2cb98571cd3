"""The metrics of a running server, after traffic of every kind."""

import re
from typing import Final

import httpx
import psycopg
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.conftest import Services
from tests.e2e.processes import REPOSITORY
from tests.e2e.suite import ROLES, ours_only

LIMIT_S: Final = 20.0
UNKNOWN: Final = "NobodyRegisteredThis"
NOT_HERE: Final = {"perdure_store_errors", "perdure_store_cached_starts", "perdure_store_stale_starts", "perdure_tracing_spans"}
"""What FoundationDB and traces have alone."""
pytestmark = ours_only


@pytest.fixture(scope="module")
def busy(fresh: Services) -> Services:
    """A server after a call of every outcome."""
    suite, path = fresh.suite, fresh.path
    for number in range(5):
        assert suite.result(path("Greeter", "greet"), f"{number}") == f"Hello {number}"
    assert suite.call(path("Failing", "refuse"), "no").status_code == 418
    assert suite.result(path("Failing", "stumble"), {"tag": "metrics-stumble", "times": 1}) == 2
    assert suite.result(path("Sleeper", "nap"), {"tag": "metrics-nap", "ms": 50}) == "rested"
    suite.attach(suite.send(path("Greeter", "greet"), "later"))
    assert suite.call(f"/{UNKNOWN}/x", "?").status_code == 404
    with psycopg.connect(f"host=127.0.0.1 port={suite.sql_port}") as connection:
        connection.execute("select count(*) from sys_invocation")
        with pytest.raises(psycopg.Error):
            connection.execute("select nothing from sys_invocation")
    return fresh


def scrape(services: Services, query: str = "") -> dict[str, Metric]:
    response = httpx.get(f"{services.suite.node_url}/metrics{query}", timeout=LIMIT_S)
    assert response.status_code == 200
    return {family.name: family for family in text_string_to_metric_families(response.text)}


def total(family: Metric, suffix: str, **labels: str) -> float:
    """Return the sum of the samples with these labels, over all processes."""
    chosen = [each for each in family.samples if each.name.endswith(suffix) and each.labels.items() >= labels.items()]
    assert chosen, f"{family.name}{suffix} has no sample with {labels}"
    return sum(each.value for each in chosen)


def test_what_the_reference_names_is_there_and_nothing_else(busy: Services) -> None:
    there = {name for name in scrape(busy) if name.startswith("perdure_")}
    page = (REPOSITORY / "docs/reference/metrics.md").read_text()
    documented = {name.removesuffix("_total") for name in re.findall(r"`(perdure_\w+)`", page)}
    assert there == documented - NOT_HERE


def test_calls_are_counted_by_handler_and_outcome(busy: Services) -> None:
    families, greeter, failing = scrape(busy), busy.prefix + "Greeter", busy.prefix + "Failing"
    requests, durations = families["perdure_ingress_requests"], families["perdure_ingress_request_duration_seconds"]
    assert total(requests, "_total", service=greeter, handler="greet", type="call", outcome="completed") >= 5
    assert total(requests, "_total", service=greeter, handler="greet", type="send", outcome="completed") >= 1
    assert total(requests, "_total", service=failing, handler="refuse", outcome="invocation_error") >= 1
    assert total(durations, "_count", service=greeter, type="call") >= 5
    assert total(families["perdure_ingress_owner_duration_seconds"], "_count") >= 8


def test_attempts_are_counted_by_how_they_ended_and_where_their_time_went(busy: Services) -> None:
    families, failing, sleeper = scrape(busy), busy.prefix + "Failing", busy.prefix + "Sleeper"
    attempts = families["perdure_invoker_attempts"]
    assert total(attempts, "_total", service=failing, handler="stumble", outcome="failed") >= 1
    assert total(attempts, "_total", service=failing, handler="stumble", outcome="ended") >= 1
    assert total(attempts, "_total", service=sleeper, handler="nap", outcome="suspended") >= 1
    assert total(families["perdure_invoker_retries"], "_total") >= 1
    assert total(families["perdure_invoker_suspensions"], "_total") >= 1
    for phase in ("slot", "first_byte", "handler", "commits"):
        assert total(families["perdure_invoker_attempt_phase_seconds"], "_count", phase=phase) >= 8


def test_invocations_are_counted_by_state_and_partition(busy: Services) -> None:
    families = scrape(busy)
    invocations, lives = families["perdure_invoker_invocations"], families["perdure_invoker_live_invocations"]
    assert total(invocations, "", state="completed") >= 8
    partitions = total(families["perdure_suite_partitions"], "")
    assert len({each.labels["partition"] for each in invocations.samples}) == partitions
    assert len(lives.samples) == partitions
    assert total(families["perdure_invoker_lease_changes"], "_total", change="taken") >= partitions
    assert total(families["perdure_suite_unowned_partitions"], "") == 0


def test_commits_ports_and_statements_are_counted(busy: Services) -> None:
    families = scrape(busy)
    commits = total(families["perdure_invoker_commit_duration_seconds"], "_count")
    assert commits >= 8
    assert total(families["perdure_invoker_commit_rows"], "_sum") > commits
    assert total(families["perdure_invoker_commit_queue_seconds"], "_count") >= commits
    for role in ("ingress", "sql"):
        assert total(families["perdure_port_connections"], "_total", role=role) >= 1
        assert total(families["perdure_port_received_bytes"], "_total", role=role) > 0
        assert total(families["perdure_port_sent_bytes"], "_total", role=role) > 0
    assert total(families["perdure_sql_statements"], "_total", outcome="completed") >= 1
    assert total(families["perdure_sql_statements"], "_total", outcome="failed") >= 1
    assert total(families["perdure_ingress_responses"], "_total", status="404") >= 1


def test_a_service_that_nobody_registered_makes_no_label(busy: Services) -> None:
    assert UNKNOWN not in httpx.get(f"{busy.suite.node_url}/metrics", timeout=LIMIT_S).text


def test_every_role_is_there_and_some_can_be_asked_for(busy: Services) -> None:
    memory = scrape(busy)["process_resident_memory_bytes"].samples
    processes = {each.labels["role"]: each.labels["process"] for each in memory}
    assert sorted(processes) == sorted(ROLES)
    for query, role in (("?role=sql", "sql"), (f"?process={processes['invoker']}", "invoker")):
        families = scrape(busy, query)
        assert {each.labels["role"] for family in families.values() for each in family.samples} == {role}
    refused = httpx.get(f"{busy.suite.node_url}/metrics?role=cook", timeout=LIMIT_S)
    assert refused.status_code == 404
