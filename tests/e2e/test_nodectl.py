"""What nodectl says of a running server, to HTTP clients, Prometheus and gRPC clients."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.endpoint import Endpoint
from tests.e2e.processes import REPOSITORY, eventually
from tests.e2e.suite import ROLES, Suite, ours_only

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
LIMIT_S = 20.0
pytestmark = ours_only


def channel_of(suite: Suite) -> grpc.Channel:
    return grpc.insecure_channel(suite.node_url.removeprefix("http://"))


@pytest.fixture(scope="module")
def suite(suite: Suite) -> Suite:
    """The shared server, once all of it is ready."""
    eventually(lambda: is_ready(suite), "the suite is ready")
    return suite


@pytest.fixture
def stub(suite: Suite) -> Iterator[health_pb2_grpc.HealthStub]:
    with channel_of(suite) as channel:
        yield health_pb2_grpc.HealthStub(channel)


def ask(service: str = "") -> health_pb2.HealthCheckRequest:
    return health_pb2.HealthCheckRequest(service=service)


def is_ready(suite: Suite) -> bool:
    try:
        return httpx.get(f"{suite.node_url}/ready", timeout=LIMIT_S).status_code == 200
    except httpx.TransportError:
        return False


def scrape(suite: Suite) -> dict[str, Metric]:
    response = httpx.get(f"{suite.node_url}/metrics", timeout=LIMIT_S)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {family.name: family for family in text_string_to_metric_families(response.text)}


def test_health_is_alive_with_all_roles_and_addresses(suite: Suite) -> None:
    response = httpx.get(f"{suite.node_url}/health")
    body = response.json()
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    assert (body["status"], body["roles"], body["reasons"]) == ("Alive", ["http-ingress", "admin", "worker"], [])
    assert (body["admin_status"], body["worker_status"]) == ("Ready", "Ready")
    addresses = {each["name"]: each["address"] for each in body["bound_addresses"]}
    assert addresses["http-ingress-server"] == f"127.0.0.1:{suite.ingress_port}"
    assert addresses["message-fabric-server"] == f"127.0.0.1:{suite.node_port}"
    assert sorted(each["role"] for each in body["processes"]) == sorted(ROLES)


def test_the_schema_version_grows_with_a_registration(suite: Suite, tmp_path: Path) -> None:
    before = httpx.get(f"{suite.node_url}/health").json()["schema_version"]
    endpoint = Endpoint("tests.e2e.services:app", tmp_path, prefix="Node")
    try:
        endpoint.start()
        suite.register(endpoint.url)
        assert httpx.get(f"{suite.node_url}/health").json()["schema_version"] > before
    finally:
        endpoint.stop()


def test_paths_and_methods_that_are_not_there_are_refused(suite: Suite) -> None:
    assert httpx.get(f"{suite.node_url}/nothing").status_code == 404
    refused = httpx.post(f"{suite.node_url}/health")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
    assert httpx.head(f"{suite.node_url}/health").status_code == 200


def test_metrics_are_those_of_all_processes(suite: Suite) -> None:
    families = scrape(suite)
    memory = families["process_resident_memory_bytes"]
    assert sorted(sample.labels["role"] for sample in memory.samples) == sorted(ROLES)
    assert len({sample.labels["process"] for sample in memory.samples}) == len(ROLES)
    assert all(sample.value > 1_000_000 for sample in memory.samples)
    assert "perdure_event_loop_lag_seconds" in families


def test_levels_change_for_one_role_or_all_while_they_run(suite: Suite) -> None:
    told = httpx.put(f"{suite.node_url}/log-level?level=debug&role=sql", timeout=LIMIT_S).json()
    assert (told["level"], [each["role"] for each in told["processes"]]) == ("debug", ["sql"])
    back = log_level(suite, "info")
    assert back.returncode == 0, back.stderr
    assert sorted(line.split()[0] for line in back.stdout.splitlines()) == sorted(ROLES)


def test_a_level_or_role_that_is_not_there_is_refused(suite: Suite) -> None:
    refused = httpx.put(f"{suite.node_url}/log-level?level=loud")
    assert (refused.status_code, refused.text) == (400, "level is one of debug, info, warning, error\n")
    assert httpx.get(f"{suite.node_url}/log-level").headers["allow"] == "PUT"
    unknown = log_level(suite, "info", "--role", "cook")
    assert (unknown.returncode, unknown.stderr) == (2, "perdure: no process of role 'cook' is alive\n")


def log_level(suite: Suite, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [REPOSITORY / ".venv/bin/perdure", "log-level", *arguments, "--node", suite.node_url]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("service", ["", "ingress", "admin", "sql", "invoker", "nodectl"])
def test_a_grpc_client_is_told_that_the_suite_and_each_role_serve(stub: health_pb2_grpc.HealthStub, service: str) -> None:
    assert stub.Check(ask(service), timeout=LIMIT_S).status == SERVING


def test_a_compressed_request_is_understood(stub: health_pb2_grpc.HealthStub) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        stub.Check(ask("x" * 1_000), timeout=LIMIT_S, compression=grpc.Compression.Gzip)
    assert caught.value.details() == f"there is no service {'x' * 1_000}"


def test_an_unknown_service_is_not_found(stub: health_pb2_grpc.HealthStub) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        stub.Check(ask("Gr\u00fc\u00dfe 100%"), timeout=LIMIT_S)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert caught.value.details() == "there is no service Gr\u00fc\u00dfe 100%"


def test_an_unknown_method_is_unimplemented(suite: Suite) -> None:
    with channel_of(suite) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/some.Service/Method")(b"", timeout=LIMIT_S)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_request_that_is_no_message_is_refused(suite: Suite) -> None:
    with channel_of(suite) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/grpc.health.v1.Health/Check")(b"\xff\xff\xff", timeout=LIMIT_S)
    assert caught.value.code() is grpc.StatusCode.INTERNAL


def test_too_large_a_request_is_refused(suite: Suite) -> None:
    with channel_of(suite) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/grpc.health.v1.Health/Check")(bytes(100_000), timeout=LIMIT_S)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_watch_of_an_unknown_service_says_so_and_goes_on(stub: health_pb2_grpc.HealthStub) -> None:
    watch = stub.Watch(ask("nothing"), timeout=LIMIT_S)
    assert next(watch).status == SERVICE_UNKNOWN
    watch.cancel()


def test_a_stopped_invoker_is_noticed_by_all_and_its_return_as_well(own_suite: Suite) -> None:
    eventually(lambda: is_ready(own_suite), "the suite is ready")
    with channel_of(own_suite) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(ask(), timeout=60)
        assert next(watch).status == SERVING
        own_suite.kill("invoker", signal.SIGSTOP)
        assert next(watch).status == NOT_SERVING
        unready = httpx.get(f"{own_suite.node_url}/ready")
        assert unready.status_code == 503
        assert "invoker: no process is alive" in unready.json()["reasons"]
        assert httpx.get(f"{own_suite.node_url}/health").status_code == 200
        own_suite.kill("invoker", signal.SIGCONT)
        assert next(watch).status == SERVING
        watch.cancel()
    eventually(lambda: is_ready(own_suite), "the suite is ready again")


def test_metrics_come_without_a_process_that_hangs(own_suite: Suite) -> None:
    eventually(lambda: is_ready(own_suite), "the suite is ready")
    own_suite.kill("sql", signal.SIGSTOP)
    roles = {sample.labels["role"] for sample in scrape(own_suite)["process_resident_memory_bytes"].samples}
    assert roles == set(ROLES) - {"sql"}
    own_suite.kill("sql", signal.SIGCONT)
