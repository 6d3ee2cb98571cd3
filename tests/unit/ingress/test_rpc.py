"""Calls of gRPC, gRPC-Web and Connect behind the application: what owners are asked, and how answers are told."""

import asyncio
import base64
import json
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import (
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
    MethodOptions,
    ServiceDescriptorProto,
)
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from perdure.base.ids import format_awakeable_id, idempotent_invocation_id, invocation_id
from perdure.bus import messages
from perdure.codec.descriptors.building import field_of, message_of
from perdure.codec.descriptors.keys import encode_varint
from perdure.codec.descriptors.pool import Descriptors
from perdure.codec.rpc.failures import failure_of
from perdure.codec.rpc.grpc import encode_message
from perdure.codec.rpc.grpc_unary import from_text
from perdure.codec.rpc.reflection import REFLECTION_FILES, REFLECTION_SERVICES
from perdure.codec.rpc.status import Status
from perdure.model.deployment import (
    Deployment,
    Handler,
    HandlerOptions,
    InputRules,
    InstanceType,
    OutputRules,
    ProtobufMethod,
    ProtocolMode,
    Service,
)
from perdure.model.result import Failure, Success
from perdure.model.target import HandlerType, ServiceType
from perdure.registry.options import ServerDefaults
from perdure.registry.schema import Schema, schema_of
from services.ingress.directory import directory_of
from tests.unit.ingress.builders import Answer, Ingress, Owner

GRPC = {"content-type": "application/grpc"}
WEB = {"content-type": "application/grpc-web+proto"}
CONNECT = {"content-type": "application/json", "connect-protocol-version": "1"}
ERA = {"content-type": "application/json"}
AWAKEABLE = format_awakeable_id(invocation_id(5, bytes(16)), 17)


def a_deployment(name: str, descriptor_set: bytes = b"") -> Deployment:
    return Deployment(name, f"http://{name}", ProtocolMode.BIDI_STREAM, "HTTP/2.0", 5, 6, 0, descriptor_set=descriptor_set)


def shop_file() -> FileDescriptorProto:
    request = message_of("AddRequest", [field_of(1, "amount", "int64"), field_of(7, "cart_id", "string")])
    total = message_of("Total", [field_of(1, "value", "int64")])
    add = MethodDescriptorProto(name="Add", input_type=".shop.AddRequest", output_type=".shop.Total")
    read = MethodDescriptorProto(name="Read", input_type=".shop.AddRequest", output_type=".shop.Total")
    read.options.idempotency_level = MethodOptions.NO_SIDE_EFFECTS
    services = [ServiceDescriptorProto(name=name, method=[add, read]) for name in ("Cart", "Desk")]
    return FileDescriptorProto(name="shop.proto", package="shop", syntax="proto3", message_type=[request, total], service=services)


def a_schema() -> Schema:
    """An object and a service of today, and two protobuf services."""
    text = (
        InputRules(content_type="application/json", json_schema={"type": "string"}),
        OutputRules(content_type="application/json", json_schema={"type": "string"}),
    )
    greet = Handler("greet", HandlerType.PLAIN, *text)
    quiet = Handler("quiet", HandlerType.PLAIN, *text, HandlerOptions(metadata={"idempotency_level": "NO_SIDE_EFFECTS"}))
    hidden = Handler("hidden", HandlerType.PLAIN, *text, HandlerOptions(ingress_private=True))
    today = [
        Service("Greeter", ServiceType.SERVICE, 1, "dp_1", {"greet": greet, "quiet": quiet, "hidden": hidden}),
        Service("Obj", ServiceType.VIRTUAL_OBJECT, 1, "dp_1", {"add": Handler("add", HandlerType.EXCLUSIVE, *text)}),
        Service("Private", ServiceType.SERVICE, 1, "dp_1", {"greet": greet}, HandlerOptions(ingress_private=True)),
    ]
    method = ProtobufMethod("shop.AddRequest", "shop.Total", key_field=7)
    seed = [
        Service(name, kind, 1, "dp_2", {m: Handler(m, how, method=method) for m in ("Add", "Read")}, instance_type=instance)
        for name, kind, how, instance in (
            ("shop.Cart", ServiceType.VIRTUAL_OBJECT, HandlerType.EXCLUSIVE, InstanceType.KEYED),
            ("shop.Desk", ServiceType.SERVICE, HandlerType.PLAIN, InstanceType.UNKEYED),
        )
    ]
    deployments = [a_deployment("dp_1"), a_deployment("dp_2", FileDescriptorSet(file=[shop_file()]).SerializeToString())]
    return schema_of(1, deployments, [*today, *seed])


