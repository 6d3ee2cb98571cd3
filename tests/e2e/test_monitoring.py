"""The board and the alerts of `deploy/`, asked of a real Prometheus that scrapes a running server."""

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import psycopg
import pytest
import yaml

from tests.e2e.conftest import Services
from tests.e2e.processes import REPOSITORY, eventually
from tests.e2e.prometheus import DEPLOY, Prometheus, promtool
from tests.e2e.suite import ours_only

BOARD: Final = REPOSITORY / "deploy/grafana/perdure.json"
VARIABLES: Final = {"$__rate_interval": "1m", "$service": ".*"}
WITHOUT_SERIES: Final = ("subscription", 'key!="file"')
"""What only suites with subscriptions, and on FoundationDB, have series of."""
THRESHOLD: Final = re.compile(r"^(?P<value>.+) (==|>|<) [0-9.e]+$", re.DOTALL)
NAME: Final = re.compile(r"\b(perdure|process)_[a-z_]+[a-z]\b(?=[{\[) ]|$)")


def slow(name: str) -> dict[str, str]:
    """Return a histogram most of whose observations are long."""
    return {
        f'{name}_bucket{{process="p", le="{bound}"}}': values for bound, values in (("0.1", "0x30"), ("1.0", "0+9x30"), ("+Inf", "0+9x30"))
    }


TROUBLE: Final[dict[str, dict[str, str]]] = {
    "PerdureUnreachable": {'up{job="perdure"}': "0x30"},
    "PerdureNotReady": {"perdure_suite_ready": "0x30"},
    "PerdureRoleMissing": {'perdure_suite_ready_processes{role="sql"}': "0x30"},
    "PerdurePartitionUnowned": {"perdure_suite_unowned_partitions": "2x30"},
    "PerdurePartitionBehind": {'perdure_suite_partition_lag_seconds{partition="3"}': "1+1x30"},
    "PerdureIngressErrors": {
        'perdure_ingress_requests_total{outcome="ingress_error"}': "0+2x30",
        'perdure_ingress_requests_total{outcome="completed"}': "0+90x30",
    },
    "PerdureRequestsTurnedAway": {'perdure_ingress_admissions_total{outcome="rate_limited", process="p"}': "0+1x30"},
    "PerdureAttemptsFail": {
        'perdure_invoker_attempts_total{service="s", outcome="failed"}': "0+6x30",
        'perdure_invoker_attempts_total{service="s", outcome="ended"}': "0+5x30",
    },
    "PerdureInvocationsPaused": {'perdure_invoker_invocations{state="paused"}': "1x30"},
    "PerdureAttemptsWait": {'perdure_invoker_waiting_attempts{process="p"}': "1x30"},
    "PerdureSubscriptionBroken": {'perdure_invoker_subscription_failures_total{subscription="s"}': "0+1x30"},
    "PerdureCommitsStall": {'perdure_invoker_oldest_uncommitted_seconds{process="p"}': "6x30"},
    "PerdureCommitsSlow": slow("perdure_invoker_commit_duration_seconds"),
    "PerdureStoreConflicts": {
        'perdure_store_conflicts_total{key="lease"}': "0+1x30",
        "perdure_store_transactions_total": "0+9x30",
    },
    "PerdurePartitionsLost": {'perdure_invoker_lease_changes_total{change="lost", process="p"}': "0+1x30"},
    "PerdureBusSlow": slow("perdure_bus_lag_seconds"),
    "PerdureBusDropsMessages": {'perdure_bus_dropped_messages_total{process="p"}': "0+1x30"},
    "PerdureEventLoopBusy": slow("perdure_event_loop_lag_seconds"),
    "PerdureMemoryHigh": {'process_resident_memory_bytes{job="perdure", process="p"}': "3e9x30"},
    "PerdureFilesRunOut": {
        'process_open_fds{job="perdure", process="p"}': "900x30",
        'process_max_fds{job="perdure", process="p"}': "1024x30",
    },
}
"""Alert -> series, one value a minute, at which it must fire."""
pytestmark = ours_only


def panels() -> list[dict[str, Any]]:
    return [panel for panel in json.loads(BOARD.read_text())["panels"] if panel["type"] != "row"]


def queries() -> list[str]:
    """Return every expression of the board, with its variables filled in."""
    expressions = [target["expr"] for panel in panels() for target in panel["targets"]]
    for name, value in VARIABLES.items():
        expressions = [expression.replace(name, value) for expression in expressions]
    return expressions


