"""What PostgreSQL clients send, as messages."""

import struct
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.base.errors import RemoteProtocolError
from perdure.codec.pgwire import frontend as fe

LIMIT = 1_000

texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)
formats = st.lists(st.sampled_from([0, 1]), max_size=1).map(tuple)
messages = (
    st.builds(fe.Query, texts)
    | st.builds(fe.Parse, texts, texts, st.lists(st.integers(0, 2**32 - 1), max_size=3).map(tuple))
    | st.builds(fe.Bind, texts, texts, formats, st.lists(st.none() | st.binary(max_size=20), max_size=3).map(tuple), formats)
    | st.builds(fe.DescribeStatement, texts)
    | st.builds(fe.DescribePortal, texts)
    | st.builds(fe.Execute, texts, st.integers(0, 2**31 - 1))
    | st.builds(fe.CloseStatement, texts)
    | st.builds(fe.ClosePortal, texts)
    | st.just(fe.Sync())
    | st.just(fe.Flush())
    | st.just(fe.Terminate())
)


def string(value: str) -> bytes:
    return value.encode() + b"\x00"


def array(code: str, values: tuple[int, ...]) -> bytes:
    return struct.pack(f">H{len(values)}{code}", len(values), *values)


def parameter(value: bytes | None) -> bytes:
    return struct.pack(">i", -1) if value is None else struct.pack(">i", len(value)) + value


def content_of(message: fe.FrontendMessage) -> tuple[bytes, bytes]:
    """Type and content, as libpq sends them."""
    match message:
        case fe.Query(sql):
            return b"Q", string(sql)
        case fe.Parse(name, sql, oids):
            return b"P", string(name) + string(sql) + array("I", oids)
        case fe.Bind(portal, name, parameter_formats, parameters, result_formats):
            values = struct.pack(">H", len(parameters)) + b"".join(map(parameter, parameters))
            return b"B", string(portal) + string(name) + array("h", parameter_formats) + values + array("h", result_formats)
        case fe.DescribeStatement(name):
            return b"D", b"S" + string(name)
        case fe.DescribePortal(name):
            return b"D", b"P" + string(name)
        case fe.Execute(name, rows_max):
            return b"E", string(name) + struct.pack(">i", rows_max)
        case fe.CloseStatement(name):
            return b"C", b"S" + string(name)
        case fe.ClosePortal(name):
            return b"C", b"P" + string(name)
        case fe.Sync():
            return b"S", b""
        case fe.Flush():
            return b"H", b""
        case fe.Terminate():
            return b"X", b""
        case _:
            raise AssertionError(message)


def framed(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack(">i", len(content) + 4) + content


def startup(code: int, content: bytes) -> bytes:
    return struct.pack(">ii", len(content) + 8, code) + content


START = startup(196608, string("user") + string("me") + b"\x00")


def started() -> fe.FrontendDecoder:
    decoder = fe.FrontendDecoder(message_bytes_max=LIMIT)
    assert list(decoder.receive(START)) == [fe.Startup(0, {"user": "me"})]
    return decoder


def refusal(data: bytes, new: Callable[[], fe.FrontendDecoder] = started) -> str:
    with pytest.raises(fe.PostgresProtocolError) as caught:
        list(new().receive(data))
    return caught.value.message


def fresh() -> fe.FrontendDecoder:
    return fe.FrontendDecoder(message_bytes_max=LIMIT)


@given(st.lists(messages, max_size=5), st.data())
def test_messages_do_not_depend_on_how_the_stream_is_cut(sent: list[fe.FrontendMessage], data: st.DataObject) -> None:
    stream = START + b"".join(framed(*content_of(message)) for message in sent)
    cuts = sorted({0, len(stream), *data.draw(st.lists(st.integers(0, len(stream)), max_size=6))})
    decoder = fresh()
    received = [message for begin, end in pairwise(cuts) for message in decoder.receive(stream[begin:end])]
    assert received == [fe.Startup(0, {"user": "me"}), *sent]


def test_encryption_is_asked_for_before_the_startup() -> None:
    decoder = fresh()
    requests = startup(80877103, b"") + startup(80877104, b"")
    assert list(decoder.receive(requests + START)) == [fe.TlsRequested(), fe.GssapiRequested(), fe.Startup(0, {"user": "me"})]


def test_a_cancel_request_names_process_and_secret() -> None:
    assert list(fresh().receive(startup(80877102, struct.pack(">i", 7) + b"wxyz"))) == [fe.CancelRequested(7, b"wxyz")]


def test_the_minor_version_is_told() -> None:
    assert list(fresh().receive(startup(196610, b"\x00"))) == [fe.Startup(2, {})]


@pytest.mark.parametrize(
    "data", [startup(131072, b"\x00"), b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01", struct.pack(">ii", 3, 0)]
)
def test_what_is_no_startup_is_refused(data: bytes) -> None:
    assert refusal(data, fresh)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (framed(b"Q", b"select 1"), "terminator"),
        (framed(b"Q", b"\xff\x00"), "UTF-8"),
        (framed(b"Q", b"a\x00b"), "too many"),
        (framed(b"P", b"\x00\x00\x00\x02\x00"), "shorter"),
        (framed(b"B", b"\x00\x00\x00\x01\x00\x07"), "format codes"),
        (framed(b"B", b"\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00"), "parameter formats"),
        (framed(b"D", b"X\x00"), "neither"),
        (framed(b"E", b"\x00\x00"), "shorter"),
        (framed(b"d", b"data"), "unsupported type 'd'"),
        (b"Q" + struct.pack(">i", 3), "length 3"),
        (b"Q" + struct.pack(">i", -1), "length -1"),
        (b"Q" + struct.pack(">i", LIMIT + 1), "limit 1000"),
    ],
)
def test_broken_messages_are_refused_with_a_reason(data: bytes, reason: str) -> None:
    assert reason in refusal(data)


def test_a_message_of_the_largest_size_waits_for_its_end() -> None:
    decoder = started()
    assert list(decoder.receive(b"Q" + struct.pack(">i", LIMIT))) == []
    assert list(decoder.receive(b"x" * (LIMIT - 5) + b"\x00")) == [fe.Query("x" * (LIMIT - 5))]


@given(st.binary(max_size=100), st.booleans())
def test_noise_is_refused_or_waited_for(noise: bytes, has_started: bool) -> None:
    decoder = started() if has_started else fresh()
    try:
        received = list(decoder.receive(noise))
    except RemoteProtocolError:
        return
    assert len(received) <= len(noise) // 4
