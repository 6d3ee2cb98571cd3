"""Operators at the node port: they see the suite, move partitions, and drain processes before they stop them; no caller notices."""

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import httpx
import psycopg
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from perdure.store.embedded.lock import WriteLock
from tests.e2e.endpoint import Endpoint
from tests.e2e.fleet import Fleet, Member, running
from tests.e2e.processes import REPOSITORY, eventually
from tests.e2e.steady_load import SteadyLoad

pytestmark = pytest.mark.timeout(300)
CALLS_BETWEEN = 200
DONE, NOT_YET, FAILED = 0, 1, 2
ALL = list(range(24))


class Operator:
    """The `perdure` command at the last node port of a fleet."""

    def __init__(self, fleet: Fleet, token: str = "") -> None:
        self.url = f"http://127.0.0.1:{fleet.members['nodectl'][-1].port}"
        self._env = os.environ | {"PERDURE_AUTH_TOKEN": token}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [REPOSITORY / ".venv/bin/perdure", *arguments, "--node", self.url]
        return subprocess.run(command, env=self._env, capture_output=True, text=True, timeout=90, check=False)

    def does(self, *arguments: str) -> None:
        """Run a command that must succeed."""
        ended = self.run(*arguments)
        assert ended.returncode == DONE, ended.stdout + ended.stderr

    def status(self) -> dict[str, Any]:
        return dict(httpx.get(f"{self.url}/status").json())

    def partition(self, number: int) -> dict[str, Any]:
        return dict(self.status()["partitions"][number])

    def process(self, process_id: str) -> dict[str, Any]:
        return next(dict(each) for each in self.status()["processes"] if each["process_id"] == process_id)

    def knows(self, process_id: str) -> bool:
        return any(each["process_id"] == process_id and each["state"] == "ready" for each in self.status()["processes"])

    def partitions(self, process_id: str) -> list[int]:
        return list(self.process(process_id)["partitions"])

    def open(self, process_id: str) -> int:
        return int(self.process(process_id)["open"])


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, endpoint: Endpoint) -> Iterator[Fleet]:
    for fleet in running(tmp_path_factory.mktemp("operations") / "fleet", nodectl=1, admin=1, sql=1, invoker=2, ingress=2):
        fleet.register(endpoint.url)
        eventually(lambda fleet=fleet: httpx.get(Operator(fleet).url + "/ready").status_code == 200, "the suite is ready")
        yield fleet


@pytest.fixture
def operator(fleet: Fleet) -> Iterator[Operator]:
    """A test finds as many processes of each role as the one before it did."""
    counts = {role: len(members) for role, members in fleet.members.items()}
    yield Operator(fleet)
    for role, members in fleet.members.items():
        while len(members) > counts[role]:
            fleet.stop(members[-1])


def start(fleet: Fleet, operator: Operator, role: str) -> Member:
    """Start a process, and wait until the node port knows it."""
    (member,) = fleet.start(role)
    eventually(lambda: operator.knows(member.process_id), f"the node port knows {member.process_id}")
    return member


def test_the_status_names_every_process_and_the_owner_of_every_partition(fleet: Fleet, operator: Operator) -> None:
    shown = operator.run("status")
    assert shown.returncode == DONE, shown.stdout + shown.stderr
    rows = [line.split() for line in shown.stdout.splitlines() if line]
    for member in (each for members in fleet.members.values() for each in members):
        assert [member.role, member.process_id, "ready"] in [row[:3] for row in rows]
    invokers = {member.process_id for member in fleet.members["invoker"]}
    owners = {number: row[1] for row in rows if row[0][:1].isdigit() and row[1] in invokers for number in numbers_in(row[0])}
    assert sorted(owners) == ALL
    assert set(owners.values()) == invokers


def numbers_in(ranges: str) -> list[int]:
    """Return the numbers of `0-3,7`."""
    spans = (span.partition("-") for span in ranges.split(","))
    return [number for first, _, last in spans for number in range(int(first), int(last or first) + 1)]


