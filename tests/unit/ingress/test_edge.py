"""The whole application behind ASGI, with an owner that answers as told. Texts were compared with the real server."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from perdure.base.ids import (
    InvocationId,
    format_awakeable_id,
    format_invocation_id,
    idempotent_invocation_id,
    parse_invocation_id,
    scoped_idempotent_invocation_id,
    scoped_workflow_invocation_id,
    workflow_invocation_id,
)
from perdure.base.limits import BUS_BODY_BYTES_MAX
from perdure.bus.messages import (
    Accepted,
    Attach,
    Completed,
    GetOutput,
    Invoke,
    NotFound,
    NotReady,
    Overloaded,
    OwnerReply,
    OwnerRequest,
    SendSignalTo,
)
from perdure.model.result import Failure, Success
from perdure.model.target import HandlerType, Target
from perdure.sim.loop import VirtualLoop
from services.ingress.directory import Directory
from tests.unit.ingress.builders import NOW_MS, Answer, Ingress, Owner

ID = "inv_1gf3qgbvqBGZ3Wg62ENp11QEVhGegZNT7N"
JSON = {"content-type": "application/json"}
VARY = "origin, access-control-request-method, access-control-request-headers"


def run(scenario: Callable[[Ingress], Awaitable[None]], owner: Owner | None = None, **options: int) -> None:
    async def main() -> None:
        ingress = await Ingress(owner, **options).start()
        await scenario(ingress)
        await ingress.stop()

    VirtualLoop().run(main())


def exchange(
    method: str,
    target: str,
    body: bytes | list[bytes] = b"",
    *,
    headers: dict[str, str] | None = None,
    owner: Owner | None = None,
    **options: int,
) -> tuple[Answer, list[OwnerRequest]]:
    """Return the answer to one request, and what the owner was asked."""
    answers: list[Answer | None] = []
    asked: list[OwnerRequest] = []

    async def scenario(ingress: Ingress) -> None:
        answers.append(await ingress.request(method, target, body, headers=headers))
        asked.extend(ingress.asked)

    run(scenario, owner, **options)
    (answer,) = answers
    assert answer is not None
    return answer, asked


def completing(result: Success | Failure, expires_at_ms: int | None = None, target: Target | None = None) -> Owner:
    return lambda request: Completed(request.request_id, result, expires_at_ms, None, target)


def accepting(*, is_new: bool = True, execution_at_ms: int | None = None) -> Owner:
    return lambda request: Accepted(request.request_id, execution_at_ms, is_new)


def error_of(answer: Answer) -> tuple[int, str, str]:
    """Return code, message and source, after checking that headers and body agree."""
    body = json.loads(answer.body)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-restate-error-source"] == body["source"]
    assert answer.headers["content-length"] == str(len(answer.body))
    assert list(body) == [name for name in ("code", "message", "metadata", "source") if name in body]
    return body["code"], body["message"], body["source"]


def test_a_call_is_answered_with_its_result() -> None:
    answer, (asked,) = exchange("POST", "/Svc/echo", b'"a"', headers=JSON, owner=completing(Success(b'"b"')))
    assert isinstance(asked, Invoke)
    assert (answer.status, answer.body) == (200, b'"b"')
    assert answer.headers == {
        "x-restate-id": format_invocation_id(asked.invocation_id),
        "content-length": "3",
        "content-type": "application/json",
        "vary": VARY,
        "access-control-allow-credentials": "true",
    }


def test_a_get_is_treated_like_a_post() -> None:
    answer, (asked,) = exchange("GET", "/Svc/echo", b'"a"', headers=JSON, owner=completing(Success(b"1")))
    assert isinstance(asked, Invoke)
    assert (answer.status, asked.body) == (200, b'"a"')


def test_an_empty_result_has_no_content_type() -> None:
    answer, _ = exchange("POST", "/Svc/echo", owner=completing(Success(b"")))
    assert "content-type" not in answer.headers
    assert answer.headers["content-length"] == "0"


def test_a_stored_result_says_when_it_expires() -> None:
    for expires_at_ms, text in ((1_795_653_387_767, "2026-11-26T00:36:27.767+00:00"), (1_795_653_387_000, "2026-11-26T00:36:27+00:00")):
        answer, _ = exchange(
            "POST", "/Svc/echo", headers={"idempotency-key": "k"}, owner=completing(Success(b"1"), expires_at_ms=expires_at_ms)
        )
        assert answer.headers["idempotency-expires"] == text


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (418, 418),
        (200, 200),
        (500, 500),
        (599, 599),
        (600, 500),
        (999, 500),
        (99, 500),
        (0, 500),
        (1000, 500),
        (65535, 500),
        (100, 500),
        (199, 500),
    ],
)
def test_a_failure_is_answered_with_its_code_where_http_has_it(code: int, status: int) -> None:
    answer, (asked,) = exchange("POST", "/Svc/echo", owner=completing(Failure(code, "no")))
    assert answer.status == status
    assert error_of(answer) == (code, "no", "invocation")
    assert answer.headers["x-restate-id"] == format_invocation_id(asked.invocation_id)


@pytest.mark.parametrize("code", [204, 304])
def test_a_failure_whose_status_has_no_body_has_none(code: int) -> None:
    answer, _ = exchange("POST", "/Svc/echo", owner=completing(Failure(code, "no")))
    assert (answer.status, answer.body) == (code, b"")
    assert "content-length" not in answer.headers


def test_a_failure_carries_its_metadata() -> None:
    answer, _ = exchange("POST", "/Svc/echo", owner=completing(Failure(500, "no", (("a", "b"),))))
    assert json.loads(answer.body) == {"code": 500, "message": "no", "metadata": {"a": "b"}, "source": "invocation"}


def test_a_send_is_acknowledged_when_it_is_durable() -> None:
    answer, (asked,) = exchange("POST", "/Svc/echo/send", owner=accepting())
    assert isinstance(asked, Invoke)
    assert not asked.wants_result
    text = format_invocation_id(asked.invocation_id)
    assert answer.status == 202
    assert answer.body == f'{{"invocationId":"{text}","status":"Accepted"}}'.encode()
    assert answer.headers["x-restate-id"] == text
    assert answer.headers["content-type"] == "application/json"


def test_a_delayed_send_says_when_it_will_run() -> None:
    answer, _ = exchange("POST", "/Svc/echo/send?delay=2s", owner=accepting())
    assert json.loads(answer.body)["executionTime"] == "2026-09-21T14:13:22.123000000Z"
    assert list(json.loads(answer.body)) == ["invocationId", "executionTime", "status"]


def test_a_repeated_send_says_so_with_the_first_time() -> None:
    headers = {"idempotency-key": "k"}
    owner = accepting(is_new=False, execution_at_ms=NOW_MS)
    answer, _ = exchange("POST", "/Svc/echo/send?delay=9s", headers=headers, owner=owner)
    body = json.loads(answer.body)
    assert (body["status"], body["executionTime"]) == ("PreviouslyAccepted", "2026-09-21T14:13:20.123000000Z")
    answer, _ = exchange("POST", "/Svc/echo/send?delay=9s", headers=headers, owner=accepting(is_new=False))
    assert "executionTime" not in json.loads(answer.body)


def test_a_send_with_a_random_key_is_new_even_if_it_had_to_be_repeated() -> None:
    answer, _ = exchange("POST", "/Svc/echo/send", owner=accepting(is_new=False))
    assert json.loads(answer.body)["status"] == "Accepted"


REFUSALS = [
    ("POST", "/", 400, "bad path: /"),
    ("PUT", "/Svc/echo", 405, "method not allowed"),
    ("HEAD", "/Svc/echo", 405, "method not allowed"),
    ("PATCH", "/Nope/x", 404, "service 'Nope' not found, make sure to register the service before calling it."),
    ("DELETE", "/Svc/hidden", 400, "the invoked service is not public"),
    ("PUT", f"/restate/attach/{ID}", 405, "method not allowed"),
    ("POST", f"/restate/output/{ID}", 405, "method not allowed"),
    ("PUT", "/restate/attach/xx", 400, "bad invocation id 'xx': bad format"),
    ("GET", "/restate/attach", 405, "method not allowed"),
    ("GET", "/restate/lookup", 405, "method not allowed"),
    ("POST", "/restate/health", 405, "method not allowed"),
    ("HEAD", "/restate/health", 405, "method not allowed"),
    ("GET", "/restate/awakeables/foo/resolve", 405, "method not allowed"),
    ("POST", "/restate/workflow/Wf/k/output", 405, "method not allowed"),
    ("POST", "/restate/awakeables/foo/resolve", 400, "bad awakeable id 'foo': bad format"),
    ("POST", "/restate/awakeables/sign_1abc/resolve", 400, "bad awakeable id 'sign_1abc': id doesn't match the expected type"),
    ("POST", "/restate/awakeables/prom_1abc/resolve", 400, "bad awakeable id 'prom_1abc': bad length"),
    ("POST", "/restate/awakeables/prom_2foo/resolve", 400, "bad awakeable id 'prom_2foo': unrecognized codec version"),
    ("POST", "/restate/awakeables/inv_1foo/reject", 400, "bad awakeable id 'inv_1foo': id doesn't match the expected type"),
    ("POST", "/restate/a/xx_2foo/reject", 400, "bad awakeable id 'xx_2foo': unrecognized resource type: xx"),
]


@pytest.mark.parametrize(("method", "target", "status", "message"), REFUSALS)
def test_a_request_is_refused(method: str, target: str, status: int, message: str) -> None:
    answer, asked = exchange(method, target)
    assert answer.status == status
    assert error_of(answer) == (status, message, "ingress")
    assert answer.headers["vary"] == VARY
    assert asked == []


@pytest.mark.parametrize("target", [f"/restate/attach/{ID}", f"/restate/invocation/{ID}/attach"])
def test_attach_waits_for_the_result(target: str) -> None:
    owner = completing(Success(b"1"), target=Target("Svc", "raw", None, HandlerType.PLAIN))
    answer, (asked,) = exchange("GET", target, owner=owner)
    assert asked == Attach(asked.request_id, parse_invocation_id(ID))
    assert (answer.status, answer.body) == (200, b"1")
    assert answer.headers["x-restate-id"] == ID
    assert answer.headers["content-type"] == "text/plain", "by the rules of the handler that the owner named"


def test_a_result_whose_handler_nobody_named_counts_as_json() -> None:
    answer, _ = exchange("GET", f"/restate/output/{ID}", owner=completing(Success(b"1")))
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")


def test_the_success_of_an_owner_named_handler_that_is_gone_is_not_found() -> None:
    owner = completing(Success(b"1"), target=Target("Svc", "gone", None, HandlerType.PLAIN))
    answer, _ = exchange("GET", f"/restate/output/{ID}", owner=owner)
    assert error_of(answer) == (404, "not found", "ingress")


def test_a_reply_that_cannot_be_is_an_internal_error() -> None:
    answer, _ = exchange("POST", "/Svc/echo", owner=lambda request: NotReady(request.request_id))
    assert error_of(answer) == (500, "internal error of the ingress", "ingress")


def test_attach_to_something_unknown_is_an_invocation_error() -> None:
    answer, _ = exchange("GET", f"/restate/attach/{ID}", owner=lambda request: NotFound(request.request_id))
    assert error_of(answer) == (404, "not found", "invocation")
    assert answer.headers["x-restate-id"] == ID


def test_output_of_something_unknown_is_an_ingress_error() -> None:
    answer, (asked,) = exchange("GET", f"/restate/output/{ID}", owner=lambda request: NotFound(request.request_id))
    assert isinstance(asked, GetOutput)
    assert error_of(answer) == (404, "invocation not found", "ingress")
    assert "x-restate-id" not in answer.headers


def test_output_of_something_in_flight_is_not_ready() -> None:
    answer, _ = exchange("GET", f"/restate/output/{ID}", owner=lambda request: NotReady(request.request_id))
    assert answer.status == 470
    assert error_of(answer) == (470, "the invocation exists but has not completed yet", "ingress")


@pytest.mark.parametrize("target", ["/restate/invocation/Svc/gone/k/output", "/restate/workflow/Nope/k/output"])
def test_the_success_of_a_handler_that_is_gone_is_not_found(target: str) -> None:
    answer, _ = exchange("GET", target, owner=completing(Success(b"1")))
    assert error_of(answer) == (404, "not found", "ingress")
    answer, _ = exchange("GET", target, owner=completing(Failure(418, "no")))
    assert error_of(answer) == (418, "no", "invocation")


BODIES: list[tuple[dict[str, str], InvocationId]] = [
    ({"target": "workflow", "workflowName": "Wf", "workflowKey": "a%2F"}, workflow_invocation_id("Wf", "a%2F")),
    (
        {"target": "idempotentInvocation", "service": "Obj", "key": "k", "handler": "add", "idempotencyKey": "i", "extra": "1"},
        idempotent_invocation_id("Obj", "k", "add", "i"),
    ),
    (
        {"target": "idempotentInvocation", "service": "Nope", "handler": "h", "idempotencyKey": "i"},
        idempotent_invocation_id("Nope", None, "h", "i"),
    ),
    ({"target": "invocation", "invocationId": ID}, parse_invocation_id(ID)),
    ({"target": "workflow", "workflowName": "Wf", "workflowKey": "k", "scope": "s"}, scoped_workflow_invocation_id("s", "Wf", "k")),
    (
        {"target": "idempotentInvocation", "service": "Nope", "handler": "h", "idempotencyKey": "i", "scope": "s"},
        scoped_idempotent_invocation_id("s", "Nope", None, "h", "i"),
    ),
]


@pytest.mark.parametrize(("body", "invocation_id"), BODIES)
def test_a_body_can_name_the_target(body: dict[str, str], invocation_id: InvocationId) -> None:
    answer, asked = exchange("POST", "/restate/lookup", json.dumps(body).encode())
    assert (answer.status, asked) == (200, [])
    assert answer.body == f'{{"invocationId":"{format_invocation_id(invocation_id)}"}}'.encode()
    for verb, kind in (("attach", Attach), ("output", GetOutput)):
        _, (request,) = exchange("POST", f"/restate/{verb}", json.dumps(body).encode(), owner=completing(Failure(418, "no")))
        assert request == kind(request.request_id, invocation_id)


@pytest.mark.parametrize(
    ("verb", "body", "status", "message"),
    [
        ("lookup", b"{", 500, "cannot read body: invalid lookup body: "),
        ("attach", b"", 500, "cannot read body: invalid request body: "),
        ("output", b'{"target":"x"}', 500, "cannot read body: invalid request body: "),
        ("output", b'{"target":"workflow","workflowName":"a"}', 500, "cannot read body: invalid request body: "),
        ("output", b"\xff", 500, "cannot read body: invalid request body: "),
        ("lookup", b'{"target":"invocation","invocationId":"inv_1"}', 400, "bad invocation id 'inv_1': bad length"),
        ("lookup", b'{"target":"workflow","workflowName":"a","workflowKey":"k","scope":"s!"}', 400, "bad scope value: value contains"),
    ],
)
def test_a_body_that_names_no_target_is_refused(verb: str, body: bytes, status: int, message: str) -> None:
    answer, _ = exchange("POST", f"/restate/{verb}", body)
    assert answer.status == status
    assert error_of(answer)[1].startswith(message)


def test_an_awakeable_is_resolved_and_rejected_by_a_signal() -> None:
    invocation_id = parse_invocation_id(ID)
    awakeable = format_awakeable_id(invocation_id, 17)
    answer, (asked,) = exchange("POST", f"/restate/awakeables/{awakeable}/resolve", b"any", owner=accepting())
    assert asked == SendSignalTo(asked.request_id, invocation_id, 17, None, Success(b"any"))
    assert (answer.status, answer.body) == (202, b"")
    assert "content-type" not in answer.headers
    answer, (asked,) = exchange("POST", f"/restate/a/{awakeable}/reject", b"no\xff", owner=accepting())
    assert asked == SendSignalTo(asked.request_id, invocation_id, 17, None, Failure(500, "no\ufffd"))
    assert answer.status == 202


def test_an_awakeable_of_the_old_form_is_resolved_by_the_signal_of_its_entry() -> None:
    text = "prom_1NMyOAvDK2CcBjUH4Rmb7eGBp0DNNDnmsAAAAAQ"
    answer, (asked,) = exchange("POST", f"/restate/awakeables/{text}/resolve", b"1", owner=accepting())
    assert (answer.status, asked.signal_index, asked.result) == (202, 17, Success(b"1"))


def test_health_names_all_services() -> None:
    answer, _ = exchange("GET", "/restate/health")
    assert answer.status == 200
    assert sorted(json.loads(answer.body)["services"]) == ["Obj", "Secret", "Svc", "Wf"]


def test_any_preflight_is_answered() -> None:
    headers = {"origin": "http://a", "access-control-request-method": "POST", "access-control-request-headers": "a, b"}
    answer, _ = exchange("OPTIONS", "/no/such/thing", headers=headers)
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers == {
        "content-length": "0",
        "access-control-allow-methods": "POST",
        "access-control-allow-headers": "a, b",
        "access-control-allow-origin": "http://a",
        "access-control-allow-credentials": "true",
        "vary": VARY,
    }


def test_the_origin_is_mirrored() -> None:
    answer, _ = exchange("GET", "/restate/health", headers={"origin": "http://a"})
    assert answer.headers["access-control-allow-origin"] == "http://a"


def test_an_announced_body_above_the_limit_is_refused_in_plain_text() -> None:
    answer, _ = exchange("POST", "/Svc/raw", headers={"content-length": "11"}, body_bytes_max=10)
    assert (answer.status, answer.body) == (413, b"length limit exceeded")
    assert answer.headers == {"content-type": "text/plain; charset=utf-8", "content-length": "21"}


def test_a_body_that_grows_above_the_limit_is_refused() -> None:
    answer, asked = exchange("POST", "/Svc/raw", [b"12345", b"67890", b"1", b"never read"], body_bytes_max=10)
    assert error_of(answer) == (413, "cannot read body: LengthLimitError", "ingress")
    assert asked == []


def test_a_body_in_parts_is_put_together() -> None:
    headers = {"content-type": "a/b"}
    _, (asked,) = exchange("POST", "/Svc/raw", [b"12", b"", b"345"], headers=headers, body_bytes_max=5, owner=completing(Success(b"")))
    assert isinstance(asked, Invoke)
    assert asked.body == b"12345"


def test_large_bodies_travel_through_the_store() -> None:
    body = bytes(BUS_BODY_BYTES_MAX + 1)

    async def scenario(ingress: Ingress) -> None:
        ingress.blobs.blobs[b"result"] = b"large result"
        answer = await ingress.request("POST", "/Svc/raw", body, headers={"content-type": "a/b"})
        assert answer is not None
        (asked,) = ingress.asked
        assert isinstance(asked, Invoke)
        assert asked.body == b""
        assert asked.body_blob_id is not None
        assert ingress.blobs.blobs == {asked.body_blob_id: body}, "the result is taken, the body is the owner's"
        assert answer.body == b"large result"

    run(scenario, lambda request: Completed(request.request_id, Success(b""), result_blob_id=b"result"))


def test_the_store_keeps_no_body_of_a_request_that_is_refused() -> None:
    async def scenario(ingress: Ingress) -> None:
        body = bytes(BUS_BODY_BYTES_MAX + 1)
        answer = await ingress.request("POST", "/Svc/echo/send?delay=x", body, headers=JSON)
        assert answer is not None
        assert answer.status == 400
        assert ingress.blobs.blobs == {}
        assert ingress.asked == []

    run(scenario)


def test_bodies_of_callers_that_wait_count_until_they_are_answered() -> None:
    async def scenario(ingress: Ingress) -> None:
        first = asyncio.ensure_future(ingress.request("POST", "/Svc/echo", b'"12345"', headers=JSON))
        await asyncio.sleep(0.1)
        second = await ingress.request("POST", "/Svc/echo", b'"12345"', headers=JSON)
        assert second is not None
        assert (second.status, second.headers["retry-after"]) == (429, "1")
        (asked,) = ingress.asked
        ingress.bus.reply(Completed(asked.request_id, Success(b"1")))
        assert (await first) is not None
        assert ingress.uploads.held_bytes == 0

    run(scenario, held_bytes_max=10)


def test_large_values_of_awakeables_travel_through_the_store() -> None:
    awakeable = format_awakeable_id(parse_invocation_id(ID), 17)
    _, (asked,) = exchange("POST", f"/restate/a/{awakeable}/resolve", bytes(BUS_BODY_BYTES_MAX + 1), owner=accepting())
    assert isinstance(asked, SendSignalTo)
    assert asked.result == Success(b"")
    assert asked.result_blob_id is not None


def test_too_many_requests_in_flight_are_turned_away() -> None:
    async def scenario(ingress: Ingress) -> None:
        first = asyncio.ensure_future(ingress.request("POST", "/Svc/echo"))
        await asyncio.sleep(0.1)
        second = await ingress.request("GET", "/restate/health")
        assert second is not None
        assert second.status == 429
        assert error_of(second) == (429, "too many requests, the ingress is overloaded. Retry later.", "ingress")
        assert second.headers["retry-after"] == "1"
        preflight = await ingress.request("OPTIONS", "/x")
        assert preflight is not None
        assert preflight.status == 200
        (asked,) = ingress.asked
        ingress.bus.reply(Completed(asked.request_id, Success(b"1")))
        assert (await first) is not None
        third = await ingress.request("GET", "/restate/health")
        assert third is not None
        assert third.status == 200

    run(scenario, requests_max=1)


def test_an_overloaded_owner_is_told_to_the_caller() -> None:
    answer, _ = exchange("POST", "/Svc/echo", owner=lambda request: Overloaded(request.request_id))
    assert (answer.status, answer.headers["retry-after"]) == (429, "1")


def test_a_caller_that_leaves_is_forgotten() -> None:
    async def scenario(ingress: Ingress) -> None:
        gone = asyncio.Event()
        request = asyncio.ensure_future(ingress.request("POST", "/Svc/echo", gone=gone))
        await asyncio.sleep(3)
        assert len(ingress.waiting) == 1
        gone.set()
        assert await request is None
        assert len(ingress.waiting) == 0
        after = await ingress.request("OPTIONS", "/x")
        assert after is not None, "nothing of it is left over"

    run(scenario)


def test_a_takeover_costs_the_caller_time_but_no_error() -> None:
    async def scenario(ingress: Ingress) -> None:
        request = asyncio.ensure_future(ingress.request("POST", "/Svc/echo"))
        await asyncio.sleep(0.1)
        (invoke,) = ingress.asked
        ingress.bus.announce("invoker-2", [0, 1, 2, 3], 2)
        await asyncio.sleep(0.1)
        assert ingress.asked[1:] == [Attach(invoke.request_id, invoke.invocation_id)]
        ingress.bus.reply(Completed(invoke.request_id, Success(b"1")))
        answer = await request
        assert answer is not None
        assert (answer.status, answer.body) == (200, b"1")

    run(scenario)


def test_a_service_that_was_registered_a_moment_ago_can_be_called() -> None:
    async def scenario(ingress: Ingress) -> None:
        ingress.registered_meanwhile = ingress.answers.directory
        ingress.answers.directory = Directory()
        answer = await ingress.request("POST", "/Svc/echo")
        assert answer is not None
        assert answer.status == 200

    run(scenario, completing(Success(b"1")))


def test_requests_for_unknown_services_share_their_reads_of_the_metadata() -> None:
    async def scenario(ingress: Ingress) -> None:
        first = asyncio.ensure_future(ingress.request("POST", "/Nope/x"))
        await asyncio.sleep(0.005)
        others = [asyncio.ensure_future(ingress.request("POST", "/Nope/x")) for _ in range(10)]
        answers = await asyncio.gather(first, *others)
        assert [answer.status for answer in answers if answer is not None] == [404] * 11
        assert ingress.metadata_reads == 2, "the read that was under way may have missed what the others ask for"

    run(scenario)


def test_requests_are_counted_by_outcome() -> None:
    def owner(request: OwnerRequest) -> OwnerReply:
        return Accepted(request.request_id) if isinstance(request, Invoke) and not request.wants_result else NotReady(request.request_id)

    async def scenario(ingress: Ingress) -> None:
        await ingress.request("POST", "/Svc/echo/send")
        await ingress.request("POST", "/Svc/echo/send?delay=x")
        await ingress.request("POST", "/Nope/echo")
        registry = CollectorRegistry()
        ingress.meters.register(registry)
        text = generate_latest(registry).decode()
        assert 'perdure_ingress_admissions_total{outcome="admitted"} 3.0' in text
        labels = 'handler="echo",outcome="{}",service="Svc",type="send"'
        assert f"perdure_ingress_requests_total{{{labels.format('completed')}}} 1.0" in text
        assert f"perdure_ingress_requests_total{{{labels.format('request_error')}}} 1.0" in text
        assert 'perdure_ingress_request_duration_seconds_count{handler="echo",service="Svc",type="send"} 2.0' in text
        assert "perdure_ingress_waiting 0.0" in text

    run(scenario, owner)
