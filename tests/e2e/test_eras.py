"""A service of SDK 0.8.1 and one of Python SDK 1.3.0 on one server: every client calls both, and what one awaits the other completes."""

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from perdure.codec.descriptors.building import field_of, message_of
from perdure.codec.descriptors.pool import Descriptors
from perdure.codec.rpc.grpc import encode_message
from tests.e2e.browser import BROWSER, DRIVER
from tests.e2e.endpoint import Endpoint
from tests.e2e.processes import eventually
from tests.e2e.rpc_browser import TRANSPORTS as WEB_TRANSPORTS
from tests.e2e.rpc_browser import connect_in_browser
from tests.e2e.rpc_clients import TRANSPORTS, Reflected, connect, failure_of
from tests.e2e.seed import Seed, serving
from tests.e2e.suite import Suite

pytestmark = pytest.mark.usefixtures("eras")

CART, COUNTER = "eras.shop.Cart", "ErasCounter"
MESSAGES = Descriptors(
    FileDescriptorSet(
        file=[
            FileDescriptorProto(
                name="both.proto",
                syntax="proto3",
                message_type=[
                    message_of("CartRequest", [field_of(1, "id", "string"), field_of(2, "amount", "int32")]),
                    message_of("CartReply", [field_of(1, "value", "int64")]),
                    message_of("CounterRequest", [field_of(1, "key", "string"), field_of(2, "body", "int64")]),
                    message_of("CounterReply", [field_of(2, "body", "int64")]),
                ],
            )
        ]
    ).SerializeToString()
)


class Eras(NamedTuple):
    """The server with an endpoint of each era."""

    suite: Suite
    seed: Seed
    today: Endpoint

    def awakeable(self, tag: str, *, of_seed: bool) -> str:
        """Wait for the id that a `hold` of one era has told."""
        if of_seed:
            return self.seed.awakeable(tag)
        return eventually(lambda: self.today.effects(tag), f"awakeable of {tag}")[0]

    def hold(self, tag: str, *, of_seed: bool) -> str:
        """Start a `hold` of one era; return its invocation id."""
        return self.seed.send("Plain/hold", tag) if of_seed else self.suite.send("/ErasBridge/hold", tag)


@pytest.fixture(scope="module")
def eras(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Eras]:
    """Both endpoints, registered with the shared server."""
    directory = tmp_path_factory.mktemp("eras")
    with serving(suite, directory, "eras") as seed:
        today = Endpoint("tests.e2e.bridge_services:app", directory, prefix="Eras")
        try:
            today.start()
            for endpoint in (seed.endpoint, today):
                suite.register(endpoint.url)
            yield Eras(suite, seed, today)
        finally:
            today.stop()


def connect_calls(transports: tuple[str, ...], tag: str) -> list[dict[str, Any]]:
    """Add 1 to a cart of then and to a counter of today over each transport."""
    return [
        {"transport": transport, "service": service, "method": method, "request": request}
        for transport in transports
        for service, method, request in (
            (CART, "Add", {"id": tag, "amount": 1}),
            (COUNTER, "add", {"key": tag, "body": "1"}),
        )
    ]