def text_field(number: int, text: str) -> bytes:
    return encode_varint(number << 3 | 2) + encode_varint(len(text)) + text.encode()


def exchange(
    owner: Owner | None, method: str, target: str, body: bytes | list[bytes] = b"", *, body_bytes_max: int = 1_000_000, **options: Any
) -> tuple[Answer, list[Any]]:
    """Return the answer to one request and what owners were asked."""

    async def main() -> tuple[Answer, list[Any]]:
        ingress = await Ingress(owner, body_bytes_max=body_bytes_max).start()
        ingress.schema = a_schema()
        ingress.answers.directory = directory_of(ingress.schema, ServerDefaults())
        try:
            answer = await ingress.request(method, target, body, **options)
        finally:
            await ingress.stop()
        assert answer is not None
        return answer, ingress.asked

    return asyncio.run(main())


def counted(owner: Owner, target: str, body: bytes, headers: dict[str, str]) -> set[str]:
    """Return the samples of requests, without their values, that one request left above 0."""

    async def main() -> set[str]:
        ingress = await Ingress(owner).start()
        ingress.schema = a_schema()
        ingress.answers.directory = directory_of(ingress.schema, ServerDefaults())
        try:
            await ingress.request("POST", target, body, headers=headers)
        finally:
            await ingress.stop()
        registry = CollectorRegistry()
        ingress.meters.register(registry)
        lines = generate_latest(registry).decode().splitlines()
        return {line.split(" ")[0] for line in lines if line.startswith("perdure_ingress_requests_total{") and not line.endswith(" 0.0")}

    return asyncio.run(main())


def completing(result: Success | Failure, expires_at_ms: int | None = None) -> Owner:
    return lambda request: messages.Completed(request.request_id, result, expires_at_ms)


def accepting(request: Any) -> messages.OwnerReply:
    return messages.Accepted(request.request_id)


def call(target: str, message: bytes, owner: Owner, headers: dict[str, str] = GRPC) -> tuple[Answer, list[Any]]:
    return exchange(owner, "POST", target, encode_message(message), headers=headers)


def status_of(answer: Answer) -> int:
    return int(answer.trailers["grpc-status"])


def test_a_grpc_call_asks_what_the_json_call_would() -> None:
    answer, (asked,) = call("/Greeter/greet", text_field(2, "Ada"), completing(Success(b'"Hi"')), {**GRPC, "x-a": "1"})
    assert (asked.body, asked.target.service, asked.target.key) == (b'"Ada"', "Greeter", None)
    assert dict(asked.headers) == {"x-restate-ingress-path": "/Greeter/greet", "content-type": "application/json", "x-a": "1"}
    assert (answer.body, status_of(answer)) == (encode_message(text_field(2, "Hi")), 0)
    assert answer.headers["x-restate-id"].startswith("inv_1")


def test_the_key_of_an_object_comes_from_its_field() -> None:
    _, (asked,) = call("/Obj/add", text_field(1, "k") + text_field(2, "x"), completing(Success(b"")))
    assert (asked.target.key, asked.body) == ("k", b'"x"')


def test_a_connect_call_of_an_object_has_the_key_beside_the_body() -> None:
    answer, (asked,) = exchange(completing(Success(b'"y"')), "POST", "/Obj/add", b'{"key":"k","body":"x"}', headers=CONNECT)
    assert (asked.target.key, asked.body, answer.body) == ("k", b'"x"', b'{"body":"y"}')


def test_json_without_the_version_of_connect_is_todays_call() -> None:
    _, (asked,) = exchange(completing(Success(b'"y"')), "POST", "/Greeter/greet", b'"Ada"', headers=ERA)
    assert asked.body == b'"Ada"'