def alerts() -> dict[str, str]:
    groups = yaml.safe_load((DEPLOY / "alerts.yml").read_text())["groups"]
    return {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"]}


def values_of_alerts() -> list[str]:
    """Return what the alerts compare, without the threshold."""
    found = [THRESHOLD.match(expression) for expression in alerts().values()]
    assert all(found), "an alert compares with a number"
    return [each["value"] for each in found if each is not None]


@pytest.fixture(scope="module")
def text(fresh: Services) -> str:
    """The metrics after some calls and a statement."""
    fresh.suite.result(fresh.path("Greeter", "greet"), "text")
    return httpx.get(f"{fresh.suite.node_url}/metrics", timeout=20).text


@pytest.fixture(scope="module")
def prometheus(fresh: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that has seen calls and statements go on."""
    suite = fresh.suite
    server = Prometheus(tmp_path_factory.mktemp("prometheus"), suite.node_url.removeprefix("http://"))
    try:
        for _ in range(3):
            for number in range(10):
                suite.result(fresh.path("Greeter", "greet"), f"{number}")
            suite.send(fresh.path("Greeter", "greet"), "later")
            psql(suite.sql_port)
            server.wait_for_scrapes(1)
        yield server
    finally:
        server.close()


def psql(port: int) -> None:
    with psycopg.connect(f"host=127.0.0.1 port={port}") as connection:
        connection.execute("select count(*) from sys_invocation")


def test_each_query_of_the_board_has_an_answer(prometheus: Prometheus) -> None:
    for expression in queries():
        eventually(lambda expression=expression: has_answer(prometheus, expression), f"there is something for {expression}")


def test_each_alert_compares_something_that_there_is(prometheus: Prometheus) -> None:
    for expression in values_of_alerts():
        eventually(lambda expression=expression: has_answer(prometheus, expression), f"there is something for {expression}")


def has_answer(prometheus: Prometheus, expression: str) -> bool:
    series = prometheus.query(expression)
    return any(each in expression for each in WITHOUT_SERIES) or any(not math.isnan(value) for _, value in series)


def test_the_rules_are_evaluated_and_calls_that_get_on_are_nothing_critical(prometheus: Prometheus) -> None:
    eventually(lambda: all(rule["lastEvaluation"] > "0002" for rule in prometheus.rules()), "every rule has been evaluated")
    rules = prometheus.rules()
    assert {rule["name"] for rule in rules} == set(alerts())
    assert [rule["lastError"] for rule in rules if rule["health"] != "ok"] == []
    eventually(lambda: not critical(prometheus), "no critical alert is pending")


def critical(prometheus: Prometheus) -> list[str]:
    """Return the critical alerts whose condition holds."""
    return [rule["name"] for rule in prometheus.rules() if rule["labels"]["severity"] == "critical" and rule["state"] != "inactive"]


def test_board_and_alerts_name_only_metrics_that_there_are(text: str) -> None:
    there = set(re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE))
    histograms = re.findall(r"^# TYPE (\S+) histogram", text, re.MULTILINE)
    there |= {f"{name}_{part}" for name in histograms for part in ("bucket", "sum", "count")}
    named = {match[0] for expression in [*queries(), *alerts().values()] for match in NAME.finditer(expression)}
    assert len(named) > 40
    assert named - there == set()


def test_each_alert_fires_when_what_it_is_about_happens(tmp_path: Path) -> None:
    assert set(TROUBLE) == set(alerts())
    tests = [
        {
            "interval": "1m",
            "input_series": [{"series": series, "values": values} for series, values in trouble.items()],
            "promql_expr_test": [
                {
                    "expr": f'count(ALERTS{{alertname="{name}", alertstate="firing"}})',
                    "eval_time": "25m",
                    "exp_samples": [{"labels": "{}", "value": 1}],
                }
            ],
        }
        for name, trouble in TROUBLE.items()
    ]
    file = tmp_path / "alerts_test.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(DEPLOY / "alerts.yml")], "evaluation_interval": "1m", "tests": tests}))
    checked = promtool("test", "rules", str(file))
    assert checked.returncode == 0, checked.stderr.decode()


def test_prometheus_own_checks_find_nothing_wrong(text: str) -> None:
    checked = promtool("check", "rules", str(DEPLOY / "alerts.yml"))
    assert checked.returncode == 0, checked.stderr
    linted = promtool("check", "metrics", text=text.encode())
    assert (linted.returncode, linted.stdout + linted.stderr) == (0, b"")


def test_panels_have_titles_of_their_own_and_do_not_lie_over_each_other() -> None:
    titles = [panel["title"] for panel in panels()]
    assert len(titles) == len(set(titles))
    cells = [
        (x, y)
        for panel in json.loads(BOARD.read_text())["panels"]
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
