"""Invokers on hosts of their own whose network fails: nothing is lost or done twice, and who was given up does nothing any more."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.endpoint import Endpoint
from tests.e2e.fleet import NATS_SETTINGS, Fleet
from tests.e2e.processes import eventually
from tests.e2e.steady_load import SteadyLoad
from tests.fdb.cluster import Cluster
from tests.fdb.remote import ClusterServer
from tests.kill.network import CAN_MAKE_HOSTS, HUB_ADDRESS, Network, SlowCable

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(not CAN_MAKE_HOSTS, reason="hosts are network namespaces: that takes root, ip and iptables"),
]
HOSTS = ["one", "two"]
CALLS = 300
LOSS = 0.03
DELAY_S = 0.03
FENCED = re.compile('"event":"(lease|partitions)_lost"')


class SpreadFleet(Fleet):
    """A fleet whose invokers are on `HOSTS`, in turn, and all else in the hub."""

    def __init__(self, base_dir: Path, network: Network, env: dict[str, str] | None = None) -> None:
        self.network = network
        super().__init__(base_dir, nats_settings=NATS_SETTINGS, nats_host="0.0.0.0")  # of a namespace
        self.nats_url = f"nats://{HUB_ADDRESS}:{self.nats.port}"
        self.env |= env or {}
        self.endpoint_port = 0
        self._hosts = iter(HOSTS * 8)

    def placed(self, role: str, command: list[str]) -> list[str]:
        return self.network.command(next(self._hosts), command) if role == "invoker" else command


@pytest.fixture
def network() -> Iterator[Network]:
    network = Network(HOSTS)
    try:
        network.enter()
        yield network
    finally:
        network.close()


@pytest.fixture
def fleet(tmp_path: Path, network: Network) -> Iterator[SpreadFleet]:
    yield from running(SpreadFleet(tmp_path / "fleet", network), tmp_path)


@pytest.fixture
def cluster(tmp_path: Path, network: Network) -> Iterator[ClusterServer]:
    """A simulated FoundationDB cluster in the hub."""
    server = ClusterServer(Cluster(seed=1), tmp_path, host="0.0.0.0")  # of a namespace
    server.cluster_file.write_text(f"{HUB_ADDRESS}:{server.port}")
    yield server
    server.close()


@pytest.fixture
def fleet_on_fdb(tmp_path: Path, network: Network, cluster: ClusterServer) -> Iterator[SpreadFleet]:
    yield from running(SpreadFleet(tmp_path / "fleet", network, cluster.env), tmp_path)


def running(fleet: SpreadFleet, directory: Path) -> Iterator[SpreadFleet]:
    endpoint = Endpoint("tests.e2e.services:app", directory, host=HUB_ADDRESS)
    try:
        endpoint.start()
        for role, count in (("nodectl", 1), ("admin", 1), ("invoker", 2), ("ingress", 1)):
            fleet.start(role, count)
        eventually(lambda: is_shared(fleet), "both invokers have partitions")
        fleet.register(endpoint.url)
        fleet.endpoint_port = endpoint.port
        yield fleet
    finally:
        fleet.close()
        endpoint.stop()


def is_shared(fleet: Fleet) -> bool:
    return sorted(fleet.partitions_by_invoker().values()) == [12, 12]


def test_lost_packets_cost_time_and_nothing_else(fleet: SpreadFleet, tag: str) -> None:
    with SteadyLoad(fleet, tag) as load:
        for host in HOSTS:
            fleet.network.lose(host, LOSS)
        load.wait_for_more(CALLS)
    assert load.failures == []


def test_an_invoker_without_the_bus_is_given_up_and_fenced_and_comes_back(fleet: SpreadFleet, tag: str) -> None:
    lonely, other = fleet.members["invoker"]
    with SteadyLoad(fleet, tag) as load:
        fleet.network.cut("one", fleet.nats.port)
        eventually(lambda: fleet.partitions_by_invoker().get(other.process_id) == 24, "the other invoker has all partitions")
        load.wait_for_more(CALLS)
        eventually(lambda: '"event":"partitions_lost"' in lonely.log.read_text(), "the lonely one knows that it was replaced")
        fleet.network.heal("one")
        eventually(lambda: is_shared(fleet), "both have partitions again")
        load.wait_for_more(CALLS)
    assert load.failures == []


def test_an_invoker_without_the_store_is_given_up_and_fenced(fleet_on_fdb: SpreadFleet, cluster: ClusterServer, tag: str) -> None:
    fleet = fleet_on_fdb
    lonely, other = fleet.members["invoker"]
    with SteadyLoad(fleet, tag) as load:
        fleet.network.cut("one", cluster.port)
        eventually(lambda: fleet.partitions_by_invoker().get(other.process_id) == 24, "the other invoker has all partitions")
        load.wait_for_more(CALLS)
        fleet.network.heal("one")
        eventually(lambda: FENCED.search(lonely.log.read_text()), "the lonely one knows that it was replaced")
        eventually(lambda: is_shared(fleet), "both have partitions again")
        load.wait_for_more(CALLS)
    assert load.failures == []


def test_an_invoker_that_cannot_reach_deployments_for_a_while_goes_on_afterwards(fleet: SpreadFleet, tag: str) -> None:
    with SteadyLoad(fleet, tag) as load:
        fleet.network.cut("one", fleet.endpoint_port)
        load.wait_for_more(CALLS // 10)
        fleet.network.heal("one")
        load.wait_for_more(CALLS)
    assert load.failures == []


def test_a_slow_bus_costs_time_and_nothing_else(tmp_path: Path, fleet: SpreadFleet, tag: str) -> None:
    cable = SlowCable(fleet.nats.port, DELAY_S)
    try:
        fleet.nats_url = f"nats://{HUB_ADDRESS}:{cable.port}"
        with SteadyLoad(fleet, tag) as load:
            for member in list(fleet.members["invoker"]):
                fleet.replace(member)
            load.wait_for_more(CALLS)
        assert load.failures == []
    finally:
        for member in list(fleet.members["invoker"]):
            fleet.stop(member)
        cable.close()
