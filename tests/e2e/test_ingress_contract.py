"""The ingress request by request: a table of what is sent and what must come back, and the short dialogues that need several.

Every row holds for the real server as well (`PERDURE_TEST_PEER=restate`, see `suite.py`). The services are in `ingress_services.py`.
"""

import http.client
import json
import re
import uuid
from typing import Any, Final, NamedTuple

import httpx
import pytest

from tests.e2e.processes import eventually
from tests.e2e.suite import Suite

JSON: Final = {"content-type": "application/json"}
VARY: Final = "origin, access-control-request-method, access-control-request-headers"
SHORT: Final = "bad path, expected either /:service-name/:handler or /:object-name/:object-key/:handler"
LONG: Final = (
    "bad path, expected /restate/call/:service/:handler, /restate/send/:service/:handler, "
    "/restate/scope/:scope/call/:service/:handler, /restate/attach/:invocation_id, /restate/output/:invocation_id, or /restate/lookup"
)
INVOCATION: Final = (
    "bad path, expected either /restate/invocation/:invocation_id/output or /restate/invocation/:invocation_id/attach "
    "or /restate/invocation/:invocation_target/:idempotency_key/output or /restate/invocation/:invocation_target/:idempotency_key/attach"
)
WORKFLOW: Final = (
    "bad path, expected either /restate/workflow/:workflow_name/:workflow_key/output "
    "or /restate/workflow/:workflow_name/:workflow_key/attach"
)
AWAKEABLE: Final = "bad path, expected either /restate/awakeables/:id/resolve or /restate/awakeables/:id/reject"
UNKNOWN: Final = "inv_1gf3qgbvqBGZ3Wg62ENp11QEVhGegZNT7N"
ID: Final = re.compile(r"inv_1[0-9a-zA-Z]{33}")
SCOPE_CHARACTERS: Final = "value contains characters outside the allowed set [a-zA-Z0-9_.-]"
EMPTY_EXPECTED: Final = "input validation error: Expected body and content-type to be empty, but wasn't with content-type "
NOT_UTF8: Final = "bad path, cannot decode key: FromUtf8Error { bytes: [255], error: Utf8Error { valid_up_to: 0, error_len: Some(1) } }"
DELAY: Final = "bad delay query parameter, must be a ISO8601 duration: "


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Ingress:
    """Sends requests to the byte as they are written: no client library tidies up the path."""

    def __init__(self, suite: Suite) -> None:
        self._port = suite.ingress_port

    def __call__(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.request(method, path, body or None, headers or {})
            response = connection.getresponse()
            return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
        finally:
            connection.close()


@pytest.fixture
def ingress(contract_services: Suite) -> Ingress:
    return Ingress(contract_services)


def error(code: int, message: str) -> tuple[int, str, str]:
    return code, message, "ingress"


def failure(code: int, message: str) -> tuple[int, str, str]:
    return code, message, "invocation"


def error_of(reply: Reply) -> tuple[int, str, str]:
    """Return code, message and source of an error, after checking what all errors have in common."""
    assert reply.headers["content-type"] == "application/json", reply
    assert reply.headers["x-restate-error-source"] == reply.json["source"]
    assert ("x-restate-id" in reply.headers) == (reply.json["source"] == "invocation")
    return reply.json["code"], reply.json["message"], reply.json["source"]


# What answers with a result: method, path, headers, body; result, content type.
RESULTS: Final = [
    ("POST", "/Contract/echo", JSON, b'"a"', b'"a"', "application/json"),
    ("GET", "/Contract/echo", JSON, b'"a"', b'"a"', "application/json"),
    ("POST", "//Contract/echo//", JSON, b'"a"', b'"a"', "application/json"),
    ("POST", "/restate/call/Contract/echo", JSON, b'"a"', b'"a"', "application/json"),
    ("POST", "/Contract/echo", {"content-type": "application/json; charset=x"}, b'"a"', b'"a"', "application/json"),
    ("POST", "/Contract/echo?x=1&limit-key=", JSON, b'"a"', b'"a"', "application/json"),
    ("POST", "/Contract/empty", {}, b"", b"", None),
    ("GET", "/Contract/empty", {}, b"", b"", None),
    ("POST", "/Contract/raw", {"content-type": "whatever"}, b"\x00\xff", b"\x00\xff", "text/plain"),
    ("POST", "/Contract/raw", {}, b"", b"", None),
    ("POST", "/ContractObject/k/key", {}, b"", b'"k"', "application/json"),
    ("POST", "/ContractObject//key", {}, b"", b'""', "application/json"),
    ("POST", "/ContractObject/a%2Fb/key", {}, b"", b'"a/b"', "application/json"),
    ("POST", "/ContractObject/a+b/key", {}, b"", b'"a+b"', "application/json"),
    ("POST", "/ContractObject/%2/key", {}, b"", b'"%2"', "application/json"),
    ("POST", "/ContractObject/%zz/key", {}, b"", b'"%zz"', "application/json"),
    ("POST", "/ContractObject/%C3%A4/key", {}, b"", b'"\\u00e4"', "application/json"),
    ("POST", "/restate/call/ContractObject/a%20b/key", {}, b"", b'"a b"', "application/json"),
    ("POST", "/ContractWorkflow/some/shared", {}, b"", b'"some"', "application/json"),
    ("POST", "/Contract/path?x=1&y=%20z", {}, b"", b'"/Contract/path?x=1&y=%20z"', "application/json"),
    ("POST", "//Contract/path/?x", {}, b"", b'"/Contract/path?x"', "application/json"),
]

# What is refused: method, path, headers, body; error.
ERRORS: Final = [
    ("POST", "/", {}, b"", error(400, "bad path: /")),
    ("POST", "//", {}, b"", error(400, "bad path: /")),
    ("POST", "/Contract/", {}, b"", error(400, "bad path: /Contract")),
    ("GET", "/restate", {}, b"", error(400, "bad path: /restate")),
    ("GET", "/openapi", {}, b"", error(400, "bad path: /openapi")),
    ("GET", "/openapi/x", {}, b"", error(404, "not found")),
    ("POST", "/a/b/c/d/e/f/g/h", {}, b"", error(400, "bad path: /a/b/c/d/e/f/g/h")),
    ("POST", "/Nope/x", {}, b"", error(404, "service 'Nope' not found, make sure to register the service before calling it.")),
    ("PATCH", "/Nope/x", {}, b"", error(404, "service 'Nope' not found, make sure to register the service before calling it.")),
    (
        "POST",
        "/Contrac%74/echo",
        {},
        b"",
        error(404, "service 'Contrac%74' not found, make sure to register the service before calling it."),
    ),
    (
        "POST",
        "/Contract/nope",
        {},
        b"",
        error(
            404,
            "the service 'Contract' exists, but the handler 'nope' was not found, "
            "check that the handler exists in the latest registered service version.",
        ),
    ),
    ("POST", "/Contract/nope/foo", {}, b"", error(400, SHORT)),
    ("POST", "/Contract//echo", {}, b"", error(400, SHORT)),
    ("POST", "/Contract/echo/send/x", {}, b"", error(400, SHORT)),
    ("POST", "/ContractObject/key", {}, b"", error(400, SHORT)),
    ("POST", "/ContractObject/%ff/key", {}, b"", error(400, NOT_UTF8)),
    ("POST", "/restate/call", {}, b"", error(400, LONG)),
    ("POST", "/restate/call/Contract", {}, b"", error(400, LONG)),
    ("POST", "/restate/call/Contract/echo/send", {}, b"", error(400, LONG)),
    ("POST", "/restate/send/ContractObject/k", {}, b"", error(400, LONG)),
    ("POST", "/restate/scope/s/foo/Contract/echo", {}, b"", error(400, LONG)),
    ("GET", "/restate/attach/a/b", {}, b"", error(400, LONG)),
    ("POST", "/restate/scope/s/call/Contract/echo", JSON, b'"a"', error(400, "scoped invocations require vqueues to be enabled")),
    ("POST", "/restate/scope/s%21/call/Contract/echo", JSON, b'"a"', error(400, f"bad scope value: {SCOPE_CHARACTERS}")),
    ("POST", "/Contract/echo?limit-key=a", JSON, b'"a"', error(400, "limit-key requires a scope to be set")),
    (
        "POST",
        "/Contract/echo?limit-key=a/b/c",
        JSON,
        b'"a"',
        error(400, "invalid limit-key: too many path components in the given limit-key (max 2)"),
    ),
    ("POST", "/restate/nope", {}, b"", error(404, "not found")),
    ("POST", "/restate/cancel/x", {}, b"", error(404, "not found")),
    ("PUT", "/Contract/echo", {}, b"", error(405, "method not allowed")),
    ("DELETE", "/restate/call/Contract/echo", {}, b"", error(405, "method not allowed")),
    ("POST", "/restate/health", {}, b"", error(405, "method not allowed")),
    ("POST", "/restate/health/x", {}, b"", error(405, "method not allowed")),
    ("GET", "/restate/attach/", {}, b"", error(405, "method not allowed")),
    ("GET", "/restate/lookup", {}, b"", error(405, "method not allowed")),
    ("POST", f"/restate/output/{UNKNOWN}", {}, b"", error(405, "method not allowed")),
    ("PUT", "/restate/attach/xx", {}, b"", error(400, "bad invocation id 'xx': bad format")),
    ("GET", "/restate/attach/inv_1gf3", {}, b"", error(400, "bad invocation id 'inv_1gf3': bad length")),
    ("GET", "/restate/output/xx_1", {}, b"", error(400, "bad invocation id 'xx_1': unrecognized resource type: xx")),
    ("GET", "/restate/output/inv_2a", {}, b"", error(400, "bad invocation id 'inv_2a': unrecognized codec version")),
    ("GET", "/restate/output/dp_1a", {}, b"", error(400, "bad invocation id 'dp_1a': id doesn't match the expected type")),
    ("GET", f"/restate/output/{UNKNOWN}", {}, b"", error(404, "invocation not found")),
    ("GET", f"/restate/attach/{UNKNOWN}", {}, b"", failure(404, "not found")),
    ("GET", "/restate/invocation/x", {}, b"", error(400, INVOCATION)),
    ("GET", f"/restate/invocation/{UNKNOWN}/cancel", {}, b"", error(404, "not found")),
    ("GET", f"/restate/invocation/{UNKNOWN}/attach", {}, b"", failure(404, "not found")),
    ("GET", "/restate/invocation/Contract/h/k", {}, b"", error(400, INVOCATION)),
    ("GET", "/restate/invocation/Contract/h/unknown/output", {}, b"", error(404, "invocation not found")),
    ("GET", "/restate/invocation/ContractObject/k/h/output", {}, b"", error(400, INVOCATION)),
    ("GET", "/restate/workflow/ContractWorkflow/k", {}, b"", error(400, WORKFLOW)),
    ("GET", "/restate/workflow/ContractWorkflow/k/foo", {}, b"", error(404, "not found")),
    ("GET", "/restate/workflow/Nope/k/output", {}, b"", error(404, "invocation not found")),
    ("GET", "/restate/workflow/ContractWorkflow/unknown/attach", {}, b"", failure(404, "not found")),
    ("POST", "/restate/awakeables/foo", {}, b"", error(400, AWAKEABLE)),
    ("POST", "/restate/a/foo/bar", {}, b"", error(404, "not found")),
    ("GET", "/restate/awakeables/foo/resolve", {}, b"", error(405, "method not allowed")),
    ("POST", "/restate/awakeables/foo/resolve", {}, b"1", error(400, "bad awakeable id 'foo': bad format")),
    (
        "POST",
        "/restate/a/sign_1abc/reject",
        {},
        b"1",
        error(400, "bad awakeable id 'sign_1abc': id doesn't match the expected type"),
    ),
    ("POST", "/restate/a/prom_1abc/reject", {}, b"1", error(400, "bad awakeable id 'prom_1abc': bad length")),
    ("POST", "/restate/a/prom_1abx/reject", {}, b"1", error(400, "bad awakeable id 'prom_1abx': base62 decode error")),
    ("POST", "/restate/a/sign_2x/reject", {}, b"1", error(400, "bad awakeable id 'sign_2x': unrecognized codec version")),
    ("GET", "/restate/output/inv_", {}, b"", error(400, "bad invocation id 'inv_': bad length")),
    ("POST", "/Contract/hidden", {}, b"", error(400, "the invoked service is not public")),
    ("POST", "/ContractPrivate/hello", {}, b"", error(400, "the invoked service is not public")),
    (
        "POST",
        "/Contract/echo",
        {"content-type": "text/plain"},
        b'"a"',
        error(400, "input validation error: Content-type 'text/plain' does not match 'application/json'"),
    ),
    (
        "POST",
        "/Contract/echo",
        {"content-type": "Application/JSON"},
        b'"a"',
        error(400, "input validation error: Content-type 'Application/JSON' does not match 'application/json'"),
    ),
    ("POST", "/Contract/echo", {}, b'"a"', error(400, "input validation error: Empty content-type")),
    ("POST", "/Contract/echo", JSON, b"", error(400, "input validation error: Empty body not allowed")),
    ("POST", "/Contract/empty", JSON, b"", error(400, EMPTY_EXPECTED + "'Some(\"application/json\")'")),
    ("POST", "/Contract/empty", {}, b"x", error(400, EMPTY_EXPECTED + "'None'")),
    ("POST", "/Contract/empty", {"x-a": "\xff"}, b"", error(400, "bad header x-a: ToStrError { _priv: () }")),
    ("POST", "/Contract/empty", {"idempotency-key": "\xff"}, b"", error(400, "bad header idempotency-key: ToStrError { _priv: () }")),
    (
        "POST",
        "/Contract/empty?delay=0s",
        {},
        b"",
        error(400, "cannot use the delay query parameter with calls. The delay is supported only with sends"),
    ),
    (
        "POST",
        "/ContractWorkflow/k/run",
        {"idempotency-key": "i"},
        b"",
        error(
            400,
            "cannot use the idempotency key with workflow handlers. "
            "The handler invocation will already be idempotent by the workflow key itself.",
        ),
    ),
    ("POST", "/restate/lookup", {}, b'{"target":"invocation","invocationId":"inv_1"}', error(400, "bad invocation id 'inv_1': bad length")),
]


@pytest.mark.parametrize(("method", "path", "headers", "body", "result", "content_type"), RESULTS)
def test_a_request_is_answered_with_a_result(
    ingress: Ingress, method: str, path: str, headers: dict[str, str], body: bytes, result: bytes, content_type: str | None
) -> None:
    reply = ingress(method, path, body, headers)
    assert (reply.status, reply.body) == (200, result), reply
    assert reply.headers.get("content-type") == content_type
    assert ID.fullmatch(reply.headers["x-restate-id"])
    assert reply.headers["vary"] == VARY
    assert reply.headers["access-control-allow-credentials"] == "true"
    assert reply.headers["content-length"] == str(len(result))
    assert "date" in reply.headers
    assert "server" not in reply.headers
    assert "idempotency-expires" not in reply.headers


@pytest.mark.parametrize(("method", "path", "headers", "body", "expected"), ERRORS)
def test_a_request_is_answered_with_an_error(
    ingress: Ingress, method: str, path: str, headers: dict[str, str], body: bytes, expected: tuple[int, str, str]
) -> None:
    reply = ingress(method, path, body, headers)
    assert error_of(reply) == expected
    assert reply.status == expected[0]
    assert reply.headers["vary"] == VARY


@pytest.mark.parametrize("delay", ["", "abc", "1000", "1h30", "30s1m", "1month", "P1Y2M", "-1s", "5s+ago", "PT-1S", "1h,30m", "1.5d"])
def test_a_delay_that_is_no_duration_is_refused(ingress: Ingress, delay: str) -> None:
    code, message, source = error_of(ingress("POST", f"/Contract/empty/send?delay={delay}"))
    assert (code, source) == (400, "ingress")
    assert message.startswith(DELAY)


@pytest.mark.parametrize(
    "delay",
    ["0", "0s", "500us", "10ms", "1.5ms", "5+millis", "PT0.01S", "%2B5ms", "00:00:00", "1d", "1w", "1h+30m", "1h,+30m", "P1DT1H", "pt60s"],
)
def test_a_delayed_send_says_when_it_will_run(ingress: Ingress, delay: str) -> None:
    reply = ingress("POST", f"/Contract/empty/send?Delay={delay}")
    assert reply.status == 202
    assert list(reply.json) == ["invocationId", "executionTime", "status"]
    assert reply.json["status"] == "Accepted"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}000000Z", reply.json["executionTime"])
    assert reply.headers["x-restate-id"] == reply.json["invocationId"]