def test_partitions_move_to_where_an_operator_wants_them_and_back_and_no_call_fails(fleet: Fleet, operator: Operator, tag: str) -> None:
    first, second = (member.process_id for member in fleet.members["invoker"])
    of_first, of_second = operator.partitions(first), operator.partitions(second)
    with SteadyLoad(fleet, tag) as load:
        for partition in of_first[:3]:
            operator.does("move", str(partition), second)
        load.wait_for_more(CALLS_BETWEEN)
        assert operator.partitions(second) == sorted([*of_second, *of_first[:3]])
        assert operator.partition(of_first[0])["moved_to"] == second
        for partition in of_first[:3]:
            operator.does("move", str(partition), "--back")
        eventually(lambda: operator.partitions(first) == of_first, "the first invoker has its partitions again")
        load.wait_for_more(CALLS_BETWEEN)
    assert load.failures == []


def test_a_moved_partition_goes_elsewhere_when_its_invoker_stops(fleet: Fleet, operator: Operator) -> None:
    newcomer = start(fleet, operator, "invoker")
    partition = operator.partitions(fleet.members["invoker"][0].process_id)[0]
    operator.does("move", str(partition), newcomer.process_id)
    fleet.stop(newcomer)
    eventually(lambda: operator.partition(partition)["owner"] not in ("", newcomer.process_id), "the partition has another owner")
    assert operator.partition(partition)["moved_to"] == ""


def test_a_drained_process_may_be_stopped_and_no_call_fails(fleet: Fleet, operator: Operator, tag: str) -> None:
    invoker, ingress = start(fleet, operator, "invoker"), start(fleet, operator, "ingress")
    with SteadyLoad(fleet, tag) as load:
        operator.does("drain", invoker.process_id)
        assert operator.partitions(invoker.process_id) == []
        load.wait_for_more(CALLS_BETWEEN)
        assert operator.partitions(invoker.process_id) == []
        fleet.balancer.addresses.remove(("127.0.0.1", ingress.port or 0))
        operator.does("drain", ingress.process_id)
        for member in (invoker, ingress):
            assert operator.process(member.process_id)["state"] == "drained", member.role
            fleet.stop(member)
        load.wait_for_more(CALLS_BETWEEN)
    assert load.failures == []


