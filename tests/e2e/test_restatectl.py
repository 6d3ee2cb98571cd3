"""The released `restatectl` against a running server."""

import itertools
import json
import subprocess
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.e2e.processes import REPOSITORY, eventually
from tests.e2e.suite import Suite, ours_only

PROGRAM: Final = REPOSITORY / "tests/e2e/node/node_modules/@restatedev/restatectl-linux-x64/bin/restatectl"
PARTITIONS: Final = 24
LIMIT_S: Final = 30.0
pytestmark = ours_only


class Restatectl:
    """The command, told where the server is."""

    def __init__(self, suite: Suite) -> None:
        self.address = f"{suite.node_url}/"

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [PROGRAM, *arguments, "--address", self.address]
        return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)

    def lines(self, *arguments: str) -> list[list[str]]:
        """Return the words of each line; the command must succeed without a word of complaint."""
        ended = self.run(*arguments)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert "ERROR" not in ended.stdout + ended.stderr
        return [line.split() for line in ended.stdout.splitlines()]

    def json(self, *arguments: str) -> object:
        return json.loads(self.run(*arguments).stdout)


@pytest.fixture(scope="module")
def restatectl(suite: Suite) -> Restatectl:
    eventually(lambda: httpx.get(f"{suite.node_url}/ready").status_code == 200, "the suite is ready")
    return Restatectl(suite)


def test_status_shows_one_node_that_leads_every_partition(restatectl: Restatectl) -> None:
    node = next(words for words in restatectl.lines("status") if words[:2] == ["N1:1", "perdure"])
    assert str(PARTITIONS) in node
    assert node[-5:] == ["admin", "|", "http-ingress", "|", "worker"]


def test_status_with_everything_shows_logs_and_partitions_as_well(restatectl: Restatectl) -> None:
    lines = restatectl.lines("status", "--extra")
    assert [words[3] for words in lines if words[:2] == ["0", "N1:1"]] == ["Active"]
    assert ["Logs", "v1"] in lines


def test_nodes_are_listed_with_the_address_that_was_asked(restatectl: Restatectl) -> None:
    node = next(words for words in restatectl.lines("nodes", "list", "--extra") if words[:1] == ["N1"])
    assert restatectl.address in node
    assert node[node.index("Alive") :][:3] == ["Alive", "Ready", "Ready"]


def test_partitions_are_listed_with_their_epochs(restatectl: Restatectl) -> None:
    rows = [words for words in restatectl.lines("partitions", "list") if words[1:2] == ["N1:1"]]
    assert [int(words[0]) for words in rows] == list(range(PARTITIONS))
    assert {(words[2], words[3]) for words in rows} == {("Leader", "Active")}
    assert all(words[4].startswith("e") for words in rows)


def test_there_is_a_log_for_each_partition(restatectl: Restatectl) -> None:
    assert len([words for words in restatectl.lines("logs", "list") if "replicated" in words and words[0].isdigit()]) == PARTITIONS
    assert ["Log", "Id:", "3", "(v1)"] in restatectl.lines("logs", "describe", "3")


def test_what_a_log_has_not_is_refused_in_words(restatectl: Restatectl) -> None:
    assert "FindTail means nothing here" in restatectl.run("logs", "find-tail", "0").stdout
    snapshot = restatectl.run("snapshots", "create", "0")
    assert "perdure backup" in snapshot.stdout + snapshot.stderr


def test_the_configuration_tells_the_number_of_partitions(restatectl: Restatectl) -> None:
    assert ["Number", "of", "partitions:", str(PARTITIONS)] in [words[1:] for words in restatectl.lines("config", "get")]


def test_metadata_documents_are_read_by_key(restatectl: Restatectl) -> None:
    nodes = restatectl.json("metadata", "get", "-k", "nodes_config")
    assert isinstance(nodes, dict)
    assert nodes["nodes"][0][1]["Node"]["address"] == restatectl.address
    table = restatectl.json("metadata", "get", "-k", "partition_table")
    assert isinstance(table, dict)
    ranges = [each["key_range"] for _, each in table["partitions"]]
    assert ranges[0]["start"] == 0
    assert ranges[-1]["end"] == 2**64 - 1
    assert all(left["end"] + 1 == right["start"] for left, right in itertools.pairwise(ranges))
    epoch = restatectl.json("metadata", "get", "-k", "pp_epoch_0")
    assert isinstance(epoch, dict)
    assert epoch["epoch"] >= 1
    assert restatectl.json("metadata", "get", "-k", "nothing") is None


def test_what_is_kept_in_another_form_says_where(restatectl: Restatectl) -> None:
    refused = restatectl.run("metadata", "get", "-k", "schema_registry")
    assert (refused.returncode, "`GET /deployments`" in refused.stderr) == (1, True)


def test_metadata_cannot_be_written(restatectl: Restatectl, tmp_path: Path) -> None:
    document = tmp_path / "document.json"
    document.write_text("{}")
    refused = restatectl.run("metadata", "put", "-k", "nodes_config", str(document))
    assert (refused.returncode, "perdure move" in refused.stderr) == (1, True), refused.stdout + refused.stderr


def test_leaders_are_shown_and_cannot_be_pinned(restatectl: Restatectl) -> None:
    assert [words[:2] for words in restatectl.lines("partitions", "leadership", "show")][1:] == [[f"{n}", "N1"] for n in range(PARTITIONS)]
    refused = restatectl.run("partitions", "leadership", "pin", "0", "--node", "N1")
    assert (refused.returncode, "perdure move" in refused.stderr) == (1, True)


def test_the_store_is_not_compacted_by_hand(restatectl: Restatectl) -> None:
    refused = restatectl.run("storage", "compact")
    assert (refused.returncode, "the store looks after itself" in refused.stdout) == (1, True)


def test_a_suite_is_provisioned_from_its_start(restatectl: Restatectl) -> None:
    assert "has been provisioned" in restatectl.run("provision", "--yes").stdout


def test_sql_reads_partitions_and_processes(restatectl: Restatectl) -> None:
    rows = restatectl.json("sql", "--json", "select p.partition_id, s.owner from partitions p join partition_state s using (partition_id)")
    assert isinstance(rows, list)
    assert sorted(row["partition_id"] for row in rows) == list(range(PARTITIONS))
    assert all(row["owner"].startswith("invoker-") for row in rows)
    assert restatectl.json("sql", "--json", "select max(lag_ms) < 10000 as gets_on from partition_state") == [{"gets_on": True}]
    logs = restatectl.json("sql", "--json", "select count(*) as logs from logs_tail_segments join partitions using (log_id)")
    assert logs == [{"logs": PARTITIONS}]
    roles = restatectl.json("sql", "--json", "select role from processes where is_ready order by role")
    assert roles == [{"role": role} for role in ("admin", "ingress", "invoker", "nodectl", "sql")]


def test_sql_of_many_rows_comes_in_pieces(restatectl: Restatectl) -> None:
    rows = restatectl.json("sql", "--json", "select a.partition_id from partitions a cross join partitions b")
    assert isinstance(rows, list)
    assert len(rows) == PARTITIONS * PARTITIONS


def test_sql_without_rows_and_wrong_sql_are_told_apart(restatectl: Restatectl) -> None:
    assert "0 rows" in restatectl.run("sql", "select * from nodes where false").stderr
    wrong = restatectl.run("sql", "select * from sys_invocation")
    assert wrong.returncode != 0
    assert "table 'restate.public.sys_invocation' not found" in wrong.stderr
