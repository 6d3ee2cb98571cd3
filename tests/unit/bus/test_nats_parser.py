import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.base.errors import RemoteProtocolError
from perdure.bus.nats.parser import LINE_BYTES_MAX, Delivery, Parser, header_of, status_of

words = st.text(alphabet="abc._-$", min_size=1, max_size=6).map(str.encode)
deliveries = st.builds(
    Delivery,
    subject=words,
    sid=st.integers(1, 99).map(lambda n: b"%d" % n),
    reply=st.one_of(st.just(b""), words),
    headers=st.one_of(st.just(b""), st.just(b"NATS/1.0 503\r\n\r\n")),
    payload=st.binary(max_size=40),
)
lines = st.sampled_from([b"PING", b"PONG", b"+OK", b"-ERR 'Slow Consumer'", b'INFO {"a":1}'])


def wire(event: Delivery | bytes) -> bytes:
    if isinstance(event, bytes):
        return event + b"\r\n"
    head = b" ".join(part for part in (event.subject, event.sid, event.reply) if part)
    total = len(event.headers) + len(event.payload)
    sizes = b"%d %d" % (len(event.headers), total) if event.headers else b"%d" % total
    return (b"HMSG " if event.headers else b"MSG ") + head + b" " + sizes + b"\r\n" + event.headers + event.payload + b"\r\n"


@given(st.lists(st.one_of(deliveries, lines), max_size=8), st.data())
def test_events_do_not_depend_on_how_the_stream_is_cut(events: list[Delivery | bytes], data: st.DataObject) -> None:
    stream = b"".join(map(wire, events))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    parser = Parser(message_bytes_max=1000)
    received: list[Delivery | bytes] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        received += parser.receive(stream[start:end])
    assert received == events


def test_a_large_message_that_comes_in_many_pieces_is_put_together_once() -> None:
    parser = Parser(message_bytes_max=1_000_000)
    payload = bytes(range(256)) * 2_000
    stream = wire(Delivery(b"a", b"1", b"", b"", payload)) + b"PING\r\n"
    received = [event for start in range(0, len(stream), 1_000) for event in parser.receive(stream[start : start + 1_000])]
    assert received == [Delivery(b"a", b"1", b"", b"", payload), b"PING"]


@pytest.mark.parametrize(
    "stream",
    [
        b"MSG a 1 1001\r\n",
        b"MSG a 1 x\r\n",
        b"MSG a 1 -1\r\n",
        b"MSG 1\r\n",
        b"HMSG a 1 b 1 2 3 4\r\n",
        b"HMSG a 1 x 20\r\n" + bytes(22),
        b"HMSG a 1 21 20\r\n" + bytes(22),
        b"x" * (LINE_BYTES_MAX + 1),
    ],
)
def test_what_no_server_sends_is_refused(stream: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        Parser(message_bytes_max=1000).receive(stream)


@given(st.binary(max_size=60))
def test_any_bytes_end_in_events_or_a_refusal(data: bytes) -> None:
    parser = Parser(message_bytes_max=100)
    try:
        events = parser.receive(data) + parser.receive(b"\r\nMSG a 1 0\r\n\r\n")
    except RemoteProtocolError:
        return
    assert all(isinstance(event, Delivery | bytes) for event in events)


def test_status_and_headers_are_read_from_a_header_block() -> None:
    block = b"NATS/1.0 503\r\nNats-Subject: a.b\r\nOther:x\r\n\r\n"
    assert status_of(block) == b"503"
    assert header_of(block, b"nats-subject") == b"a.b"
    assert header_of(block, b"missing") == b""
    assert status_of(b"NATS/1.0\r\nA: b\r\n\r\n") == b""
