"""Traces from callers through ingress, invocations, attempts and handlers to what these call, as a collector receives them.

What handlers are given holds on the real server, too; what is told of the way there differs (docs/reference/differences.md).
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from perdure.base.ids import parse_invocation_id
from tests.e2e.collector import TOKEN_HEADER, Collector, Received
from tests.e2e.endpoint import Endpoint
from tests.e2e.processes import eventually
from tests.e2e.suite import Suite, ours_only

CALLER_SPAN = "00f067aa0ba902b7"
COMMANDS = ["run charge", "sleep", "send Traced/notify", "call Ledger/{key}/book"]


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


@pytest.fixture(scope="module")
def handlers(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """Services that send spans of their own."""
    env = {"COLLECTOR_URL": collector.url("http") + "/v1/traces"}
    endpoint = Endpoint("tests.e2e.traced_services:app", tmp_path_factory.mktemp("handlers"), env=env)
    endpoint.start()
    yield endpoint
    endpoint.stop()


def traced_suite(collector: Collector, handlers: Endpoint, directory: Path, protocol: str) -> Iterator[Suite]:
    env = {
        "RESTATE_TRACING_ENDPOINT": collector.url("grpc"),
        "PERDURE_TRACING_ENDPOINT": collector.url(protocol),
        "PERDURE_TRACING_PROTOCOL": protocol,
        "PERDURE_TRACING_HEADERS": json.dumps({TOKEN_HEADER.title(): f"token of {protocol}"}),
    }
    suite = Suite(directory / "data", env=env)
    try:
        suite.start()
        suite.register(handlers.url)
        yield suite
    finally:
        suite.close()


@pytest.fixture(scope="module")
def over_grpc(collector: Collector, handlers: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    yield from traced_suite(collector, handlers, tmp_path_factory.mktemp("grpc"), "grpc")


@pytest.fixture(scope="module")
def over_http(collector: Collector, handlers: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    yield from traced_suite(collector, handlers, tmp_path_factory.mktemp("http"), "http")


@pytest.fixture(params=["grpc", "http"])
def suite(request: pytest.FixtureRequest) -> Suite:
    """A server that sends its spans over each of the two protocols."""
    return request.getfixturevalue(f"over_{request.param}")


def a_trace_of(tag: str) -> str:
    return tag.ljust(32, "0")


def sampled(tag: str) -> dict[str, str]:
    """Headers of a caller that is traced."""
    return {"traceparent": f"00-{a_trace_of(tag)}-{CALLER_SPAN}-01", "tracestate": "vendor=1"}


def handed(handlers: Endpoint, tag: str, handler: str) -> tuple[str, str, str]:
    """Return invocation id, trace id and span id as an attempt of a handler was given them."""
    name, invocation_id, traceparent = next(line.split() for line in handlers.effects(tag) if line.startswith(handler))
    assert name == handler
    version, trace_id, span_id, flags = traceparent.split("-")
    assert (version, flags) == ("00", "01")
    return invocation_id, trace_id, span_id


def only(spans: list[Received], name: str) -> Received:
    (span,) = [span for span in spans if span.name == name]
    return span


def test_handlers_are_given_spans_of_their_callers_trace(over_grpc: Suite, handlers: Endpoint, tag: str) -> None:
    over_grpc.result("/Traced/order", tag, headers=sampled(tag))
    _, trace_id, span_id = handed(handlers, tag, "order")
    _, nested_trace_id, nested_span_id = handed(handlers, tag, "book")
    assert {trace_id, nested_trace_id} == {a_trace_of(tag)}
    assert len({span_id, nested_span_id, CALLER_SPAN}) == 3


def test_what_is_sent_begins_a_trace_with_its_own_id(over_grpc: Suite, handlers: Endpoint, tag: str) -> None:
    over_grpc.result("/Traced/order", tag, headers=sampled(tag))
    eventually(lambda: any(line.startswith("notify") for line in handlers.effects(tag)), "the notification")
    invocation_id, trace_id, _ = handed(handlers, tag, "notify")
    assert trace_id == parse_invocation_id(invocation_id)[8:].hex()


@ours_only
def test_a_call_that_nobody_traced_begins_a_trace_with_its_own_id(over_grpc: Suite, handlers: Endpoint, tag: str) -> None:
    over_grpc.result("/Traced/notify", tag)
    invocation_id, trace_id, _ = handed(handlers, tag, "notify")
    assert trace_id == parse_invocation_id(invocation_id)[8:].hex()


@ours_only
def test_a_call_with_a_nested_call_is_one_connected_trace(suite: Suite, collector: Collector, tag: str) -> None:
    assert suite.result("/Traced/order", tag, headers=sampled(tag)) == 5
    names = ["ingress Traced/order", "invocation Traced/order", "invocation Ledger/{key}/book", "handler order", "handler book"]
    spans = collector.wait_for(a_trace_of(tag), *names, *COMMANDS)
    ids = {span.span_id for span in spans} | {CALLER_SPAN}
    assert len(ids) == len(spans) + 1
    assert {span.name for span in spans if span.parent_id not in ids} == set()
    assert {span.service for span in spans} == {"perdure-ingress", "perdure-invoker", "handlers"}
    assert {span.trace_state for span in spans} == {"vendor=1"}
    parents = {span.span_id: span.name for span in spans} | {CALLER_SPAN: "caller"}
    assert {span.name: parents[span.parent_id] for span in spans if span.name in names} == {
        "ingress Traced/order": "caller",
        "invocation Traced/order": "ingress Traced/order",
        "invocation Ledger/{key}/book": "call Ledger/{key}/book",
        "handler order": "invocation-attempt Traced/order",
        "handler book": "invocation-attempt Ledger/{key}/book",
    }
    assert {parents[only(spans, name).parent_id] for name in COMMANDS} == {"invocation Traced/order"}


@ours_only
def test_messages_to_the_collector_carry_the_headers_of_the_setting(suite: Suite, collector: Collector, tag: str) -> None:
    suite.result(f"/Ledger/{tag}/book", 1, headers=sampled(tag))
    collector.wait_for(a_trace_of(tag), "ingress Ledger/{key}/book")
    assert collector.tokens <= {("grpc", "token of grpc"), ("http", "token of http")}


@ours_only
def test_what_is_sent_begins_a_trace_that_is_linked_to_its_sender(
    over_grpc: Suite, collector: Collector, handlers: Endpoint, tag: str
) -> None:
    over_grpc.result("/Traced/order", tag, headers=sampled(tag))
    send = only(collector.wait_for(a_trace_of(tag), "send Traced/notify"), "send Traced/notify")
    eventually(lambda: any(line.startswith("notify") for line in handlers.effects(tag)), "the notification")
    _, trace_id, _ = handed(handlers, tag, "notify")
    invocation = only(collector.wait_for(trace_id, "invocation Traced/notify"), "invocation Traced/notify")
    assert invocation.parent_id == ""
    assert invocation.links == ((send.trace_id, send.span_id),)
    assert invocation.attributes["restate.invocation.id"] == send.attributes["restate.callee.invocation.id"]


@ours_only
def test_a_caller_that_is_not_sampled_is_not_told_of_but_handlers_know(
    over_grpc: Suite, collector: Collector, handlers: Endpoint, tag: str
) -> None:
    trace_id, marker = a_trace_of(f"{tag}a"), f"{tag}b"
    over_grpc.result("/Traced/notify", tag, headers={"traceparent": f"00-{trace_id}-{CALLER_SPAN}-00"})
    assert re.fullmatch(f"notify inv_1[^ ]* 00-{trace_id}-[0-9a-f]{{16}}-00", handlers.effects(tag)[0])
    over_grpc.result("/Traced/notify", marker, headers=sampled(marker))
    collector.wait_for(a_trace_of(marker), "ingress Traced/notify", "invocation Traced/notify")
    assert collector.of(trace_id) == []


@ours_only
def test_an_invocation_is_one_span_though_its_invoker_is_killed(
    over_grpc: Suite, collector: Collector, handlers: Endpoint, tag: str
) -> None:
    invocation_id = over_grpc.send("/Traced/wait", tag, headers=sampled(tag))
    handlers.wait_for_effect_count(f"{tag}-awakeable", 1)
    over_grpc.kill("invoker")
    handlers.wait_for_effect_count(f"{tag}-awakeable", 2)
    awakeable_id = handlers.effects(f"{tag}-awakeable")[-1]
    assert over_grpc.call(f"/restate/awakeables/{awakeable_id}/resolve", "done").status_code == 202
    assert over_grpc.attach(invocation_id).json() == "done"
    spans = collector.wait_for(a_trace_of(tag), "ingress Traced/wait", "invocation Traced/wait", "run once", "awakeable")
    invocation = only(spans, "invocation Traced/wait")
    assert invocation.parent_id == only(spans, "ingress Traced/wait").span_id
    first, last = (effect.split("-")[2] for effect in handlers.effects(tag) if effect.startswith("wait"))
    assert first != last
    attempts = [span for span in spans if span.name.startswith("invocation-attempt")]
    assert [(span.span_id, span.parent_id) for span in attempts if span.span_id != first] == [(last, invocation.span_id)]
    assert len({(span.span_id, span.start_ns, span.end_ns) for span in spans if span.name == "run once"}) == 1


def test_sql_tells_the_trace_of_an_invocation(over_grpc: Suite, tag: str) -> None:
    invocation_id = over_grpc.send("/Traced/notify", tag, headers=sampled(tag))
    found = over_grpc.rows(f"select trace_id from sys_invocation where id = '{invocation_id}'")
    assert found == [{"trace_id": a_trace_of(tag)}]