def assert_counted(ended: list[dict[str, Any]]) -> None:
    """Each pair of calls got the next number from both services."""
    expected = [message for count in range(1, len(ended) // 2 + 1) for message in ({"value": str(count)}, {"body": str(count)})]
    assert [each.get("message") for each in ended] == expected, ended


def test_grpcio_with_messages_of_its_own_calls_both(client: Reflected, tag: str) -> None:
    for path, kind, request in (
        (f"{CART}/Add", "Cart", {"id": tag, "amount": 2}),
        (f"{COUNTER}/add", "Counter", {"key": tag, "body": 2}),
    ):
        asked, answered = MESSAGES.message_class(f"{kind}Request"), MESSAGES.message_class(f"{kind}Reply")
        stub = client.channel.unary_unary(
            f"/{path}", request_serializer=lambda message: message.SerializeToString(), response_deserializer=answered.FromString
        )
        reply: Any = stub(asked(**request), timeout=60)
        assert (reply.value if kind == "Cart" else reply.body) == 2


def test_a_client_that_knows_only_reflection_calls_both(client: Reflected, tag: str) -> None:
    assert {CART, "eras.Plain", COUNTER, "ErasBridge"} <= client.services()
    assert client.call(f"{CART}/Add", id=tag, amount=2).value == 2
    assert client.call(f"{COUNTER}/add", key=tag, body=2).body == 2


def test_the_official_clients_under_node_call_both_over_every_transport(client: Reflected, eras: Eras, tag: str) -> None:
    assert_counted(connect(eras.suite.ingress_url, client.files_of(CART, COUNTER), connect_calls(TRANSPORTS, tag)))


def test_a_page_in_a_browser_calls_both_over_grpc_web_and_connect(client: Reflected, eras: Eras, tmp_path: Path, tag: str) -> None:
    if BROWSER is None or DRIVER is None:
        pytest.skip("chromium is not installed")
    files, calls = client.files_of(CART, COUNTER), connect_calls(WEB_TRANSPORTS, tag)
    assert_counted(connect_in_browser(eras.suite.ingress_url, files, calls, tmp_path))


def curl(url: str, content_type: str, body: bytes, *arguments: str) -> bytes:
    """Return the answer of a call that must succeed."""
    command = ["curl", "-sS", "--fail-with-body", "-H", f"content-type: {content_type}", "--data-binary", "@-", *arguments, url]
    return subprocess.run(command, input=body, capture_output=True, check=True).stdout


def test_curl_calls_both_over_every_protocol(eras: Eras, tag: str) -> None:
    cart, counter = f"{eras.suite.ingress_url}/{CART}/Add", f"{eras.suite.ingress_url}/{COUNTER}"
    in_json, version = "application/json", ("-H", "connect-protocol-version: 1")
    of_cart, of_counter = b'{"id":"%s","amount":1}' % tag.encode(), b'{"key":"%s","body":1}' % tag.encode()
    assert json.loads(curl(cart, in_json, of_cart)) == {"value": "1"}
    assert json.loads(curl(f"{counter}/{tag}/add", in_json, b"1")) == 1
    assert json.loads(curl(cart, in_json, of_cart, *version)) == {"value": "2"}
    assert json.loads(curl(f"{counter}/add", in_json, of_counter, *version)) == {"body": "2"}
    request = b"\x0a\x0c" + tag.encode() + b"\x10\x01"  # both messages have the key as field 1 and the number as field 2
    count = 2
    for kind in ("application/proto", "application/grpc-web+proto", "application/grpc"):
        count += 1
        frame = request if kind == "application/proto" else encode_message(request)
        options = ("--http2-prior-knowledge", "-H", "te: trailers") if kind == "application/grpc" else ()
        assert b"\x08%c" % count in curl(cart, kind, frame, *version, *options)
        assert b"\x10%c" % count in curl(f"{counter}/add", kind, frame, *version, *options)


@pytest.mark.parametrize("path", [f"{CART}/Gone", f"{COUNTER}/gone", "eras.Plain/fail"])
def test_a_failure_over_grpc_is_headers_and_trailers_without_a_message(eras: Eras, path: str) -> None:
    options = ("--http2-prior-knowledge", "-H", "te: trailers", "-D", "-")
    answer = curl(f"{eras.suite.ingress_url}/{path}", "application/grpc", encode_message(b"\x12\x09\x11\0\0\0\0\0\0\x14\x40"), *options)
    head, _, rest = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/2 200")
    assert rest.startswith(b"grpc-status: 5\r\n"), answer


def test_both_eras_call_each_other_no_further_than_documented(eras: Eras, tag: str) -> None:
    request = MESSAGES.message_class("CartRequest")(id=tag, amount=4).SerializeToString().hex()
    assert eras.suite.result("/ErasBridge/call_encoded", {"service": CART, "method": "Add", "message": request}) == "0804"
    refused = eras.seed.send("Plain/callAnything", {"path": COUNTER, "method": "add", "args": [tag, 1]})
    query = f"select last_failure_error_code from sys_invocation where id = '{refused}'"

    def code() -> str | None:
        rows = eras.suite.rows(query)
        return rows[0].get("last_failure_error_code") if rows else None

    assert eventually(code, "the attempt fails") == "RT0017"
    eras.seed.end(refused, "kill")


@pytest.mark.parametrize("of_seed", [True, False], ids=["of_then", "of_today"])
def test_an_awakeable_is_completed_by_handlers_of_the_other_era(eras: Eras, tag: str, of_seed: bool) -> None:
    def settle(handler: str, request: dict[str, Any]) -> None:
        if of_seed:
            eras.suite.call(f"/ErasBridge/{handler}", request).raise_for_status()
        else:
            eras.seed.rpc(f"Plain/{handler}", request)

    resolved, rejected = (eras.hold(f"{tag}-{what}", of_seed=of_seed) for what in ("resolved", "rejected"))
    settle("resolve", {"id": eras.awakeable(f"{tag}-resolved", of_seed=of_seed), "value": "across"})
    settle("reject", {"id": eras.awakeable(f"{tag}-rejected", of_seed=of_seed), "reason": "not across"})
    assert b"across" in eras.suite.attach(resolved).content
    assert b"not across" in eras.suite.attach(rejected).content


def over_http(eras: Eras, _client: Reflected, awakeable: str, value: str) -> None:
    eras.suite.call(f"/restate/awakeables/{awakeable}/resolve", value).raise_for_status()


def over_the_short_path(eras: Eras, _client: Reflected, awakeable: str, value: str) -> None:
    eras.suite.call(f"/restate/a/{awakeable}/resolve", value).raise_for_status()


def over_the_json_of_then(eras: Eras, _client: Reflected, awakeable: str, value: str) -> None:
    assert eras.suite.result("/dev.restate.Awakeables/Resolve", {"id": awakeable, "json_result": value}) == {}


def over_grpc(_eras: Eras, client: Reflected, awakeable: str, value: str) -> None:
    client.call("dev.restate.Awakeables/Resolve", id=awakeable, bytes_result=json.dumps(value).encode())


def over_connect(eras: Eras, client: Reflected, awakeable: str, value: str) -> None:
    call = {"service": "dev.restate.Awakeables", "method": "Resolve", "request": {"id": awakeable, "jsonResult": value}}
    files = client.files_of("dev.restate.Awakeables")
    (ended,) = connect(eras.suite.ingress_url, files, [{"transport": "connect-binary", **call}])
    assert ended["message"] == {}, ended


FORMS = [over_http, over_the_short_path, over_the_json_of_then, over_grpc, over_connect]


@pytest.mark.parametrize("of_seed", [True, False], ids=["of_then", "of_today"])
@pytest.mark.parametrize("resolve", FORMS, ids=lambda form: form.__name__)
def test_an_awakeable_is_resolved_through_the_ingress(eras: Eras, client: Reflected, tag: str, resolve: Any, of_seed: bool) -> None:
    held = eras.hold(tag, of_seed=of_seed)
    resolve(eras, client, eras.awakeable(tag, of_seed=of_seed), f"value {tag}")
    assert f"value {tag}".encode() in eras.suite.attach(held).content


def test_a_paused_invocation_of_then_goes_on_once_it_is_resumed(eras: Eras, tag: str) -> None:
    seed = eras.seed
    invocation_id = seed.send("Plain/hold", tag)
    awakeable = seed.awakeable(tag)
    seed.operate(invocation_id, "pause")
    eventually(lambda: seed.status(invocation_id) == "paused", "it is paused")
    seed.resolve(awakeable, "after the pause")
    assert seed.status(invocation_id) == "paused"
    seed.operate(invocation_id, "resume")
    assert b"after the pause" in eras.suite.attach(invocation_id).content
    assert seed.endpoint.effects(tag) == [*(f"step-{number}" for number in range(5)), awakeable]


def test_calls_over_grpc_are_answered_though_the_invoker_is_killed_meanwhile(eras: Eras, own_suite: Suite, tag: str) -> None:
    for endpoint in (eras.seed.endpoint, eras.today):
        own_suite.register(endpoint.url)
    on_own = Eras(own_suite, eras.seed._replace(suite=own_suite), eras.today)
    client = Reflected(own_suite.ingress_port)
    with ThreadPoolExecutor() as pool:
        then = pool.submit(client.call, "eras.Plain/hold", request={"string_value": f"{tag}-then"})
        today = pool.submit(client.call, "ErasBridge/hold", body=f"{tag}-today")
        awakeables = [on_own.awakeable(f"{tag}-{era}", of_seed=era == "then") for era in ("then", "today")]
        for era, endpoint in (("then", eras.seed.endpoint), ("today", eras.today)):
            endpoint.wait_for_effect(f"{tag}-{era}-attempts", "waiting")
        killed = own_suite.kill("invoker")
        eventually(lambda: {each.pid for each in own_suite.processes("invoker")} - set(killed), "another invoker runs")
        for awakeable in awakeables:
            over_grpc(on_own, client, awakeable, "done")
        assert then.result().response.string_value == "done"
        assert today.result().body == "resolved done"
    assert failure_of(lambda: client.call("eras.Plain/fail", request={"number_value": 6})).code() is grpc.StatusCode.ALREADY_EXISTS
    client.close()
    assert eras.seed.endpoint.effects(f"{tag}-then") == [*(f"step-{number}" for number in range(5)), awakeables[0]]
    assert eras.today.effects(f"{tag}-today") == [awakeables[1]]
