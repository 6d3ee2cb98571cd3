"""Unary calls of gRPC, gRPC-Web and Connect: requests in, answers out."""

import base64
import gzip
import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.base.limits import KIB
from perdure.codec.descriptors.keys import fields
from perdure.codec.rpc.connect import ConnectCall, ConnectGetCall
from perdure.codec.rpc.details import ErrorInfo
from perdure.codec.rpc.grpc import MessageDecoder, encode_message
from perdure.codec.rpc.grpc_unary import GrpcCall, GrpcWebCall
from perdure.codec.rpc.status import CallFailed, Status, decode_text
from perdure.codec.rpc.unary import Answer, metadata_of, path_of

LIMIT = 2_000
FAILED = CallFailed(Status.ABORTED, "too late \u00e4", ErrorInfo("WHY", "here", (("code", "409"),)))


def grpc(**headers: str) -> GrpcCall:
    return GrpcCall(raw({"content-type": "application/grpc", **headers}), message_bytes_max=LIMIT)


def web(kind: str = "application/grpc-web+proto", **headers: str) -> GrpcWebCall:
    return GrpcWebCall(raw({"content-type": kind, **headers}), message_bytes_max=LIMIT)


def connect(kind: str = "application/json", *, names_version: bool = True, **headers: str) -> ConnectCall:
    is_json = kind == "application/json"
    return ConnectCall(raw({"content-type": kind, **headers}), is_json=is_json, names_version=names_version, message_bytes_max=LIMIT)


def raw(headers: dict[str, str]) -> dict[bytes, bytes]:
    return {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}


def header(answer: Answer, name: str) -> str | None:
    return next((value.decode() for key, value in answer.headers if key == name.encode()), None)


def frames_of(body: bytes) -> list[tuple[int, bytes]]:
    frames = []
    while body:
        flags, size = struct.unpack(">BI", body[:5])
        frames.append((flags, body[5 : 5 + size]))
        body = body[5 + size :]
    return frames


def test_a_grpc_answer_has_its_status_in_the_trailers() -> None:
    answer = grpc().success(b"hi", [(b"x-a", b"1")])
    assert (answer.status, answer.body, answer.trailers) == (200, encode_message(b"hi"), [(b"grpc-status", b"0")])
    assert header(answer, "x-a") == "1"


def test_a_grpc_failure_has_status_text_details_and_metadata_in_the_trailers() -> None:
    answer = grpc().failure(FAILED, [(b"x-a", b"1")])
    trailers = dict(answer.trailers or ())
    assert (answer.status, answer.body) == (200, b"")
    assert (trailers[b"grpc-status"], trailers[b"grpc-message"], trailers[b"x-a"]) == (b"10", b"too late %C3%A4", b"1")
    details = trailers[b"grpc-status-details-bin"]
    status = base64.b64decode(details + b"=" * (-len(details) % 4))
    assert [number for number, *_ in fields(status)] == [1, 2, 3]
    assert b"google.rpc.ErrorInfo" in status


@given(st.text(max_size=40), st.integers(1, 400), st.dictionaries(st.text(max_size=9), st.text(max_size=900), max_size=12))
def test_the_trailers_of_a_failure_are_no_more_than_every_client_takes(part: str, times: int, metadata: dict[str, str]) -> None:
    text = part * times
    answer = grpc().failure(CallFailed(Status.ABORTED, text, ErrorInfo("WHY", "here", (("code", "409"), *metadata.items()))))
    trailers = dict(answer.trailers or ())
    assert sum(len(name) + len(value) + 32 for name, value in trailers.items()) < 7 * KIB
    told = decode_text(trailers.get(b"grpc-message", b""))
    assert told == text or text.startswith(told.rpartition("…")[0])
    details = trailers[b"grpc-status-details-bin"]
    status = base64.b64decode(details + b"=" * (-len(details) % 4))
    assert told.encode() in status
    assert b"409" in status


def test_a_long_text_is_whole_where_it_is_no_header() -> None:
    long = CallFailed(Status.ABORTED, "x" * 50_000)
    assert b"x" * 50_000 in web().failure(long).body
    assert b"x" * 50_000 in connect().failure(long).body


