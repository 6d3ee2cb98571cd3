"""Handlers of today over gRPC, gRPC-Web and Connect, called by grpcio, the official Connect clients and curl."""

import gzip
import json
import subprocess
from pathlib import Path

import grpc
import pytest

from perdure.codec.rpc.grpc import encode_message
from tests.e2e.conftest import Services
from tests.e2e.endpoint import Endpoint
from tests.e2e.processes import eventually
from tests.e2e.rpc_clients import TRANSPORTS, Reflected, connect, failure_of

pytestmark = pytest.mark.usefixtures("http2")


def test_a_service_is_called_by_a_client_that_knows_only_reflection(client: Reflected) -> None:
    assert client.call("Greeter/greet", body="Ada").body == "Hello Ada"


def test_an_object_is_called_by_the_key_in_its_request(client: Reflected, tag: str) -> None:
    assert client.call("Counter/add", key=tag, body=5).body == 5
    assert client.call("Counter/add", key=tag, body=2).body == 7
    assert client.call("Counter/get", key=tag).body == 7


def test_a_workflow_is_run_by_the_key_in_its_request(client: Reflected, tag: str) -> None:
    run = client.channel.unary_unary("/Approval/run").future(b"\x0a" + bytes([len(tag)]) + tag.encode() + b"\x12\x03Ada", timeout=60)
    eventually(lambda: client.call("Approval/name_of", key=tag).body == "Ada", "the workflow has begun")
    client.call("Approval/decide", key=tag, body="yes")
    assert b"yes" in run.result()


def test_metadata_reaches_the_handler_and_the_answer_names_the_invocation(client: Reflected) -> None:
    answer, metadata = client.exchange("Greeter/header", metadata={"x-who": "Ada"}, body="x-who")
    assert answer.body == "Ada"
    assert metadata["x-restate-id"].startswith("inv_1")


def test_a_terminal_failure_has_its_status_and_details(client: Reflected) -> None:
    error = failure_of(lambda: client.call("Failing/refuse", body="x"))
    assert error.code() is grpc.StatusCode.UNKNOWN
    assert "x" in error.details()
    trailers = dict(error.trailing_metadata())
    assert b"418" in trailers["grpc-status-details-bin"]
    assert trailers["x-restate-id"].startswith("inv_1")


def test_what_is_not_there_or_private_has_its_status(client: Reflected) -> None:
    for path, code in {
        "/Gone/greet": grpc.StatusCode.NOT_FOUND,
        "/Greeter/gone": grpc.StatusCode.NOT_FOUND,
        "/Hidden/whisper": grpc.StatusCode.PERMISSION_DENIED,
        "/a/b/c": grpc.StatusCode.INVALID_ARGUMENT,
    }.items():
        assert failure_of(lambda path=path: client.channel.unary_unary(path)(b"", timeout=60)).code() is code


def test_a_call_ends_at_its_deadline_and_its_invocation_goes_on(client: Reflected, http2: Services, tag: str) -> None:
    nap = client.files_of("Sleeper")
    request = {"body": {"tag": tag, "ms": 1_500}}
    call = {"service": "Sleeper", "method": "nap", "request": request, "timeoutMs": 700}
    ended = connect(http2.suite.ingress_url, nap, [{**call, "transport": transport} for transport in ("grpc", "connect-json")])
    assert [each["code"] for each in ended] == ["DeadlineExceeded"] * 2
    http2.endpoint.wait_for_effect_count(tag, 2)


def test_compressed_messages_are_taken_and_given(client: Reflected) -> None:
    stub = client.channel.unary_unary("/Greeter/greet")
    name = b"A" * 5_000
    message = b"\x12" + b"\x88\x27" + name
    answer = stub(message, timeout=60, compression=grpc.Compression.Gzip)
    assert name in answer


def test_a_message_above_the_limit_is_refused(client: Reflected, http2: Services) -> None:
    head = {"content-type": "application/proto", "connect-protocol-version": "1", "content-encoding": "gzip"}
    answer = http2.suite.call("/Greeter/greet", gzip.compress(bytes(33 * 2**20)), headers=head)
    assert (answer.status_code, answer.json()["code"]) == (429, "resource_exhausted")


def test_an_idempotency_key_holds_across_protocols(client: Reflected, http2: Services, tag: str) -> None:
    head = {"idempotency-key": tag}
    _, metadata = client.exchange("Counter/add", metadata=head, key=tag, body=1)
    again = http2.suite.call(f"/Counter/{tag}/add", 1, headers=head)
    assert (again.json(), again.headers["x-restate-id"]) == (1, metadata["x-restate-id"])


