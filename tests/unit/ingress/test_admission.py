"""From the parts of a call to the message for its owner."""

import pytest

from perdure.base.ids import idempotent_invocation_id, partition_key_of_key, workflow_invocation_id
from perdure.bus.messages import Invoke
from perdure.model.deployment import InputRules, OutputRules
from perdure.model.target import HandlerType, Target
from services.ingress.admission import admit, check_callable, check_scope, content_type_matches, read_headers, ulid_text
from services.ingress.directory import input_rules, output_types
from services.ingress.refusals import Refused
from services.ingress.routes import Call, normalise, route_of
from tests.unit.ingress.builders import NOW_MS, CountingRandom, a_directory

DIRECTORY = a_directory()
DAY_MS = 86_400_000
JSON = (b"content-type", b"application/json")


def admitted(target: str, body: bytes = b"1", headers: list[tuple[bytes, bytes]] | None = None) -> Invoke:
    path, _, query = target.partition("?")
    call = route_of(normalise(path.encode()), DIRECTORY)
    assert isinstance(call, Call)
    check_callable(call.entry)
    read = read_headers(headers if headers is not None else [JSON], call.entry)
    check_scope(call)
    return admit(call, read, body, path.encode(), query.encode(), now_ms=NOW_MS, random=CountingRandom(), request_id=7)


def refused(target: str, body: bytes = b"1", headers: list[tuple[bytes, bytes]] | None = None) -> tuple[int, str]:
    with pytest.raises(Refused) as refusal:
        admitted(target, body, headers)
    return refusal.value.status, refusal.value.message


def test_a_call_becomes_an_invoke() -> None:
    invoke = admitted("/Svc/echo?x=1&y=%20z", b'"a"', [(b"host", b"h"), JSON, (b"x-a", b"1"), (b"x-a", b"2"), (b"cookie", b"c")])
    assert invoke.request_id == 7
    assert invoke.wants_result
    assert invoke.target == Target("Svc", "echo", None, HandlerType.PLAIN)
    assert invoke.body == b'"a"'
    assert invoke.headers[0] == ("x-restate-ingress-path", "/Svc/echo?x=1&y=%20z")
    assert sorted(invoke.headers[1:]) == [("content-type", "application/json"), ("cookie", "c"), ("x-a", "1")]
    assert (invoke.completion_retention_ms, invoke.journal_retention_ms) == (DAY_MS, DAY_MS)
    assert invoke.execution_at_ms is None


def test_headers_of_the_ingress_are_not_forwarded() -> None:
    own = [(b"host", b"h"), (b"connection", b"close"), (b"idempotency-key", b"k"), (b"idempotency-expires", b"x"), JSON]
    assert [name for name, _ in admitted("/Svc/echo", headers=own).headers] == ["x-restate-ingress-path", "content-type"]


def test_a_client_header_named_like_the_path_comes_after_it() -> None:
    invoke = admitted("/Svc/echo", headers=[(b"x-restate-ingress-path", b"mine"), JSON])
    assert invoke.headers[0] == ("x-restate-ingress-path", "/Svc/echo")
    assert ("x-restate-ingress-path", "mine") in invoke.headers[1:]


def test_a_service_call_without_key_gets_a_random_one() -> None:
    first, second = admitted("/Svc/echo"), admitted("/Svc/echo/send")
    assert first.is_fresh
    assert first.idempotency_key is not None
    assert len(first.idempotency_key) == 26
    assert first.idempotency_key == ulid_text(first.invocation_id[8:])
    assert second.is_fresh


def test_a_given_key_decides_the_id() -> None:
    invoke = admitted("/Obj/k/add", headers=[JSON, (b"idempotency-key", b"i")])
    assert invoke.invocation_id == idempotent_invocation_id("Obj", "k", "add", "i")
    assert (invoke.idempotency_key, invoke.is_fresh) == ("i", False)


def test_a_key_that_the_store_cannot_hold_is_refused() -> None:
    assert admitted(f"/Obj/{'k' * 4_000}/add").target.key == "k" * 4_000
    assert refused(f"/Obj/{'k' * 4_001}/add") == (400, "the key has more than 4000 bytes")


def test_an_empty_key_is_a_key() -> None:
    invoke = admitted("/Svc/echo", headers=[JSON, (b"idempotency-key", b"")])
    assert invoke.invocation_id == idempotent_invocation_id("Svc", None, "echo", "")