def test_large_grpc_messages_are_compressed_for_those_who_take_it() -> None:
    large = b"a" * LIMIT
    assert frames_of(grpc(grpc_accept_encoding="identity").success(large).body) == [(0, large)]
    answer = grpc(grpc_accept_encoding="identity, gzip").success(large)
    ((flags, packed),) = frames_of(answer.body)
    assert (flags, gzip.decompress(packed), header(answer, "grpc-encoding")) == (1, large, "gzip")


@given(st.binary(max_size=60), st.data())
def test_a_text_body_may_be_padded_where_its_client_cut_it(message: bytes, data: st.DataObject) -> None:
    body = encode_message(message)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=3)))
    parts = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert web("application/grpc-web-text").request(b"".join(map(base64.b64encode, parts))) == message


@pytest.mark.parametrize("body", [b"AAA", b"?AAA", b"=", b"AAAAAAA=A"])
def test_a_text_body_that_is_not_base64_is_refused(body: bytes) -> None:
    with pytest.raises(CallFailed):
        web("application/grpc-web-text").request(body)


@pytest.mark.parametrize("kind", ["application/grpc-web", "application/grpc-web-text+proto"])
def test_a_grpc_web_answer_ends_with_a_frame_of_trailers(kind: str) -> None:
    answer = web(kind).success(b"hi")
    body = base64.b64decode(answer.body) if "text" in kind else answer.body
    assert frames_of(body) == [(0, b"hi"), (0x80, b"grpc-status: 0\r\n")]
    assert (answer.trailers, header(answer, "content-type"), header(answer, "content-length")) == (None, kind, str(len(answer.body)))


def test_a_grpc_web_failure_is_a_frame_of_trailers() -> None:
    ((flags, trailers),) = frames_of(web().failure(FAILED, [(b"x-a", b"1")]).body)
    assert flags == 0x80
    assert trailers.startswith(b"grpc-status: 10\r\ngrpc-message: too late %C3%A4\r\ngrpc-status-details-bin: ")
    assert trailers.endswith(b"\r\nx-a: 1\r\n")


def test_a_connect_message_is_the_body_both_ways() -> None:
    answer = connect("application/proto").success(b"hi", [(b"x-a", b"1")])
    assert (answer.status, answer.body, header(answer, "content-type"), header(answer, "x-a")) == (200, b"hi", "application/proto", "1")
    assert connect().request(b"{}") == b"{}"
    assert connect(content_encoding="gzip").request(gzip.compress(b"{}")) == b"{}"
    packed = connect(accept_encoding="br, gzip;q=0.5").success(b"a" * LIMIT)
    assert (gzip.decompress(packed.body), header(packed, "content-encoding")) == (b"a" * LIMIT, "gzip")


def test_a_connect_error_has_code_message_and_details() -> None:
    answer = connect("application/proto").failure(FAILED)
    error = json.loads(answer.body)
    assert (answer.status, header(answer, "content-type")) == (409, "application/json")
    assert (error["code"], error["message"], error["details"][0]["type"]) == ("aborted", "too late \u00e4", "google.rpc.ErrorInfo")
    assert "=" not in error["details"][0]["value"]


@pytest.mark.parametrize(
    ("status", "names_version", "code", "http"),
    [
        (Status.CANCELLED, True, "canceled", 499),
        (Status.CANCELLED, False, "cancelled", 408),
        (Status.DEADLINE_EXCEEDED, True, "deadline_exceeded", 504),
        (Status.DEADLINE_EXCEEDED, False, "deadline_exceeded", 408),
        (Status.FAILED_PRECONDITION, True, "failed_precondition", 400),
        (Status.FAILED_PRECONDITION, False, "failed_precondition", 412),
        (Status.UNKNOWN, False, "unknown", 500),
        (Status.UNAVAILABLE, True, "unavailable", 503),
        (Status.UNIMPLEMENTED, True, "unimplemented", 501),
    ],
)
def test_a_status_has_its_name_and_http_status(status: Status, names_version: bool, code: str, http: int) -> None:
    answer = connect(names_version=names_version).failure(CallFailed(status, "m", FAILED.info))
    assert (answer.status, json.loads(answer.body)["code"]) == (http, code)
    assert names_version or json.loads(answer.body).keys() == {"code", "message"}


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("encoding=json&message=%7B%22a%22%3A%22%C3%A4%22%7D", '{"a":"\u00e4"}'.encode()),
        ("encoding=proto&base64=1&message=CgFr-_8", b"\x0a\x01k\xfb\xff"),
        ("encoding=proto&base64=1&message=CgFr", b"\x0a\x01k"),
        (f"encoding=json&compression=gzip&base64=1&message={base64.urlsafe_b64encode(gzip.compress(b'{}')).decode()}", b"{}"),
        ("encoding=json&message=", b""),
    ],
)
def test_a_get_has_its_message_in_the_query(query: str, message: bytes) -> None:
    call = ConnectGetCall({}, query.encode(), message_bytes_max=LIMIT)
    assert call.request(b"") == message
    assert call.is_json is ("json" in query)