def test_health_is_told_over_grpc_and_json(client: Reflected, http2: Services) -> None:
    assert client.call("grpc.health.v1.Health/Check", service="Greeter").status == 1
    assert http2.suite.result("/grpc.health.v1.Health/Check", {}) == {"status": "SERVING"}
    assert failure_of(lambda: client.call("grpc.health.v1.Health/Check", service="Gone")).code() is grpc.StatusCode.NOT_FOUND


def test_services_appear_and_disappear_with_their_deployment(client: Reflected, http2: Services, tmp_path: Path) -> None:
    endpoint = Endpoint("tests.e2e.services:app", tmp_path, prefix="Passing")
    suite = http2.suite
    endpoint.start()
    try:
        assert "PassingGreeter" not in client.services()
        deployment = suite.register(endpoint.url)["id"]
        eventually(lambda: "PassingGreeter" in client.services(), "the service is listed")
        assert client.call("PassingGreeter/greet", body="Ada").body == "Hello Ada"
        assert suite.http.delete(f"{suite.admin_url}/deployments/{deployment}?force=true").status_code == 202
        eventually(lambda: "PassingGreeter" not in client.services(), "the service is listed no more")
    finally:
        endpoint.stop()


def test_every_connect_transport_calls_services_and_objects_and_reads_failures(client: Reflected, http2: Services, tag: str) -> None:
    files = client.files_of("Greeter", "Counter", "Failing")
    calls = [
        ("Greeter", "greet", {"body": "Ada"}),
        ("Counter", "add", {"key": tag, "body": "1"}),
        ("Failing", "refuse", {"body": "x"}),
        ("Counter", "clear", {"key": f"{tag}-other"}),
    ]
    ended = connect(
        http2.suite.ingress_url,
        files,
        [
            {"transport": transport, "service": service, "method": method, "request": request}
            for transport in TRANSPORTS
            for service, method, request in calls
        ],
    )
    for number, transport in enumerate(TRANSPORTS):
        greeted, added, refused, cleared = ended[number * 4 : number * 4 + 4]
        assert greeted.get("message") == {"body": "Hello Ada"}, (transport, greeted)
        assert added["message"] == {"body": str(number + 1)}
        assert (refused["code"], refused["details"]) == ("Unknown", ["google.rpc.ErrorInfo"])
        assert refused["metadata"]["x-restate-id"].startswith("inv_1")
        assert cleared["message"] == {}


def test_curl_calls_over_grpc_web_and_connect(http2: Services, tmp_path: Path) -> None:
    if http2.suite.peer:
        pytest.skip("the real server speaks neither gRPC nor Connect at its ingress")
    url = f"{http2.suite.ingress_url}/Greeter/greet"

    def curl(*arguments: str) -> bytes:
        return subprocess.run(["curl", "-sS", "--fail-with-body", *arguments, url], capture_output=True, check=True).stdout

    connect_head = ("-H", "connect-protocol-version: 1", "-H", "content-type: application/json")
    assert json.loads(curl(*connect_head, "-d", '{"body":"Ada"}')) == {"body": "Hello Ada"}
    body = tmp_path / "body"
    body.write_bytes(encode_message(b"\x12\x03Ada"))
    for flag in ("--http1.1", "--http2-prior-knowledge"):
        answer = curl(flag, "-H", "content-type: application/grpc-web+proto", "--data-binary", f"@{body}")
        assert answer.startswith(encode_message(b"\x12\x09Hello Ada"))
        assert answer.endswith(b"grpc-status: 0\r\n")


def test_a_browser_may_call_from_anywhere(http2: Services) -> None:
    if http2.suite.peer:
        pytest.skip("the real server speaks neither gRPC nor Connect at its ingress")
    head = {"origin": "http://page", "content-type": "application/grpc-web+proto", "x-grpc-web": "1"}
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "content-type,x-grpc-web"}
    preflight = http2.suite.call("/Greeter/greet", headers={"origin": "http://page", **asked}, method="OPTIONS")
    assert preflight.headers["access-control-allow-headers"] == "content-type,x-grpc-web"
    answer = http2.suite.call("/Greeter/greet", encode_message(b"\x12\x03Ada"), headers=head)
    assert answer.headers["access-control-allow-origin"] == "http://page"
    assert "grpc-status" in answer.headers["access-control-expose-headers"]