def test_grpc_web_has_its_status_in_the_body() -> None:
    answer, _ = call("/Greeter/greet", b"", completing(Success(b'"Hi"')), {**WEB, "origin": "http://a"})
    assert answer.body.endswith(b"grpc-status: 0\r\n")
    assert answer.headers["access-control-allow-origin"] == "http://a"
    assert "grpc-status" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (Failure(404, "m"), 5),
        (Failure(409, "m"), 10),
        (Failure(409, "cancelled"), 1),
        (Failure(418, "m"), 2),
        (Failure(500, "m"), 2),
        (Failure(503, "m"), 14),
    ],
)
def test_a_failure_of_a_handler_of_today_has_the_status_of_its_code(failure: Failure, status: int) -> None:
    answer, _ = call("/Greeter/greet", b"", completing(failure))
    assert (status_of(answer), answer.trailers["grpc-message"]) == (status, failure.message)
    details = answer.trailers["grpc-status-details-bin"]
    assert str(failure.code).encode() in base64.b64decode(details + "=" * (-len(details) % 4))


@pytest.mark.parametrize(
    ("failure", "status"), [(failure_of(9, "m"), 9), (failure_of(13, "m"), 13), (Failure(409, "canceled"), 1), (Failure(409, "killed"), 10)]
)
def test_a_failure_of_a_handler_of_the_seed_era_is_its_status(failure: Failure, status: int) -> None:
    answer, _ = call("/shop.Desk/Add", b"", completing(failure))
    assert (status_of(answer), "grpc-status-details-bin" in answer.trailers) == (status, False)


@pytest.mark.parametrize(
    ("target", "message", "status"),
    [
        ("/Greeter", b"", 3),
        ("/Gone/greet", b"", 5),
        ("/Greeter/gone", b"", 5),
        ("/Private/greet", b"", 7),
        ("/Greeter/hidden", b"", 7),
        ("/Greeter/greet", b"\xff", 3),
        ("/shop.Cart/Add", b"\xff", 13),
        ("/shop.Cart/Add", b"\x3a\x01\xff", 13),
        ("/grpc.health.v1.Health/Watch", b"", 12),
        ("/dev.restate.internal.RemoteContext/Start", b"", 12),
        ("/dev.restate.internal.Proxy/Invoke", b"", 7),
        ("/dev.restate.internal.IdempotentInvoker/Invoke", b"", 7),
        ("/dev.restate.internal.Other/Invoke", b"", 5),
        ("/grpc.health.v1.Health/Check", text_field(1, "gone"), 5),
        ("/dev.restate.Awakeables/Resolve", text_field(1, "bad") + text_field(2, "x"), 3),
        ("/dev.restate.Awakeables/Resolve", text_field(1, AWAKEABLE), 3),
        ("/dev.restate.Ingress/Invoke", text_field(1, "gone"), 5),
        ("/dev.restate.Ingress/Invoke", text_field(1, "Greeter") + text_field(2, "gone"), 5),
        ("/dev.restate.Ingress/Invoke", text_field(1, "shop.Cart") + text_field(2, "Add") + text_field(3, "\x7f"), 3),
    ],
)
def test_a_call_is_refused_with_its_status(target: str, message: bytes, status: int) -> None:
    answer, asked = call(target, message, lambda request: None)
    assert (status_of(answer), asked, bool(answer.trailers["grpc-message"])) == (status, [], True)


def test_a_result_that_does_not_fit_its_schema_is_an_internal_error() -> None:
    assert status_of(call("/Greeter/greet", b"", completing(Success(b"5")))[0]) == 13


@pytest.mark.parametrize("kind", ["application/grpc", "application/grpc-web+proto", "application/grpc-web-text", "application/proto"])
def test_a_message_may_be_as_large_as_the_limit_whatever_its_protocol_puts_around_it(kind: str) -> None:
    headers = {"content-type": kind, **({"connect-protocol-version": "1"} if kind == "application/proto" else {})}
    message = text_field(2, "A" * 497)  # 500 bytes
    for more in (b"", b"\x10"):
        body = message + more if kind == "application/proto" else encode_message(message + more)
        body = base64.b64encode(body) if kind.endswith("text") else body
        answer, asked = exchange(completing(Success(b'"Hi"')), "POST", "/Greeter/greet", body, headers=headers, body_bytes_max=500)
        assert len(asked) == (not more), (kind, answer)


def test_a_body_above_the_limit_is_refused_with_the_limit() -> None:
    headers = {"content-type": "application/grpc"}
    answer, _ = exchange(None, "POST", "/Greeter/greet", encode_message(bytes(501)), headers=headers, body_bytes_max=500)
    assert status_of(answer) == Status.RESOURCE_EXHAUSTED
    assert "500 bytes" in answer.trailers["grpc-message"]


