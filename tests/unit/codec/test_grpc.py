import contextlib
import gzip
import struct
import tracemalloc

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from perdure.codec.rpc.grpc import MessageDecoder, ServerCall, encode_message, is_grpc
from perdure.codec.rpc.status import CallFailed, Status, decode_text, encode_text, parse_timeout_ms

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
HEADERS = [(b"content-type", b"application/grpc+proto")]


def a_call(*headers: tuple[bytes, bytes]) -> ServerCall:
    return ServerCall([*HEADERS, *headers], message_bytes_max=100)


@given(st.lists(st.binary(max_size=30), max_size=6), st.data())
def test_messages_do_not_depend_on_how_the_body_is_cut(sent: list[bytes], data: st.DataObject) -> None:
    body = b"".join(map(encode_message, sent))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=5)))
    decoder = MessageDecoder(message_bytes_max=30)
    received = [m for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True) for m in decoder.receive(body[start:end])]
    assert received == sent
    assert decoder.is_empty


def test_a_gzip_message_is_uncompressed() -> None:
    packed = gzip.compress(b"hello" * 10)
    decoder = MessageDecoder(message_bytes_max=100, encoding=b"gzip")
    assert decoder.receive(struct.pack(">BI", 1, len(packed)) + packed) == [b"hello" * 10]


@pytest.mark.parametrize("sent", [b"", b"hello" * 10, bytes(range(80))])
def test_a_zstd_message_is_uncompressed_whether_its_frame_tells_the_size_or_not(sent: bytes) -> None:
    streaming = zstandard.ZstdCompressor().compressobj()
    for packed in (zstandard.compress(sent), streaming.compress(sent) + streaming.flush()):
        decoder = MessageDecoder(message_bytes_max=100, encoding=b"zstd")
        assert decoder.receive(struct.pack(">BI", 1, len(packed)) + packed) == [sent]


@given(st.binary(max_size=60))
def test_any_bytes_as_zstd_are_a_message_or_a_failed_call(data: bytes) -> None:
    for packed in (data, ZSTD_MAGIC + data):
        with contextlib.suppress(CallFailed):
            (message,) = MessageDecoder(message_bytes_max=100, encoding=b"zstd").receive(struct.pack(">BI", 1, len(packed)) + packed)
            assert len(message) <= 100


@pytest.mark.parametrize(
    ("flag", "payload", "encoding", "status"),
    [
        (0, bytes(101), b"identity", Status.RESOURCE_EXHAUSTED),
        (1, gzip.compress(bytes(101)), b"gzip", Status.RESOURCE_EXHAUSTED),
        (1, gzip.compress(bytes(50))[:-9], b"gzip", Status.INTERNAL),
        (1, b"not gzip", b"gzip", Status.INTERNAL),
        (1, zstandard.compress(bytes(101)), b"zstd", Status.RESOURCE_EXHAUSTED),
        (1, b"not zstd", b"zstd", Status.INTERNAL),
        (1, zstandard.compress(b"x")[:-1], b"zstd", Status.INTERNAL),
        (1, zstandard.compress(b"x") * 2, b"zstd", Status.INTERNAL),
        (1, ZSTD_MAGIC + b"\x00\xa0" + b"\x0b\x00\x00" + b"x", b"zstd", Status.INTERNAL),  # wants a window of a gigabyte
        (1, b"x", b"br", Status.UNIMPLEMENTED),
        (1, b"x", b"identity", Status.UNIMPLEMENTED),
        (2, b"x", b"gzip", Status.INTERNAL),
    ],
)
def test_a_message_that_cannot_be_taken_fails_with_its_status(flag: int, payload: bytes, encoding: bytes, status: Status) -> None:
    decoder = MessageDecoder(message_bytes_max=100, encoding=encoding)
    with pytest.raises(CallFailed) as caught:
        decoder.receive(struct.pack(">BI", flag, len(payload)) + payload)
    assert caught.value.call_status is status


def test_what_grows_without_bounds_is_cut_short() -> None:
    packed = zstandard.compress(bytes(1 << 28))
    assert len(packed) < 64_000
    tracemalloc.start()
    with pytest.raises(CallFailed):
        MessageDecoder(message_bytes_max=64_000, encoding=b"zstd").receive(struct.pack(">BI", 1, len(packed)) + packed)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 32 << 20


def test_a_request_is_complete_with_the_end_of_its_body() -> None:
    call = a_call()
    body = encode_message(b"ask")
    assert call.receive(body[:3], is_last=False) is None
    assert call.receive(body[3:], is_last=False) is None
    assert call.receive(b"", is_last=True) == b"ask"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", Status.INTERNAL),
        (encode_message(b"ask")[:-1], Status.INTERNAL),
        (encode_message(b"a") + b"\0", Status.INTERNAL),
        (encode_message(b"a") * 2, Status.UNIMPLEMENTED),
    ],
)
def test_a_request_that_is_not_one_message_fails(body: bytes, status: Status) -> None:
    with pytest.raises(CallFailed) as caught:
        a_call().receive(body, is_last=True)
    assert caught.value.call_status is status


def test_a_response_is_headers_messages_and_trailers() -> None:
    call = a_call()
    start, body = call.send(b"one")
    assert (start["status"], start["trailers"]) == (200, True)
    assert (b"content-type", b"application/grpc+proto") in start["headers"]
    assert body == {"type": "http.response.body", "body": b"\0\0\0\0\3one", "more_body": True}
    assert call.send(b"two") == [{"type": "http.response.body", "body": b"\0\0\0\0\3two", "more_body": True}]
    end, trailers = call.end(Status.OK)
    assert end["more_body"] is False
    assert trailers["headers"] == [(b"grpc-status", b"0")]


def test_a_failure_before_any_message_has_its_status_in_the_trailers() -> None:
    start, end, trailers = a_call().end(Status.NOT_FOUND, "no 100% \u00e4")
    assert start["trailers"] is True
    assert end["body"] == b""
    assert trailers["headers"] == [(b"grpc-status", b"5"), (b"grpc-message", b"no 100%25 %C3%A4")]


@given(st.text())
def test_a_status_text_survives_its_header(text: str) -> None:
    encoded = encode_text(text) if text.isprintable() else encode_text(repr(text))
    assert all(0x20 <= byte < 0x7F for byte in encoded)
    assert decode_text(encoded) in (text, repr(text))


@pytest.mark.parametrize(
    ("value", "expected_ms"), [(b"1H", 3_600_000), (b"2M", 120_000), (b"5S", 5_000), (b"250m", 250), (b"1500u", 2), (b"1n", 1), (b"0S", 0)]
)
def test_a_timeout_is_read_in_its_unit_and_rounded_up(value: bytes, expected_ms: int) -> None:
    assert parse_timeout_ms(value) == expected_ms
    assert a_call((b"grpc-timeout", value)).timeout_ms() == expected_ms


@pytest.mark.parametrize("value", [b"", b"5", b"S", b"-1S", b"1s", b"123456789S", "\u0661S".encode()])
def test_what_is_no_timeout_is_refused(value: bytes) -> None:
    with pytest.raises(CallFailed):
        parse_timeout_ms(value)


def test_no_timeout_is_none() -> None:
    assert a_call().timeout_ms() is None


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        (b"application/grpc", True),
        (b"application/grpc+proto", True),
        (b"application/grpc;x=y", True),
        (b"application/grpc-web", False),
        (b"application/json", False),
        (b"", False),
    ],
)
def test_a_grpc_call_is_known_by_its_content_type(content_type: bytes, expected: bool) -> None:
    assert is_grpc([(b"content-type", content_type)]) is expected