def test_a_run_is_the_one_of_its_workflow() -> None:
    invoke = admitted("/Wf/k/run")
    assert invoke.invocation_id == workflow_invocation_id("Wf", "k")
    assert (invoke.idempotency_key, invoke.is_fresh) == (None, False)
    assert invoke.target.is_workflow


def test_a_shared_workflow_call_is_random_within_the_keys_partition() -> None:
    invoke = admitted("/Wf/k/peek", b"", [])
    assert invoke.invocation_id[:8] == partition_key_of_key("k").to_bytes(8, "big")
    assert (invoke.idempotency_key, invoke.is_fresh) == (None, True)


def test_a_run_takes_no_idempotency_key() -> None:
    status, message = refused("/Wf/k/run", headers=[JSON, (b"idempotency-key", b"i")])
    assert (status, message.split(".")[0]) == (400, "cannot use the idempotency key with workflow handlers")


def test_a_ulid_is_written_in_crockfords_alphabet() -> None:
    assert ulid_text(bytes(16)) == "0" * 26
    assert ulid_text(bytes.fromhex("01563e3ab5d3d6764c61efb99302bd5b")) == "01ARZ3NDEKTSV4RRFFQ69G5FAV"


@pytest.mark.parametrize("target", ["/Svc/hidden", "/Secret/hello", "/Svc/hidden/send"])
def test_private_handlers_are_refused(target: str) -> None:
    assert refused(target) == (400, "the invoked service is not public")


INPUT = "input validation error: "
EMPTY = "Expected body and content-type to be empty, but wasn't with content-type "
RULES = {
    "absent": None,
    "empty": InputRules(),
    "nothing": InputRules(required=True),
    "json": InputRules(content_type="application/json", json_schema={}),
    "json required": InputRules(required=True, content_type="application/json", json_schema={}),
    "any": InputRules(content_type="*/*"),
    "text": InputRules(required=True, content_type="text/*"),
}
INPUTS: list[tuple[str, str | None, bytes, str | None]] = [
    ("absent", None, b"", None),
    ("absent", "text/plain", b"x", None),
    ("empty", None, b"", None),
    ("empty", None, b"x", EMPTY + "'None'"),
    ("empty", "application/json", b"", EMPTY + "'Some(\"application/json\")'"),
    ("nothing", None, b"", "Bad configuration"),
    ("json", None, b"", None),
    ("json", "application/json", b"1", None),
    ("json", "application/json; charset=utf-8", b"not json", None),
    ("json", " application/json ;x", b"1", None),
    ("json", "application/json", b"", "Empty body not allowed"),
    ("json", None, b"1", "Empty content-type"),
    ("json", "text/plain", b"1", "Content-type 'text/plain' does not match 'application/json'"),
    ("json", "Application/JSON", b"1", "Content-type 'Application/JSON' does not match 'application/json'"),
    ("json required", None, b"", "Empty content-type"),
    ("any", "whatever", b"x", None),
    ("any", "", b"x", None),
    ("any", None, b"x", "Empty content-type"),
    ("any", "a/b", b"", None),
    ("text", "text/html", b"", None),
    ("text", "image/png", b"", "Content-type 'image/png' does not match 'text/*'"),
]


@pytest.mark.parametrize(("name", "content_type", "body", "reason"), INPUTS)
def test_input_rules_decide_about_body_and_content_type(name: str, content_type: str | None, body: bytes, reason: str | None) -> None:
    from services.ingress.admission import check_input

    rules = input_rules(RULES[name])
    raw = None if content_type is None else content_type.encode()
    if reason is None:
        check_input(rules, raw, has_body=bool(body))
        return
    with pytest.raises(Refused) as refusal:
        check_input(rules, raw, has_body=bool(body))
    assert refusal.value.status == 400
    assert refusal.value.message.startswith(INPUT + reason)


def test_content_types_match_by_case() -> None:
    assert content_type_matches("text/plain", "text/*")
    assert not content_type_matches("Text/plain", "text/*")
    assert not content_type_matches("text", "application/*")