def test_handlers_under_way_go_on_where_they_were_when_their_invoker_is_drained(
    fleet: Fleet, operator: Operator, endpoint: Endpoint, tag: str
) -> None:
    invoker = start(fleet, operator, "invoker")
    eventually(lambda: len(operator.partitions(invoker.process_id)) == len(ALL) // 3, "the newcomer has its share")
    waiting = {key: fleet.send(f"/Journal/{key}/hold_lock", key) for key in (f"{tag}-{number}" for number in range(len(ALL)))}
    awakeables = {key: eventually(lambda key=key: endpoint.effects(key), "it waits")[0] for key in waiting}
    eventually(lambda: operator.open(invoker.process_id) > 0, "the invoker has attempts under way")
    operator.does("drain", invoker.process_id)
    fleet.stop(invoker)
    for key, awakeable in awakeables.items():
        assert fleet.call(f"/restate/awakeables/{awakeable}/resolve", key).status_code == 202
    assert {key: fleet.attach(invocation).json() for key, invocation in waiting.items()} == {key: key for key in waiting}
    assert all(endpoint.effects(key) == [awakeable] for key, awakeable in awakeables.items())


def test_a_drained_process_is_not_ready_and_asks_its_clients_to_leave(fleet: Fleet, operator: Operator) -> None:
    ingress = start(fleet, operator, "ingress")
    with httpx.Client(base_url=f"http://127.0.0.1:{ingress.port}") as client:
        assert "connection" not in client.get("/restate/health").headers
        operator.does("drain", ingress.process_id)
        eventually(lambda: client.get("/restate/health").headers.get("connection") == "close", "the client is asked to leave")
    health = httpx.get(f"{operator.url}/health").json()
    told = next(each for each in health["processes"] if each["process_id"] == ingress.process_id)
    assert (told["is_ready"], told["because"], told["is_draining"]) == (False, "draining", True)
    assert health["status"] == "Alive"
    fleet.stop(ingress)


def test_a_drained_sql_process_ends_its_connections_and_sends_clients_elsewhere(fleet: Fleet, operator: Operator) -> None:
    drained = start(fleet, operator, "sql")
    address = f"host=127.0.0.1 port={drained.port} user=anyone dbname=restate"
    with psycopg.connect(address, autocommit=True) as client:
        assert client.execute("select count(*) from sys_invocation").fetchone() is not None
        eventually(lambda: operator.open(drained.process_id) == 1, "the client is counted")
        operator.does("drain", drained.process_id)
        with pytest.raises(psycopg.errors.AdminShutdown):
            client.execute("select 1")
    with pytest.raises(psycopg.OperationalError, match="connect to another one"):
        psycopg.connect(address)
    other = fleet.members["sql"][0].port
    both = f"host=127.0.0.1,127.0.0.1 port={drained.port},{other} user=anyone dbname=restate"
    with psycopg.connect(both) as client:
        assert client.info.port == other
    fleet.stop(drained)


def test_what_cannot_be_done_is_refused_in_words(fleet: Fleet, operator: Operator) -> None:
    ingress = fleet.members["ingress"][0].process_id
    for arguments, words in {
        ("drain", "nobody-1"): "no process 'nobody-1' is alive; `perdure status` lists those that are",
        ("move", "24", fleet.members["invoker"][0].process_id): "partition is a number from 0 to 23",
        ("move", "3", ingress): f"{ingress} is no invoker: only invokers own partitions",
    }.items():
        refused = operator.run(*arguments)
        assert (refused.returncode, refused.stderr) == (FAILED, f"perdure: {words}\n")
    assert operator.run("move", "3").returncode == FAILED


def test_the_last_invoker_is_not_drained(fleet: Fleet, operator: Operator) -> None:
    first, second = fleet.members["invoker"]
    operator.does("drain", first.process_id)
    refused = operator.run("drain", second.process_id)
    assert (refused.returncode, "start another one first" in refused.stderr) == (FAILED, True)
    refused = operator.run("move", "0", first.process_id)
    assert (refused.returncode, "it takes no partitions" in refused.stderr) == (FAILED, True)
    fleet.replace(first)
    eventually(lambda: operator.run("status").returncode == DONE, "the suite is whole again")


def test_operations_want_the_token_where_one_is_set_and_reading_does_not(fleet: Fleet) -> None:
    fleet.env["PERDURE_AUTH_TOKEN"] = "secret"
    (guarded,) = fleet.start("nodectl")
    stranger, operator = Operator(fleet), Operator(fleet, "secret")
    process = fleet.members["invoker"][0].process_id
    for arguments in (("drain", process), ("move", "0", process), ("log-level", "info")):
        refused = stranger.run(*arguments)
        assert (refused.returncode, "PERDURE_AUTH_TOKEN" in refused.stderr) == (FAILED, True)
    assert httpx.put(f"{stranger.url}/drain", headers={"authorization": "Bearer secre"}).headers["www-authenticate"] == "Bearer"
    eventually(lambda: stranger.run("status").returncode == DONE, "the newcomer has heard of all")
    operator.does("log-level", "info")
    operator.does("move", "0", process)
    del fleet.env["PERDURE_AUTH_TOKEN"]
    fleet.stop(guarded)


def test_the_suite_is_not_ready_while_partitions_do_not_get_on(fleet: Fleet, operator: Operator) -> None:
    def reasons() -> str:
        return str(httpx.get(f"{operator.url}/ready").json()["reasons"])

    with ThreadPoolExecutor(1) as pool:
        with WriteLock(str(fleet.base_dir / "data/perdure.db")):
            call = pool.submit(fleet.result, "/Greeter/greet", "Ada")
            eventually(lambda: "partitions that do not get on" in reasons(), "it is noticed", limit_s=30)
            assert httpx.get(f"{operator.url}/ready").status_code == 503
            assert operator.run("status").returncode == NOT_YET
            with grpc.insecure_channel(operator.url.removeprefix("http://")) as channel:
                answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=20)
                assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert call.result(30) == "Hello Ada"
    eventually(lambda: reasons() == "[]", "it gets on")