def test_a_call_ends_at_its_deadline() -> None:
    answer, asked = call("/Greeter/greet", b"", lambda request: None, {**GRPC, "grpc-timeout": "1m"})
    assert (status_of(answer), len(asked)) == (4, 1)


def test_a_malformed_deadline_is_refused() -> None:
    assert status_of(call("/Greeter/greet", b"", lambda request: None, {**GRPC, "grpc-timeout": "x"})[0]) == 3


def test_a_protobuf_service_gets_its_message_as_it_is_and_its_key_from_the_field() -> None:
    message = b"\x08\x05" + text_field(7, "c1")
    answer, (asked,) = call("/shop.Cart/Add", message, completing(Success(b"\x08\x09")), {**GRPC, "x-a": "1"})
    assert (asked.body, asked.target.key, asked.headers) == (message, "c1", ())
    assert (answer.body, "x-restate-id" in answer.headers) == (encode_message(b"\x08\x09"), False)


def test_a_key_of_a_protobuf_service_that_the_store_cannot_hold_is_refused() -> None:
    answer, asked = call("/shop.Cart/Add", text_field(7, "c" * 4_001), completing(Success(b"")), GRPC)
    assert (status_of(answer), asked) == (3, [])


def test_the_json_of_the_seed_era_is_transcoded() -> None:
    owner = completing(Success(b"\x08\x09"))
    answer, (asked,) = exchange(owner, "POST", "/shop.Cart/Add", b'{"amount":"5","cart_id":"c1"}', headers=ERA)
    assert (asked.body, answer.body) == (b"\x08\x05" + text_field(7, "c1"), b'{"value":"9"}')
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")


def test_a_get_without_content_type_is_an_empty_request_in_the_seed_era() -> None:
    answer, (asked,) = exchange(completing(Success(b"")), "GET", "/shop.Desk/Add")
    assert (asked.body, answer.body) == (b"", b'{"value":"0"}')


@pytest.mark.parametrize(
    ("method", "target", "headers", "body", "status", "code"),
    [
        ("POST", "/shop.Cart/Add", ERA, b"", 400, "invalid_argument"),
        ("POST", "/shop.Cart/Add", ERA, b'{"other":1}', 400, "invalid_argument"),
        ("POST", "/shop.Cart/Gone", ERA, b"{}", 404, "not_found"),
        ("POST", "/dev.restate.internal.Proxy/Invoke", ERA, b"{}", 403, "permission_denied"),
        ("POST", "/dev.restate.internal.RemoteContext/Start", {"content-type": "application/proto"}, b"", 501, "unimplemented"),
        ("POST", "/shop.Cart/Add", {**ERA, "content-encoding": "br"}, b"{}", 501, "unimplemented"),
        ("POST", "/shop.Desk/Add", {**ERA, "idempotency-key": "a", "idempotency-retention-period": "x"}, b"{}", 400, "invalid_argument"),
        ("POST", "/shop.Cart/Add", {"content-type": "text/plain"}, b"{}", 415, None),
        ("POST", "/shop.Cart/Add", {}, b"{}", 415, None),
        ("PUT", "/shop.Cart/Add", ERA, b"{}", 415, None),
        ("POST", f"/{REFLECTION_SERVICES[0]}/ServerReflectionInfo", ERA, b"{}", 415, None),
        ("POST", "/Greeter/greet", {"content-type": "application/connect+json", "connect-protocol-version": "1"}, b"{}", 415, None),
    ],
)
def test_a_request_of_the_seed_era_is_refused(
    method: str, target: str, headers: dict[str, str], body: bytes, status: int, code: str | None
) -> None:
    answer, asked = exchange(lambda request: None, method, target, body, headers=headers)
    assert (answer.status, json.loads(answer.body)["code"] if answer.body else None, asked) == (status, code, [])


def test_connect_gets_call_only_what_has_no_side_effects() -> None:
    query = "?connect=v1&encoding=json&message=" + "%7B%22body%22%3A%22Ada%22%7D"
    answer, (asked,) = exchange(completing(Success(b'"Hi"')), "GET", f"/Greeter/quiet{query}")
    assert (asked.body, answer.body) == (b'"Ada"', b'{"body":"Hi"}')
    answer, asked = exchange(completing(Success(b'"Hi"')), "GET", f"/Greeter/greet{query}")
    assert (answer.status, answer.headers["allow"], asked) == (405, "POST", [])
    answer, _ = exchange(completing(Success(b"")), "GET", "/shop.Desk/Read?connect=v1&encoding=json&message=%7B%7D")
    assert answer.status == 200


