"""The JSON of Lambda functions, against the members that SDKs read and write."""

import base64
import contextlib
import json

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from perdure.base.errors import RemoteProtocolError
from perdure.codec.aws_lambda.events import FunctionAnswer, compress, decode_answer, decompress, encode_event

LIMIT = 1_000_000


def answered(**members: object) -> FunctionAnswer:
    return decode_answer(json.dumps({"statusCode": 200, **members}).encode(), body_bytes_max=LIMIT)


def test_an_event_has_exactly_the_members_that_sdks_know() -> None:
    event = encode_event("POST", "/invoke/A/b", [("Content-Type", "x/y")], b"\x00\xffbody")
    assert json.loads(event) == {
        "path": "/invoke/A/b",
        "httpMethod": "POST",
        "headers": {"content-type": "x/y"},
        "body": base64.b64encode(b"\x00\xffbody").decode(),
        "isBase64Encoded": True,
    }


def test_an_empty_body_is_an_empty_text() -> None:
    assert json.loads(encode_event("GET", "/discover", [], b""))["body"] == ""


def test_the_first_of_several_headers_with_one_name_counts() -> None:
    event = encode_event("GET", "/discover", [("a", "1"), ("A", "2")], b"")
    assert json.loads(event)["headers"] == {"a": "1"}


@pytest.mark.parametrize(("size", "is_compressed"), [(9, False), (10, True)])
def test_a_body_is_compressed_from_the_threshold_on(size: int, is_compressed: bool) -> None:
    event = json.loads(encode_event("POST", "/x", [], b"a" * size, compression_bytes_min=10))
    assert event["headers"]["accept-encoding"] == "zstd"
    body = base64.b64decode(event["body"])
    if is_compressed:
        assert event["headers"]["content-encoding"] == "zstd"
        body = zstandard.decompress(body)
    assert body == b"a" * size


@given(st.binary(max_size=2_000), st.booleans())
def test_a_body_comes_back_as_it_was(body: bytes, is_compressed: bool) -> None:
    packed = compress(body) if is_compressed else body
    headers = {"Content-Encoding": " ZSTD "} if is_compressed else {}
    answer = answered(headers=headers, body=base64.b64encode(packed).decode(), isBase64Encoded=True)
    assert answer == FunctionAnswer(200, [], body)


def test_headers_may_be_absent_null_texts_or_lists() -> None:
    assert answered().headers == answered(headers=None).headers == []
    assert answered(headers={"A": "1", "B": ["2", "3"]}).headers == [("a", "1"), ("b", "2"), ("b", "3")]


def test_a_body_may_be_absent_or_plain_text() -> None:
    assert answered().body == answered(body=None).body == b""
    assert answered(body="käse").body == "käse".encode()


def test_members_that_nobody_asked_for_are_passed_over() -> None:
    assert answered(cookies=[], multiValueHeaders={}).status == 200


@pytest.mark.parametrize(
    ("payload", "what"),
    [
        (b"", "cannot be read"),
        (b"nonsense", "'nonsense'"),
        (b"null", "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        (b'{"headers": {}}', "statusCode"),
        (b'{"statusCode": "200"}', "cannot be read"),
        (b'{"statusCode": 200, "isBase64Encoded": true, "body": "not base64!"}', "no base64"),
        ('{"statusCode": 200, "isBase64Encoded": true, "body": "käse"}'.encode(), "no base64"),
        (b'{"statusCode": 200, "headers": {"content-encoding": "zstd"}, "body": "plain"}', "cannot be decompressed"),
    ],
)
def test_what_is_no_answer_is_a_protocol_error(payload: bytes, what: str) -> None:
    with pytest.raises(RemoteProtocolError, match=what):
        decode_answer(payload, body_bytes_max=LIMIT)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_answer_or_a_protocol_error(payload: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        decode_answer(payload, body_bytes_max=LIMIT)


def test_what_is_small_but_unpacks_to_more_than_the_limit_is_refused() -> None:
    bomb = compress(bytes(10_000_000))
    assert len(bomb) < 10_000
    with pytest.raises(RemoteProtocolError, match="larger than 1000000 bytes"):
        decompress(bomb, bytes_max=LIMIT)


def test_frames_one_after_the_other_are_one_body() -> None:
    assert decompress(compress(b"a") + compress(b"b"), bytes_max=LIMIT) == b"ab"
