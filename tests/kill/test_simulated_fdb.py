"""A server on a simulated FoundationDB cluster whose every error comes up: the kill tests again, and what one transaction cannot take."""

import os
import random
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.e2e.endpoint import Endpoint
from tests.e2e.processes import eventually
from tests.e2e.suite import Suite, ours_only
from tests.fdb.cluster import EVERY_FAULT, Cluster
from tests.fdb.remote import ClusterServer
from tests.kill.load import CounterLoad
from tests.kill.test_kill import kill_at_random_moments, kill_one

pytestmark = [ours_only, pytest.mark.timeout(300)]
MB = 1_000_000


class OnFdb(NamedTuple):
    suite: Suite
    cluster: Cluster


@pytest.fixture(scope="module")
def on_fdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnFdb]:
    """A server with two invokers on a cluster of its own, which meets errors under the seed of the kills."""
    with tempfile.TemporaryDirectory(prefix="fdb-") as directory:  # The path of a socket is short.
        server = ClusterServer(Cluster(seed=int(os.environ.get("PERDURE_KILL_SEED", "1")), fault_rate=0.1), Path(directory))
        suite = Suite(tmp_path_factory.mktemp("fdb") / "data", invokers=2, env=server.env)
        try:
            suite.start()
            yield OnFdb(suite, server.cluster)
        finally:
            server.cluster.is_reachable.set()
            suite.close()
            server.close()


def test_killed_invokers_and_ingresses_lose_nothing_under_every_error_of_the_cluster(
    on_fdb: OnFdb, endpoint: Endpoint, tag: str, seed: int
) -> None:
    suite, cluster = on_fdb
    suite.register(endpoint.url)
    rng = random.Random(seed)
    with CounterLoad(suite, tag, seed=seed) as load:
        kill_at_random_moments(load, rng, lambda: kill_one(suite, rng.choice(["invoker", "ingress"]), rng), moments=6)
    load.check()
    suite.check()
    assert len(cluster.met) > len(EVERY_FAULT) // 2


def test_a_call_waits_for_a_cluster_that_cannot_be_reached(on_fdb: OnFdb, endpoint: Endpoint, tag: str) -> None:
    suite, cluster = on_fdb
    suite.register(endpoint.url)
    assert suite.result(f"/Counter/{tag}/add", 1) == 1
    cluster.is_reachable.clear()
    with ThreadPoolExecutor(1) as pool:
        calling = pool.submit(suite.result, f"/Counter/{tag}/add", 1)
        try:
            eventually(lambda: cluster.starts_waiting, "transactions wait")
            assert not calling.done()
        finally:
            cluster.is_reachable.set()
        assert calling.result() == 2


def test_queries_and_metrics_tell_of_the_cluster(on_fdb: OnFdb, endpoint: Endpoint, tag: str) -> None:
    suite, _ = on_fdb
    suite.register(endpoint.url)
    suite.result(f"/Counter/{tag}/add", 1)
    assert suite.rows(f"SELECT value_utf8 FROM state WHERE service_key = '{tag}'") == [{"value_utf8": "1"}]
    metrics = suite.http.get(f"{suite.node_url}/metrics").text
    assert "perdure_store_errors_total{" in metrics
    assert 'kind="conflict"' in metrics


def test_bodies_larger_than_a_transaction_pass_and_outlive_a_kill(on_fdb: OnFdb, endpoint: Endpoint, tag: str) -> None:
    suite, cluster = on_fdb
    suite.register(endpoint.url)
    name = "n" * (12 * MB)
    assert suite.result("/Greeter/greet", name, headers={"idempotency-key": tag}) == f"Hello {name}"
    assert suite.result("/Steps/echo_bytes", 12 * MB) == 12 * MB
    suite.kill("invoker")
    eventually(lambda: suite.is_serving("invoker"), "invokers run again")
    assert suite.result("/Greeter/greet", name, headers={"idempotency-key": tag}) == f"Hello {name}"
    suite.check()
    assert cluster.largest_commit_bytes > 4 * MB
