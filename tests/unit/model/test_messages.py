"""Messages between processes survive the bus, and may grow."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.bus import messages
from perdure.model.result import Failure, Success, Void
from perdure.model.target import HandlerType, Target

U64 = st.integers(0, (1 << 64) - 1)
IDS = st.binary(min_size=24, max_size=24)
TARGETS = st.builds(Target, st.text(), st.text(), st.none() | st.text(), st.sampled_from(HandlerType), st.booleans())
RESULTS = st.one_of(st.builds(Success, st.binary()), st.builds(Failure, st.integers(0, 65_535), st.text(), st.just(())))
SIGNAL_RESULTS = RESULTS | st.just(Void())
HEADERS = st.lists(st.tuples(st.text(), st.text())).map(tuple)
REQUESTS = st.one_of(
    st.builds(
        messages.Invoke,
        U64,
        IDS,
        TARGETS,
        st.binary(),
        HEADERS,
        st.booleans(),
        st.none() | st.text(),
        st.booleans(),
        st.none() | U64,
        U64,
        U64,
        st.none() | st.binary(),
        st.none() | st.text(),
    ),
    st.builds(messages.Attach, U64, IDS),
    st.builds(messages.GetOutput, U64, IDS),
    st.builds(messages.SendSignalTo, U64, IDS, st.none() | st.integers(0, 1 << 31), st.none() | st.text(), SIGNAL_RESULTS),
    st.builds(messages.Operate, U64, IDS, st.text(), st.none() | st.text(), st.integers(0, 1 << 31)),
)
REPLIES = st.one_of(
    st.builds(messages.Accepted, U64, st.none() | U64, st.booleans()),
    st.builds(messages.Completed, U64, RESULTS, st.none() | U64, st.none() | st.binary()),
    st.builds(messages.NotReady, U64),
    st.builds(messages.NotFound, U64),
    st.builds(messages.NotOwner, U64),
    st.builds(messages.Overloaded, U64),
    st.builds(messages.Operated, U64, st.text(), st.none() | IDS),
)
ENVELOPES = st.one_of(
    st.builds(messages.OwnerRequests, st.just(messages.VERSION), st.text(), st.lists(REQUESTS)),
    st.builds(messages.OwnerReplies, st.just(messages.VERSION), st.lists(REPLIES)),
    st.builds(messages.Announcement, st.just(messages.VERSION), st.text(), st.lists(U64), st.dictionaries(U64, U64)),
    st.builds(messages.Doorbell, st.just(messages.VERSION), st.lists(U64)),
    st.builds(messages.SchemaChanged, st.just(messages.VERSION), U64),
    st.builds(messages.Heartbeat, st.just(messages.VERSION), st.text(), st.text(), st.text(), st.text(), U64, st.lists(U64)),
    st.builds(messages.MetricsSnapshot, st.just(messages.VERSION), st.text(), st.text(), st.binary()),
)


@given(ENVELOPES)
def test_an_envelope_survives_the_bus(envelope: Any) -> None:
    assert messages.decoder_of(type(envelope)).decode(messages.encode(envelope)) == envelope


def test_a_message_without_the_later_fields_is_read() -> None:
    old = msgspec.msgpack.encode([1, "invoker", "i1", "", "0.1.0", 5])
    heartbeat = messages.decoder_of(messages.Heartbeat).decode(old)
    assert (heartbeat.process_id, heartbeat.partitions, heartbeat.is_ready) == ("i1", [], True)


def test_a_message_with_later_fields_is_read_without_them() -> None:
    new = msgspec.msgpack.encode([1, [3], "a field of tomorrow"])
    assert messages.decoder_of(messages.Doorbell).decode(new) == messages.Doorbell(1, [3])


def test_an_unknown_kind_of_request_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        messages.decoder_of(messages.OwnerRequests).decode(msgspec.msgpack.encode([1, "r", [[99, 1]]]))