@pytest.mark.parametrize("path", ["/Contract/empty/send", "/restate/send/Contract/empty", "/ContractObject/k/key/send"])
def test_a_send_is_acknowledged(ingress: Ingress, path: str) -> None:
    reply = ingress("POST", path)
    assert (reply.status, reply.headers["content-type"]) == (202, "application/json")
    assert list(reply.json) == ["invocationId", "status"]
    assert reply.json["status"] == "Accepted"
    assert reply.headers["x-restate-id"] == reply.json["invocationId"]


@pytest.mark.parametrize(("code", "status"), [(418, 418), (400, 400), (500, 500), (599, 599), (200, 200), (99, 500), (1000, 500)])
def test_a_terminal_failure_decides_the_status(ingress: Ingress, code: int, status: int) -> None:
    reply = ingress("POST", "/Contract/fail", str(code).encode(), JSON)
    assert reply.status == status
    assert error_of(reply) == failure(code, "told to fail")


def test_a_terminal_failure_without_content_has_no_body(ingress: Ingress) -> None:
    reply = ingress("POST", "/Contract/fail", b"204", JSON)
    assert (reply.status, reply.body) == (204, b"")
    assert reply.headers["x-restate-error-source"] == "invocation"


def test_a_repeat_with_the_same_key_gets_the_stored_result(ingress: Ingress) -> None:
    headers = {**JSON, "idempotency-key": uuid.uuid4().hex}
    first = ingress("POST", "/Contract/echo", b'"first"', headers)
    repeat = ingress("POST", "/Contract/echo", b'"other"', headers)
    assert "idempotency-expires" not in first.headers
    assert (repeat.status, repeat.body) == (200, b'"first"')
    assert repeat.headers["x-restate-id"] == first.headers["x-restate-id"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?\+00:00", repeat.headers["idempotency-expires"])
    send = ingress("POST", "/Contract/echo/send", b'"other"', headers)
    assert (send.status, send.json["status"]) == (202, "PreviouslyAccepted")
    assert "executionTime" not in send.json


def test_the_result_of_a_key_can_be_fetched_in_every_form(ingress: Ingress) -> None:
    key = uuid.uuid4().hex
    first = ingress("POST", "/Contract/echo", b'"a"', {**JSON, "idempotency-key": key})
    invocation_id = first.headers["x-restate-id"]
    target = {"target": "idempotentInvocation", "service": "Contract", "handler": "echo", "idempotencyKey": key, "more": 1}
    lookup = ingress("POST", "/restate/lookup", json.dumps(target).encode())
    assert (lookup.status, lookup.json) == (200, {"invocationId": invocation_id})
    replies = [
        ingress("GET", f"/restate/{path}")
        for verb in ("attach", "output")
        for path in (f"{verb}/{invocation_id}", f"invocation/{invocation_id}/{verb}", f"invocation/Contract/echo/{key}/{verb}/more")
    ]
    replies += [ingress("POST", f"/restate/{verb}", json.dumps(target).encode()) for verb in ("attach", "output")]
    for reply in replies:
        assert (reply.status, reply.body) == (200, b'"a"')
        assert reply.headers["content-type"] == "application/json"
        assert reply.headers["x-restate-id"] == invocation_id
        assert "idempotency-expires" in reply.headers


def test_an_invocation_in_flight_is_not_ready_and_can_be_attached_to(ingress: Ingress) -> None:
    key = uuid.uuid4().hex
    sent = ingress("POST", "/Contract/wait/send", headers={"idempotency-key": key})
    output = ingress("GET", f"/restate/invocation/Contract/wait/{key}/output")
    assert output.status == 470
    assert error_of(output) == error(470, "the invocation exists but has not completed yet")
    attach = ingress("GET", f"/restate/attach/{sent.json['invocationId']}")
    assert (attach.status, attach.body) == (200, b'"waited"')
    assert "idempotency-expires" not in attach.headers, "it had to wait"


def test_a_repeated_send_keeps_the_first_time(ingress: Ingress) -> None:
    headers = {"idempotency-key": uuid.uuid4().hex}
    first = ingress("POST", "/Contract/empty/send?delay=1h", headers=headers)
    repeat = ingress("POST", "/Contract/empty/send?delay=5h", headers=headers)
    assert repeat.json == {**first.json, "status": "PreviouslyAccepted"}


def test_a_workflow_runs_once(ingress: Ingress) -> None:
    key = uuid.uuid4().hex
    first = ingress("POST", f"/ContractWorkflow/{key}/run")
    assert (first.status, first.body) == (200, b'"ran"')
    second = ingress("POST", f"/ContractWorkflow/{key}/run")
    assert error_of(second) == failure(409, "the workflow method was already invoked")
    assert second.headers["x-restate-id"] == first.headers["x-restate-id"]
    send = ingress("POST", f"/ContractWorkflow/{key}/run/send")
    assert (send.status, send.json["status"]) == (202, "PreviouslyAccepted")
    body = json.dumps({"target": "workflow", "workflowName": "ContractWorkflow", "workflowKey": key}).encode()
    for reply in (
        ingress("GET", f"/restate/workflow/ContractWorkflow/{key}/attach"),
        ingress("GET", f"/restate/workflow/ContractWorkflow/{key}/output"),
        ingress("POST", "/restate/output", body),
    ):
        assert (reply.status, reply.body) == (200, b'"ran"')
        assert "idempotency-expires" in reply.headers


@pytest.mark.parametrize(("verb", "body", "status"), [("resolve", b'"yes"', 200), ("reject", b"no", 500)])
def test_an_awakeable_is_completed_from_outside(ingress: Ingress, verb: str, body: bytes, status: int) -> None:
    key = uuid.uuid4().hex
    sent = ingress("POST", "/Contract/await_outside/send", json.dumps(key).encode(), JSON)
    awakeable = ingress("POST", f"/ContractObject/{key}/wait_for_awakeable").json
    for _ in range(2):
        completed = ingress("POST", f"/restate/awakeables/{awakeable}/{verb}", body)
        assert (completed.status, completed.body) == (202, b"")
        assert "content-type" not in completed.headers
    attach = ingress("GET", f"/restate/attach/{sent.json['invocationId']}")
    assert attach.status == status
    if verb == "resolve":
        assert attach.body == body
    else:
        assert error_of(attach) == failure(500, "no")


@pytest.mark.parametrize("awakeable", ["sign_1vWPLEbOzML2HhNWZ_khar2d7uXPq-XGBAAAAEQ", "prom_1NMyOAvDK2CcBjUH4Rmb7eGBp0DNNDnmsAAAAAQ"])
def test_an_awakeable_that_nobody_waits_for_is_accepted(ingress: Ingress, awakeable: str) -> None:
    assert ingress("POST", f"/restate/a/{awakeable}/resolve", b"1").status == 202


@pytest.mark.parametrize("body", [b"", b"{", b'{"target":"x"}', b'{"target":"workflow","workflowName":"a"}'])
@pytest.mark.parametrize(("verb", "what"), [("attach", "request"), ("output", "request"), ("lookup", "lookup")])
def test_a_body_that_names_no_target_is_an_error(ingress: Ingress, verb: str, what: str, body: bytes) -> None:
    code, message, source = error_of(ingress("POST", f"/restate/{verb}", body))
    assert (code, source) == (500, "ingress")
    assert message.startswith(f"cannot read body: invalid {what} body: ")


def test_the_id_of_a_target_in_a_scope_is_computed(ingress: Ingress) -> None:
    body = b'{"target":"workflow","workflowName":"W","workflowKey":"k","scope":"s"}'
    assert ingress("POST", "/restate/lookup", body).json == {"invocationId": "inv_11110Rzeqthr6iiIgdIhU9VDi41Jn1xWaN"}
    assert error_of(ingress("POST", "/restate/attach", body)) == failure(404, "not found")


def test_the_handler_sees_the_first_value_of_each_header(ingress: Ingress) -> None:
    own = {"idempotency-key": uuid.uuid4().hex, "idempotency-expires": "x", "X-A": "1", "cookie": "a=b", "authorization": "c"}
    seen = dict(ingress("GET", "/Contract/headers", headers=own).json)
    seen.pop("accept-encoding")
    assert seen == {"x-restate-ingress-path": "/Contract/headers", "x-a": "1", "cookie": "a=b", "authorization": "c"}


def test_head_is_refused_without_a_body(ingress: Ingress) -> None:
    reply = ingress("HEAD", "/Contract/echo")
    assert (reply.status, reply.body) == (405, b"")


def test_any_preflight_is_answered(ingress: Ingress) -> None:
    asked = {"origin": "http://a", "access-control-request-method": "POST", "access-control-request-headers": "a, b"}
    reply = ingress("OPTIONS", "/no/such/thing", headers=asked)
    assert (reply.status, reply.body) == (200, b"")
    assert {name: value for name, value in reply.headers.items() if name.startswith("access-control")} == {
        "access-control-allow-origin": "http://a",
        "access-control-allow-methods": "POST",
        "access-control-allow-headers": "a, b",
        "access-control-allow-credentials": "true",
    }


def test_the_origin_is_mirrored_on_results_and_errors(ingress: Ingress) -> None:
    for path in ("/Contract/empty", "/Nope/x"):
        assert ingress("POST", path, headers={"origin": "http://a"}).headers["access-control-allow-origin"] == "http://a"


def test_an_announced_body_that_is_too_large_is_refused_in_plain_text(ingress: Ingress) -> None:
    reply = ingress("POST", "/Contract/raw", headers={"content-type": "a/b", "content-length": "33554433"})
    assert (reply.status, reply.body) == (413, b"length limit exceeded")
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert "vary" not in reply.headers


@pytest.mark.parametrize("size", [524_289, 5_000_000])
def test_a_large_body_passes_unchanged_in_both_directions(ingress: Ingress, size: int) -> None:
    body = uuid.uuid4().bytes * (size // 16)
    reply = ingress("POST", "/Contract/raw", body, {"content-type": "a/b"})
    assert reply.status == 200
    assert reply.body == body


def test_http2_with_prior_knowledge_is_served_on_the_same_port(suite: Suite, ingress: Ingress) -> None:
    with httpx.Client(http1=False, http2=True) as client:
        reply = client.post(f"{suite.ingress_url}/Contract/echo", json="a")
        seen = client.get(f"{suite.ingress_url}/Contract/headers").json()
    assert (reply.http_version, reply.status_code, reply.json()) == ("HTTP/2", 200, "a")
    assert ID.fullmatch(reply.headers["x-restate-id"])
    assert "host" not in dict(seen)


def test_a_caller_that_leaves_does_not_stop_its_invocation(suite: Suite, ingress: Ingress) -> None:
    key = uuid.uuid4().hex
    caller = http.client.HTTPConnection("127.0.0.1", suite.ingress_port)
    caller.request("POST", "/Contract/wait", headers={"idempotency-key": key})
    eventually(lambda: ingress("GET", f"/restate/invocation/Contract/wait/{key}/output").status == 470, "the call is in flight")
    caller.close()
    attach = ingress("GET", f"/restate/invocation/Contract/wait/{key}/attach")
    assert (attach.status, attach.body) == (200, b'"waited"')


def test_the_openapi_document_of_a_service_names_paths_that_work(suite: Suite, ingress: Ingress) -> None:
    document = suite.http.get(f"{suite.admin_url}/services/ContractWorkflow/openapi").json()
    assert (document["openapi"], document["info"]["title"]) == ("3.1.0", "ContractWorkflow")
    assert {(path, method): set(item[method]["responses"]) for path, item in document["paths"].items() for method in item} == {
        ("/restate/call/ContractWorkflow/{key}/run", "post"): {"200", "default"},
        ("/restate/call/ContractWorkflow/{key}/shared", "post"): {"200", "default"},
        ("/restate/send/ContractWorkflow/{key}/run", "post"): {"200", "202", "default"},
        ("/restate/send/ContractWorkflow/{key}/shared", "post"): {"200", "202", "default"},
        ("/restate/workflow/ContractWorkflow/{key}/attach", "get"): {"200", "404", "default"},
        ("/restate/workflow/ContractWorkflow/{key}/output", "get"): {"200", "404", "470", "default"},
    }
    key = uuid.uuid4().hex
    for path, item in document["paths"].items():
        for method in item:
            assert ingress(method.upper(), path.replace("{key}", key)).status in {200, 202, 409}
    assert suite.http.get(f"{suite.admin_url}/services/Nope/openapi").status_code == 404


def test_health_names_all_services(ingress: Ingress) -> None:
    reply = ingress("GET", "/restate/health")
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    assert {"Contract", "ContractObject", "ContractWorkflow", "ContractPrivate"} <= set(reply.json["services"])