def test_calls_and_starts_are_counted_by_handler_and_outcome() -> None:
    line = 'perdure_ingress_requests_total{{handler="{}",outcome="{}",service="{}",type="{}"}}'
    desk = "/shop.Desk/Add"
    assert counted(completing(Success(b"")), desk, encode_message(b""), GRPC) == {line.format("Add", "completed", "shop.Desk", "call")}
    failing = completing(Failure(500, "no"))
    assert counted(failing, desk, encode_message(b""), GRPC) == {line.format("Add", "invocation_error", "shop.Desk", "call")}
    assert counted(failing, "/shop.Cart/Add", encode_message(b"\xff"), GRPC) == {line.format("Add", "request_error", "shop.Cart", "call")}
    start = b'{"service":"shop.Cart","method":"Add","argument":{"cartId":"c1"}}'
    assert counted(accepting, "/dev.restate.Ingress/Invoke", start, ERA) == {line.format("Add", "completed", "shop.Cart", "send")}


def test_an_idempotency_key_of_the_seed_era_holds_for_all_methods_of_a_service() -> None:
    headers = {**GRPC, "idempotency-key": "a", "idempotency-retention-period": "60"}
    answer, (asked,) = call("/shop.Desk/Add", b"", completing(Success(b""), 1_000), headers)
    assert asked.invocation_id == idempotent_invocation_id("shop.Desk", None, "", "a")
    assert (asked.idempotency_key, asked.completion_retention_ms, asked.is_fresh) == ("a", 60_000, False)
    assert answer.headers["idempotency-expires"] == "1970-01-01T00:00:01+00:00"


def test_an_invocation_is_started_by_the_built_in_service_and_its_id_returned() -> None:
    body = b'{"service":"shop.Cart","method":"Add","argument":{"cartId":"c1"}}'
    answer, (asked,) = exchange(accepting, "POST", "/dev.restate.Ingress/Invoke", body, headers=ERA)
    assert (asked.target.key, asked.wants_result) == ("c1", False)
    assert json.loads(answer.body)["id"].startswith("inv_1")
    refused, _ = exchange(accepting, "POST", "/dev.restate.Ingress/Invoke", body.replace(b"cartId", b"other"), headers=ERA)
    assert refused.status == 412


@pytest.mark.parametrize(
    ("method", "fields", "result"),
    [
        ("Resolve", {"json_result": {"ok": True}}, Success(b'{"ok":true}')),
        ("Resolve", {"bytesResult": "AQI="}, Success(b"\1\2")),
        ("Reject", {"reason": "no"}, failure_of(2, "no")),
    ],
)
def test_awakeables_are_completed_by_the_built_in_service(method: str, fields: dict[str, Any], result: Success | Failure) -> None:
    body = json.dumps({"id": AWAKEABLE, **fields}).encode()
    answer, (asked,) = exchange(accepting, "POST", f"/dev.restate.Awakeables/{method}", body, headers=ERA)
    assert (answer.body, asked.result) == (b"{}", result)


def test_health_is_that_of_the_service_asked_for() -> None:
    for service, status in (("", "SERVING"), ("Greeter", "SERVING"), ("Private", "NOT_SERVING")):
        answer, _ = exchange(None, "POST", "/grpc.health.v1.Health/Check", json.dumps({"service": service}).encode(), headers=ERA)
        assert json.loads(answer.body) == {"status": status}


WEB_TEXT = {"content-type": "application/grpc-web-text"}
CONNECT_STREAM = {"content-type": "application/connect+proto", "connect-protocol-version": "1"}
STREAMS = [GRPC, WEB, WEB_TEXT, CONNECT_STREAM]


