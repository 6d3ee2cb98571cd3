"""Trace contexts between header and number, and ids that follow from what is known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import TraceState

from perdure.base.trace import TraceContext, is_in_sample, known_part_of, parse_traceparent, span_id_of, tracestate_of

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


def test_what_versions_to_come_add_is_left_out() -> None:
    assert known_part_of(f"01-{TRACE}-{SPAN}-03-{'x' * 1_000}") == f"00-{TRACE}-{SPAN}-03"
    assert known_part_of(f"00-{TRACE}-{SPAN}-01") == f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize("text", ["vendor=1", "a=1,b=2", "tenant@vendor=x y", ",".join(f"k{number}=v" for number in range(32))])
def test_a_tracestate_is_passed_on_and_opentelemetry_reads_it(text: str) -> None:
    assert tracestate_of(text) == text
    assert TraceState.from_header([text]).to_header() == text


def test_space_and_empty_members_of_a_tracestate_are_left_out() -> None:
    assert tracestate_of(" a=1 ,, b=2\t") == "a=1,b=2"


@pytest.mark.parametrize(
    "text", ["", "garbage", "A=1", "a=1,a=2", "a=1,b", "a=ä", "a=" + "x" * 512, ",".join(f"k{number}=v" for number in range(33))]
)
def test_a_tracestate_that_breaks_the_rules_is_left_out(text: str) -> None:
    assert tracestate_of(text) == ""


@given(st.text(alphabet="ab1=,@ \t-_*/", max_size=30))
def test_nothing_is_passed_on_that_opentelemetry_does_not_read_whole(text: str) -> None:
    state = tracestate_of(text)
    assert TraceState.from_header([state]).to_header() == state


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