REFUSED: list[tuple[Any, bytes, Status]] = [
    (grpc, b"", Status.INTERNAL),
    (grpc, encode_message(bytes(LIMIT + 1)), Status.RESOURCE_EXHAUSTED),
    (connect, bytes(LIMIT + 1), Status.RESOURCE_EXHAUSTED),
    (lambda: connect(content_encoding="gzip"), gzip.compress(bytes(LIMIT + 1)), Status.RESOURCE_EXHAUSTED),
    (lambda: connect(content_encoding="br"), b"", Status.UNIMPLEMENTED),
    (lambda: connect(connect_protocol_version="2"), b"", Status.INVALID_ARGUMENT),
    (lambda: ConnectGetCall({}, b"encoding=json", message_bytes_max=LIMIT), b"", Status.INVALID_ARGUMENT),
    (lambda: ConnectGetCall({}, b"message=x", message_bytes_max=LIMIT), b"", Status.INVALID_ARGUMENT),
    (lambda: ConnectGetCall({}, b"encoding=proto&base64=1&message=%ff", message_bytes_max=LIMIT), b"", Status.INVALID_ARGUMENT),
]


@pytest.mark.parametrize(("call", "body", "status"), REFUSED)
def test_a_request_that_cannot_be_taken_fails_with_its_status(call: Any, body: bytes, status: Status) -> None:
    with pytest.raises(CallFailed) as caught:
        call().request(body)
    assert caught.value.call_status is status


@pytest.mark.parametrize(
    ("call", "expected_ms"),
    [
        (grpc(grpc_timeout="2S"), 2_000),
        (grpc(), None),
        (connect(connect_timeout_ms="70"), 70),
        (connect(names_version=False, connect_timeout_ms="70"), None),
    ],
)
def test_a_deadline_is_read_from_its_header(call: GrpcCall | ConnectCall, expected_ms: int | None) -> None:
    assert call.timeout_ms() == expected_ms


@pytest.mark.parametrize("value", ["", "-1", "1.5", "x", "12345678901"])
def test_a_malformed_deadline_is_refused(value: str) -> None:
    with pytest.raises(CallFailed):
        connect(connect_timeout_ms=value).timeout_ms()


def test_json_is_told_by_the_content_type() -> None:
    assert not grpc().is_json
    assert GrpcCall({b"content-type": b"application/grpc+json; charset=utf-8"}, message_bytes_max=1).is_json


def test_metadata_is_what_the_client_added() -> None:
    sent = [
        (b"x-a", b"1"),
        (b"te", b"trailers"),
        (b"grpc-timeout", b"1S"),
        (b"connect-timeout-ms", b"1"),
        (b"host", b"h"),
        (b"user-agent", b"u"),
    ]
    assert metadata_of(sent) == [(b"x-a", b"1"), (b"user-agent", b"u")]


@pytest.mark.parametrize(
    ("path", "names"),
    [(b"/a.B/C", ("a.B", "C")), (b"/a%2EB/C", ("a.B", "C")), (b"/a", None), (b"/a/b/c", None), (b"//b", None), (b"/a/", None), (b"", None)],
)
def test_a_path_names_service_and_method(path: bytes, names: tuple[str, str] | None) -> None:
    assert path_of(path) == names


@given(st.lists(st.binary(max_size=30), max_size=4), st.integers(0, 200))
def test_a_body_that_is_cut_gives_whole_messages_only(sent: list[bytes], cut: int) -> None:
    body = b"".join(map(encode_message, sent))[:cut]
    received = MessageDecoder(message_bytes_max=30).receive(body)
    assert received == sent[: len(received)]