def reflect(*asked: dict[str, Any], version: int = 0, headers: dict[str, str] = WEB) -> tuple[Answer, list[Any], bytes]:
    """Return the answer to requests on one stream, its messages, and what its body ends with."""
    descriptors = Descriptors(FileDescriptorSet(file=[REFLECTION_FILES[version]]).SerializeToString())
    package = REFLECTION_SERVICES[version].rpartition(".")[0]
    request = descriptors.message_class(f"{package}.ServerReflectionRequest")
    response = descriptors.message_class(f"{package}.ServerReflectionResponse")
    frames = [encode_message(request(**fields).SerializeToString()) for fields in asked]
    parts = [base64.b64encode(b"".join(frames))[at : at + 7] for at in range(0, 999, 7)] if headers is WEB_TEXT else frames
    body = [part for part in parts if part]
    answer, _ = exchange(None, "POST", f"/{REFLECTION_SERVICES[version]}/ServerReflectionInfo", body, headers=headers)
    received = []
    rest = from_text(answer.body) if headers is WEB_TEXT else answer.body
    while rest[:1] == b"\0":
        size = int.from_bytes(rest[1:5], "big")
        received.append(response.FromString(rest[5 : 5 + size]))
        rest = rest[5 + size :]
    return answer, received, rest


@pytest.mark.parametrize("headers", STREAMS, ids=lambda headers: headers["content-type"])
def test_reflection_is_a_stream_in_every_protocol_that_has_some(headers: dict[str, str]) -> None:
    answer, received, end = reflect({"list_services": "*"}, {"file_containing_symbol": "gone"}, headers=headers)
    assert [message.WhichOneof("message_response") for message in received] == ["list_services_response", "error_response"]
    assert answer.headers["content-type"] == headers["content-type"]
    ends = {"application/connect+proto": encode_message(b"{}", flags=2), "application/grpc": b""}
    assert end == ends.get(headers["content-type"], encode_message(b"grpc-status: 0\r\n", flags=0x80))
    assert answer.trailers == ({"grpc-status": "0"} if headers is GRPC else {})


@pytest.mark.parametrize("headers", STREAMS, ids=lambda headers: headers["content-type"])
def test_a_stream_that_fails_says_so_at_its_end(headers: dict[str, str]) -> None:
    answer, received, end = reflect({}, headers=headers)
    assert not received
    told = end + answer.trailers.get("grpc-message", "").encode()
    assert b"the request has no message_request" in told
    assert (b'"code":"invalid_argument"' in told) is (headers is CONNECT_STREAM)


@pytest.mark.parametrize("version", [0, 1])
def test_reflection_lists_public_services(version: int) -> None:
    _, (listed,), _ = reflect({"list_services": "*"}, version=version)
    names = {service.name for service in listed.list_services_response.service}
    assert {"Greeter", "Obj", "shop.Cart", "dev.restate.Ingress", "grpc.health.v1.Health", *REFLECTION_SERVICES} <= names
    assert "Private" not in names


@pytest.mark.parametrize(
    ("symbol", "file"),
    [
        ("Greeter", "Greeter.proto"),
        ("Greeter.greet", "Greeter.proto"),
        ("Greeter_GreetRequest", "Greeter.proto"),
        ("shop.Cart", "dp_2/shop.proto"),
        ("shop.Total", "dp_2/shop.proto"),
        ("dev.restate.Awakeables", "dev/restate/services.proto"),
    ],
)
def test_reflection_gives_the_file_of_a_symbol_under_the_name_of_its_deployment(symbol: str, file: str) -> None:
    _, (answer,), _ = reflect({"file_containing_symbol": symbol})
    files = [FileDescriptorProto.FromString(each) for each in answer.file_descriptor_response.file_descriptor_proto]
    assert files[0].name == file
    assert {name for each in files for name in each.dependency} <= {each.name for each in files}
    _, (by_name,), _ = reflect({"file_by_filename": file})
    assert list(by_name.file_descriptor_response.file_descriptor_proto) == list(answer.file_descriptor_response.file_descriptor_proto)


def test_reflection_answers_each_request_of_a_stream() -> None:
    _, answers, _ = reflect(
        {"file_containing_symbol": "gone"},
        {"file_by_filename": "dp_1/gone"},
        {"all_extension_numbers_of_type": "a"},
        {"file_containing_extension": {"containing_type": "a"}},
    )
    kinds = [answer.WhichOneof("message_response") for answer in answers]
    assert kinds == ["error_response", "error_response", "all_extension_numbers_response", "file_descriptor_response"]
    assert answers[0].error_response.error_code == 5


def test_reflection_refuses_a_request_that_asks_for_nothing() -> None:
    _, answers, end = reflect({"host": "a"})
    assert (answers, b"grpc-status: 3" in end) == ([], True)