@pytest.mark.parametrize(
    ("rules", "types"),
    [
        (None, (b"application/json", None)),
        (OutputRules(content_type="text/plain"), (b"text/plain", None)),
        (OutputRules(content_type="text/plain", set_content_type_if_empty=True), (b"text/plain", b"text/plain")),
        (OutputRules(), (None, None)),
    ],
)
def test_output_rules_decide_the_content_type(rules: OutputRules | None, types: tuple[bytes | None, bytes | None]) -> None:
    assert output_types(rules) == types


def test_a_delay_sets_the_execution_time_of_a_send() -> None:
    assert admitted("/Svc/echo/send?delay=2s").execution_at_ms == NOW_MS + 2_000
    assert admitted("/Svc/echo/send?DELAY=0&delay=x").execution_at_ms == NOW_MS
    assert admitted("/Svc/echo/send?delay=1h+30m").execution_at_ms == NOW_MS + 5_400_000


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("/Svc/echo?delay=0s", "cannot use the delay query parameter with calls. The delay is supported only with sends"),
        ("/Svc/echo/send?delay=", "bad delay query parameter, must be a ISO8601 duration: an empty string"),
        ("/Svc/echo?delay=x", "bad delay query parameter, must be a ISO8601 duration: "),
        ("/Svc/echo?limit-key=a", "limit-key requires a scope to be set"),
        ("/Svc/echo?limit-key=a/b/c", "invalid limit-key: too many path components in the given limit-key (max 2)"),
        ("/Svc/echo?limit-key=/", "invalid limit-key: invalid limit-key component: value cannot be empty"),
        ("/Svc/echo?limit-key=a//", "invalid limit-key: invalid limit-key component: value cannot be empty"),
        ("/Svc/echo?limit-key=" + "a" * 37, "invalid limit-key: invalid limit-key component: value too long: 37 bytes (max 36)"),
        ("/restate/scope/s1/call/Svc/echo", "scoped invocations require vqueues to be enabled"),
        ("/restate/scope/s%21/call/Svc/echo", "bad scope value: value contains characters outside the allowed set [a-zA-Z0-9_.-]"),
        ("/restate/scope//call/Svc/echo", "bad scope value: value cannot be empty"),
    ],
)
def test_parameters_are_refused(target: str, message: str) -> None:
    status, text = refused(target)
    assert status == 400
    assert text.startswith(message)


def test_an_empty_limit_key_is_none() -> None:
    assert admitted("/Svc/echo?limit-key=").wants_result


def test_the_limit_key_of_the_header_wins() -> None:
    headers = [JSON, (b"x-restate-limit-key", b"a b")]
    assert refused("/Svc/echo?limit-key=", headers=headers)[1].startswith("invalid limit-key: invalid limit-key component")
    assert ("x-restate-limit-key", "") in admitted("/Svc/echo?limit-key=a", headers=[JSON, (b"x-restate-limit-key", b"")]).headers


@pytest.mark.parametrize("name", ["x-a", "idempotency-key", "content-type", "x-restate-limit-key"])
def test_header_values_must_be_ascii(name: str) -> None:
    headers = [JSON] if name != "content-type" else []
    expected = (400, f"bad header {name}: ToStrError {{ _priv: () }}")
    assert refused("/Svc/echo", headers=[*headers, (name.encode(), b"\xff")]) == expected


def test_the_input_is_judged_before_the_delay_and_the_delay_before_other_headers() -> None:
    bad_header = (b"x-a", b"\xff")
    assert refused("/Svc/echo/send?delay=x", b"", [JSON, bad_header])[1].startswith("input validation error")
    assert refused("/Svc/echo/send?delay=x", b"1", [JSON, bad_header])[1].startswith("bad delay")
    assert refused("/Svc/echo?delay=1s", b"1", [JSON, bad_header])[1].startswith("bad header")


def test_a_valid_trace_context_travels_and_is_forwarded() -> None:
    context = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    invoke = admitted("/Svc/echo", headers=[JSON, (b"traceparent", context.encode())])
    assert invoke.traceparent == context
    assert ("traceparent", context) in invoke.headers
    assert admitted("/Svc/echo", headers=[JSON, (b"traceparent", b"00-1-2-01")]).traceparent is None


def test_the_vendors_part_of_a_trace_context_travels_only_with_the_context() -> None:
    context, state = (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"), (b"tracestate", b"vendor=1")
    assert admitted("/Svc/echo", headers=[JSON, context, state]).tracestate == "vendor=1"
    assert admitted("/Svc/echo", headers=[JSON, state]).tracestate == ""
