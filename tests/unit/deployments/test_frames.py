"""The corrections of zttp's output, held against what zttp really writes."""

import h2.config
import h2.connection
import h2.events
import zttp
from hypothesis import given
from hypothesis import strategies as st

from perdure.deployments import frames


def request_head(headers: list[tuple[bytes, bytes]]) -> bytes:
    connection = zttp.Connection(zttp.CLIENT, zttp.HTTP2)
    connection.initiate_connection()
    connection.data_to_send()
    connection.send_request(b"POST", b"/x", b"2", headers)
    return connection.data_to_send()


def request_as_read(head: bytes) -> zttp.Request:
    server = zttp.Connection(zttp.SERVER, zttp.HTTP2)
    server.receive_data(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frames.frame(frames.SETTINGS, 0, b"") + head)
    events = [server.next_event() for _ in range(3)]
    assert events[2] is zttp.NEED_DATA
    request = events[1]
    assert isinstance(request, zttp.Request)
    return request


def test_a_request_head_with_its_scheme_mended_reads_as_before() -> None:
    headers = [(b"host", b"h"), (b"x-long", b"v" * 40_000)]
    head = request_head(headers)
    mended = frames.with_http_scheme(head)
    assert (len(head) - len(mended), b"https" in mended) == (6, False)
    request = request_as_read(mended)
    assert (request.method, request.target, dict(request.headers)) == (b"POST", b"/x", dict(headers))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 1000), st.booleans())), st.sets(st.integers(0, 4)))
def test_withheld_credit_is_exactly_that_of_the_chosen_streams(written: list[tuple[int, int, bool]], chosen: set[int]) -> None:
    def as_frame(stream_id: int, number: int, is_credit: bool) -> bytes:
        return frames.window_update_frame(stream_id, number) if is_credit else frames.frame(frames.DATA, stream_id, bytes(number))

    kept, withheld = frames.withhold_credit(b"".join(as_frame(*one) for one in written), chosen)
    assert kept == b"".join(as_frame(*one) for one in written if not (one[2] and one[0] in chosen))
    assert sum(withheld.values()) == sum(number for stream_id, number, is_credit in written if is_credit and stream_id in chosen)
    assert set(withheld) <= chosen


def test_a_request_head_that_ends_its_stream_is_a_whole_request() -> None:
    head = frames.with_end_of_stream(frames.with_http_scheme(request_head([(b"host", b"h")])))
    server = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    events = server.receive_data(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frames.frame(frames.SETTINGS, 0, b"") + head)
    kinds = [type(event) for event in events]
    assert kinds[-2:] == [h2.events.RequestReceived, h2.events.StreamEnded]
