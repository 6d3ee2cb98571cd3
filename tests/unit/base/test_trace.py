"""Trace contexts between header and number, and ids that follow from what is known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.base.trace import TraceContext, is_in_sample, parse_traceparent, span_id_of

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@given(st.integers(1, (1 << 128) - 1), st.integers(1, (1 << 64) - 1), st.booleans())
def test_a_context_survives_its_header(trace_id: int, span_id: int, is_sampled: bool) -> None:
    context = TraceContext(trace_id, span_id, is_sampled, "vendor=1")
    assert parse_traceparent(context.traceparent, "vendor=1") == context


def test_a_header_of_a_version_to_come_is_read_as_far_as_it_is_known() -> None:
    context = parse_traceparent(f"01-{TRACE}-{SPAN}-03-more")
    assert context == TraceContext(int(TRACE, 16), int(SPAN, 16), is_sampled=True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-1",
    ],
)
def test_what_is_no_context_is_none(text: str) -> None:
    assert parse_traceparent(text) is None


def test_span_ids_follow_from_their_parts() -> None:
    assert span_id_of(b"attempt", 1) == span_id_of(b"attempt", 1)
    assert len({span_id_of(b"attempt", 1), span_id_of(b"attempt", 2), span_id_of(b"command", 1)}) == 3


@given(st.integers(1, (1 << 128) - 1))
def test_all_or_no_traces_are_in_the_sample_at_the_ends_of_the_ratio(trace_id: int) -> None:
    assert is_in_sample(trace_id, 1.0)
    assert not is_in_sample(trace_id, 0.0)


def test_a_ratio_takes_its_part_of_the_traces() -> None:
    sampled = sum(is_in_sample(span_id_of(b"trace", number), 0.25) for number in range(4_000))
    assert 900 < sampled < 1_100
