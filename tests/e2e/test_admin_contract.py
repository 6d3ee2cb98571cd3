"""The admin API request by request: a table of what is sent and what must come back.

Every row holds for the real server as well (`PERDURE_TEST_PEER=restate`, see `suite.py`). Rows go through the life of three invocations
and are in order. What answers differently by intent is listed in `docs/reference/differences.md`.
"""

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import httpx
import pytest

from tests.e2e.conftest import running
from tests.e2e.endpoint import Endpoint
from tests.e2e.suite import Suite

PREFIX: Final = "AdmTable"
NAMES: Final = {
    "UNKNOWN": "inv_1gf3qgbvqBGZ3Wg62ENp11QEVhGegZNT7N",
    "NO_DEPLOYMENT": "dp_17f4GmlV2jAX6YvPFBOXnM5",
    "NO_SUBSCRIPTION": "sub_17f4GmlV2jAX6YvPFBOXnM5",
}


class Expected(NamedTuple):
    """A body: its content type, the members that it has, and how some of them or the text begin."""

    media_type: str | None
    members: frozenset[str] = frozenset()
    beginning: str = ""
    code: str | None = None


EMPTY: Final = Expected(None)


def keys(*names: str) -> Expected:
    return Expected("application/json", frozenset(names))


def error(beginning: str, code: str | None = None) -> Expected:
    return Expected("application/json", frozenset({"message", "restate_code"}), beginning, code)


def query_error(beginning: str) -> Expected:
    return Expected("application/json", frozenset({"message"}), beginning)


def text(beginning: str) -> Expected:
    return Expected("text/plain; charset=utf-8", beginning=beginning)


def media(media_type: str) -> Expected:
    return Expected(media_type)


VERSION: Final = keys("features", "ingress_endpoint", "max_admin_api_version", "min_admin_api_version", "version")
DEPLOYMENT: Final = keys(
    "created_at", "http_version", "id", "max_protocol_version", "min_protocol_version", "protocol_type", "sdk_version", "services", "uri"
)
DEPLOYMENT_WITH_HEADERS: Final = keys(
    "additional_headers",
    "created_at",
    "http_version",
    "id",
    "max_protocol_version",
    "min_protocol_version",
    "protocol_type",
    "sdk_version",
    "services",
    "uri",
)
REGISTRATION: Final = keys("id", "max_protocol_version", "min_protocol_version", "sdk_version", "services")
SERVICE: Final = keys(
    "abort_timeout",
    "deployment_id",
    "enable_lazy_state",
    "handlers",
    "idempotency_retention",
    "inactivity_timeout",
    "journal_retention",
    "name",
    "public",
    "retry_policy",
    "revision",
    "ty",
)
WORKFLOW: Final = keys(
    "abort_timeout",
    "deployment_id",
    "enable_lazy_state",
    "handlers",
    "idempotency_retention",
    "inactivity_timeout",
    "journal_retention",
    "name",
    "public",
    "retry_policy",
    "revision",
    "ty",
    "workflow_completion_retention",
)
NOT_THE_TYPE: Final = text("Failed to deserialize the JSON body into the target type: ")

ROWS: Final[list[tuple[str, str, str | None, int, Expected]]] = [
    ("GET", "/health", None, 200, EMPTY),
    ("HEAD", "/health", None, 200, EMPTY),
    ("GET", "/version", None, 200, VERSION),
    ("GET", "/v2/version", None, 200, VERSION),
    ("GET", "/v3/version", None, 200, VERSION),
    ("GET", "/v4/version", None, 200, VERSION),
    ("GET", "/v1/version", None, 400, text("Unsupported Admin API version V1. This server supports versions between V2 and V4.")),
    ("GET", "/v5/version", None, 404, EMPTY),
    ("GET", "/v0/version", None, 404, EMPTY),
    ("GET", "/nothing", None, 404, EMPTY),
    ("GET", "/services/", None, 404, EMPTY),
    ("POST", "/health", None, 405, EMPTY),
    ("DELETE", "/services", None, 405, EMPTY),
    ("GET", "/query", None, 405, EMPTY),
    ("GET", "/deployments", None, 200, keys("deployments")),
    ("GET", "/v2/deployments", None, 200, keys("deployments")),
    ("GET", "/deployments/$D", None, 200, DEPLOYMENT),
    ("GET", "/deployments/$NO_DEPLOYMENT", None, 404, error("The requested deployment '$NO_DEPLOYMENT' does not exist")),
    (
        "GET",
        "/deployments/dp_bad",
        None,
        400,
        text("Invalid URL: Cannot parse `deployment` with value `dp_bad`: unrecognized codec version"),
    ),
    ("GET", "/deployments/x", None, 400, text("Invalid URL: Cannot parse `deployment` with value `x`: bad format")),
    ("POST", "/deployments", "{}", 422, NOT_THE_TYPE),
    ("POST", "/deployments", "[]", 422, NOT_THE_TYPE),
    ("POST", "/deployments", None, 415, text("Expected request with `Content-Type: application/json`")),
    (
        "POST",
        "/deployments",
        '{"uri":"/x"}',
        400,
        error("The request field 'uri' is invalid. Reason: The provided uri /x is not absolute, only absolute URIs can be used."),
    ),
    ("POST", "/deployments", '{"uri":""}', 422, NOT_THE_TYPE),
    ("POST", "/deployments", '{"uri":"http://127.0.0.1:1"}', 500, error("[META0003] ", "META0003")),
    ("POST", "/deployments", '{"uri":"$ENDPOINT"}', 200, REGISTRATION),
    ("POST", "/v2/deployments", '{"uri":"$ENDPOINT","force":false}', 409, error("Conflict: deployment $D already exists")),
    ("POST", "/v2/deployments", '{"uri":"$ENDPOINT"}', 201, REGISTRATION),
    ("POST", "/deployments", '{"uri":"$ENDPOINT","force":true}', 200, REGISTRATION),
    ("POST", "/deployments", '{"uri":"$ENDPOINT","force":true,"dry_run":true}', 200, REGISTRATION),
    ("POST", "/deployments", '{"uri":"$ENDPOINT/other","dry_run":true}', 201, REGISTRATION),
    ("POST", "/deployments", '{"uri":"$ENDPOINT","force":"x"}', 422, NOT_THE_TYPE),
    (
        "POST",
        "/deployments",
        '{"arn":"x"}',
        400,
        error("The request field 'arn' is invalid. Reason: A qualified ARN must have 8 components delimited by `:`"),
    ),
    ("POST", "/deployments", '{"uri":"$ENDPOINT","additional_headers":{"a b":"c"}}', 422, NOT_THE_TYPE),
    ("POST", "/deployments", '{"uri":"$ENDPOINT","auth":{}}', 422, NOT_THE_TYPE),
    (
        "POST",
        "/deployments",
        '{"uri":"http://8.8.8.8:1","auth":{"GoogleIdToken":{}}}',
        400,
        error("The request field 'auth' is invalid. Reason: "),
    ),
    (
        "POST",
        "/deployments",
        '{"uri":"https://127.0.0.1:1","auth":{"GoogleIdToken":{}},"additional_headers":{"X-Serverless-Authorization":"x"}}',
        400,
        error("The request field 'additional_headers' is invalid. Reason: "),
    ),
    (
        "DELETE",
        "/deployments/$D?force=1",
        None,
        400,
        text("Failed to deserialize query string: force: provided string was not `true` or `false`"),
    ),
    (
        "DELETE",
        "/deployments/$NO_DEPLOYMENT?force=true",
        None,
        404,
        error("not found in the schema registry: deployment with id '$NO_DEPLOYMENT'"),
    ),
    (
        "DELETE",
        "/deployments/dp_bad?force=true",
        None,
        400,
        text("Invalid URL: Cannot parse `deployment` with value `dp_bad`: unrecognized codec version"),
    ),
    ("PATCH", "/deployments/$D", "{}", 200, DEPLOYMENT),
    ("PATCH", "/deployments/$D", '{"additional_headers":{"x":"y"}}', 200, DEPLOYMENT_WITH_HEADERS),
    ("PATCH", "/deployments/$D", '{"uri":"http://127.0.0.1:1"}', 500, error("[META0003] ", "META0003")),
    ("PATCH", "/deployments/$D", '{"uri":"$ENDPOINT"}', 200, DEPLOYMENT_WITH_HEADERS),
    ("PATCH", "/deployments/$D", '{"uri":"$ENDPOINT","use_http_11":true}', 200, DEPLOYMENT_WITH_HEADERS),
    ("PATCH", "/deployments/$D", '{"uri":"$ENDPOINT","overwrite":true}', 200, DEPLOYMENT_WITH_HEADERS),
    (
        "PATCH",
        "/deployments/$D",
        '{"assume_role_arn":"x"}',
        400,
        error("cannot update the deployment, as the deployment type is http while the update options are for type lambda"),
    ),
    (
        "PATCH",
        "/deployments/$D",
        '{"arn":"x"}',
        400,
        error("The request field 'arn' is invalid. Reason: A qualified ARN must have 8 components delimited by `:`"),
    ),
    ("PATCH", "/deployments/$D", "[]", 422, NOT_THE_TYPE),
    ("PATCH", "/deployments/$NO_DEPLOYMENT", "{}", 404, error("The requested deployment '$NO_DEPLOYMENT' does not exist")),
    ("PUT", "/deployments/$D", "{}", 405, error("PUT deployment is deprecated, use PATCH instead")),
    ("PUT", "/v2/deployments/$D", "{}", 200, DEPLOYMENT_WITH_HEADERS),
    ("GET", "/services", None, 200, keys("services")),
    ("GET", "/services/AdmTableCounter", None, 200, SERVICE),
    ("GET", "/services/AdmTableApproval", None, 200, WORKFLOW),
    ("GET", "/services/AdmTableGreeter", None, 200, SERVICE),
    ("GET", "/services/Nope", None, 404, error("The requested service 'Nope' does not exist")),
    ("GET", "/services/a%2Fb", None, 404, error("The requested service 'a/b' does not exist")),
    ("GET", "/services/%FF", None, 400, text("Invalid URL: Invalid UTF-8 in `service`")),
    ("PATCH", "/services/AdmTableCounter", "{}", 200, SERVICE),
    ("PATCH", "/services/AdmTableCounter", '{"public":true}', 200, SERVICE),
    ("PATCH", "/services/AdmTableCounter", '{"idempotency_retention":"5 hours","journal_retention":"PT36H"}', 200, SERVICE),
    (
        "PATCH",
        "/services/AdmTableCounter",
        '{"workflow_completion_retention":"1d"}',
        400,
        error("modifying retention time for service type VirtualObject is unsupported"),
    ),
    (
        "PATCH",
        "/services/AdmTableGreeter",
        '{"workflow_completion_retention":"1d"}',
        400,
        error("modifying retention time for service type Service is unsupported"),
    ),
    ("PATCH", "/services/AdmTableApproval", '{"workflow_completion_retention":"2d"}', 200, WORKFLOW),
    ("PATCH", "/services/AdmTableCounter", '{"abort_timeout":"zz"}', 422, NOT_THE_TYPE),
    ("PATCH", "/services/AdmTableCounter", '{"public":3}', 422, NOT_THE_TYPE),
    ("PATCH", "/services/Nope", "{}", 404, error("The requested service 'Nope' does not exist")),
    ("PATCH", "/services/Nope", '{"public":true}', 404, error("not found in the schema registry: service with name 'Nope'")),
    ("GET", "/services/AdmTableCounter/handlers", None, 200, keys("handlers")),
    (
        "GET",
        "/services/AdmTableCounter/handlers/add",
        None,
        200,
        keys("input_description", "input_json_schema", "name", "output_description", "output_json_schema", "public", "retry_policy", "ty"),
    ),
    ("GET", "/services/Nope/handlers", None, 404, error("The requested service 'Nope' does not exist")),
    ("POST", "/services/AdmTableCounter/state", '{"object_key":"ck","new_state":{"value":"7"}}', 202, EMPTY),
    ("POST", "/services/AdmTableCounter/state", '{"object_key":"ck","new_state":{"value":[300]}}', 422, NOT_THE_TYPE),
    ("POST", "/services/AdmTableCounter/state", '{"new_state":{}}', 422, NOT_THE_TYPE),
    (
        "POST",
        "/services/AdmTableGreeter/state",
        '{"object_key":"ck","new_state":{"value":"7"}}',
        400,
        error("Cannot modify state for service type Service"),
    ),
    (
        "POST",
        "/services/Nope/state",
        '{"object_key":"ck","new_state":{"value":"7"}}',
        404,
        error("The requested service 'Nope' does not exist"),
    ),
    ("POST", "/services/Nope/state", '{"object_key":"ck","new_state":{}}', 202, EMPTY),
    ("PATCH", "/invocations/$UNKNOWN/cancel", None, 404, error("The requested invocation '$UNKNOWN' does not exist")),
    ("PATCH", "/invocations/inv_1/kill", None, 400, error("The request field 'invocation_id' is invalid. Reason: bad length")),
    (
        "PATCH",
        "/invocations/dp_1/kill",
        None,
        400,
        error("The request field 'invocation_id' is invalid. Reason: id doesn't match the expected type"),
    ),
    ("PATCH", "/invocations/x/purge", None, 400, error("The request field 'invocation_id' is invalid. Reason: bad format")),
    ("GET", "/invocations/$UNKNOWN", None, 405, EMPTY),
    ("POST", "/invocations/$UNKNOWN/cancel", None, 405, EMPTY),
    ("PATCH", "/invocations/$SCHED/pause", None, 409, error("The invocation '$SCHED' is not running, cannot be paused.")),
    ("PATCH", "/invocations/$SCHED/resume", None, 425, error("The invocation '$SCHED' is either inboxed or scheduled, cannot be resumed.")),
    ("PATCH", "/invocations/$SCHED/purge", None, 409, error("The invocation '$SCHED' is not yet completed.")),
    (
        "PATCH",
        "/invocations/$SCHED/restart-as-new",
        None,
        425,
        error("The invocation '$SCHED' cannot be restarted because it's not running yet."),
    ),
    ("PATCH", "/invocations/$RUN/purge", None, 409, error("The invocation '$RUN' is not yet completed.")),
    ("PATCH", "/invocations/$RUN/restart-as-new", None, 409, error("The invocation '$RUN' is still running.")),
    (
        "PATCH",
        "/invocations/$RUN/resume?deployment=bad",
        None,
        400,
        error("The query parameter 'deployment' is invalid. Reason: bad format"),
    ),
    (
        "PATCH",
        "/invocations/$RUN/resume?deployment=$NO_DEPLOYMENT",
        None,
        409,
        error("The invocation '$RUN' is still running or the deployment id is not pinned yet, deployment id cannot be changed."),
    ),
    (
        "PATCH",
        "/invocations/$SCHED/resume?deployment=$NO_DEPLOYMENT",
        None,
        425,
        error("The invocation '$SCHED' is either inboxed or scheduled, cannot be resumed."),
    ),
    (
        "PATCH",
        "/invocations/$RUN/resume?deployment=keep&deployment=latest",
        None,
        400,
        text("Failed to deserialize query string: duplicate field `deployment`"),
    ),
    ("PATCH", "/invocations/$RUN/resume", None, 200, EMPTY),
    ("PATCH", "/invocations/$RUN/pause", None, 202, EMPTY),
    ("PATCH", "/invocations/$DONE/kill", None, 409, error("The invocation '$DONE' was already completed.")),
    ("PATCH", "/invocations/$DONE/cancel", None, 409, error("The invocation '$DONE' was already completed.")),
    ("PATCH", "/invocations/$DONE/pause", None, 409, error("The invocation '$DONE' is not running, cannot be paused.")),
    ("PATCH", "/invocations/$DONE/resume", None, 409, error("The invocation '$DONE' is completed, cannot be resumed.")),
    (
        "PATCH",
        "/invocations/$DONE/restart-as-new?from=x",
        None,
        400,
        text("Failed to deserialize query string: from: invalid digit found in string"),
    ),
    (
        "PATCH",
        "/invocations/$DONE/restart-as-new?from=99",
        None,
        400,
        error("The prefix of the journal '$DONE' up to 'from' (included) contains some Commands without respective Completions."),
    ),
    (
        "PATCH",
        "/invocations/$DONE/restart-as-new?deployment=$NO_DEPLOYMENT",
        None,
        400,
        error("The given deployment was not found when trying to restart as new the invocation '$DONE'."),
    ),
    ("PATCH", "/invocations/$DONE/restart-as-new", None, 200, keys("new_invocation_id")),
    ("PATCH", "/invocations/$DONE/purge-journal", None, 200, EMPTY),
    (
        "PATCH",
        "/invocations/$DONE/restart-as-new",
        None,
        410,
        error("The invocation '$DONE' cannot be restarted because the input is not available. This indicates "),
    ),
    ("PATCH", "/invocations/$DONE/purge", None, 200, EMPTY),
    ("PATCH", "/invocations/$DONE/purge", None, 404, error("The requested invocation '$DONE' does not exist")),
    ("DELETE", "/invocations/$UNKNOWN", None, 202, EMPTY),
    ("DELETE", "/invocations/$UNKNOWN?mode=kill", None, 202, EMPTY),
    (
        "DELETE",
        "/invocations/$UNKNOWN?mode=x",
        None,
        400,
        text("Failed to deserialize query string: mode: unknown variant `x`, expected one of `Cancel`, `cancel`"),
    ),
    ("DELETE", "/invocations/inv_1", None, 400, error("The request field 'invocation_id' is invalid. Reason: bad length")),
    ("PATCH", "/invocations/$SCHED/cancel", None, 200, EMPTY),
    ("PATCH", "/invocations/$RUN/cancel", None, 202, EMPTY),
    ("POST", "/internal/invocations_batch_operations/kill", '{"invocation_ids":["$UNKNOWN"]}', 200, keys("failed", "succeeded")),
    ("POST", "/internal/invocations_batch_operations/kill", '{"invocation_ids":["x"]}', 422, NOT_THE_TYPE),
    ("POST", "/internal/invocations_batch_operations/kill", "{}", 422, NOT_THE_TYPE),
    (
        "POST",
        "/internal/invocations_batch_operations/resume",
        '{"invocation_ids":[],"deployment":"x"}',
        400,
        error("The request field 'deployment' is invalid. Reason: bad format"),
    ),
    ("POST", "/internal/invocations_batch_operations/nope", "{}", 404, EMPTY),
    ("GET", "/subscriptions", None, 200, keys("subscriptions")),
    ("GET", "/subscriptions/$NO_SUBSCRIPTION", None, 404, error("The requested subscription '$NO_SUBSCRIPTION' does not exist")),
    (
        "GET",
        "/subscriptions/sub_bad",
        None,
        400,
        text("Invalid URL: Cannot parse `subscription` with value `sub_bad`: unrecognized codec version"),
    ),
    (
        "DELETE",
        "/subscriptions/$NO_SUBSCRIPTION",
        None,
        404,
        error("not found in the schema registry: subscription with id '$NO_SUBSCRIPTION'"),
    ),
    (
        "POST",
        "/subscriptions",
        '{"source":"kafka://none/t","sink":"service://AdmTableCounter/add"}',
        400,
        error("Kafka cluster 'none' not found. Available clusters: ["),
    ),
    ("POST", "/subscriptions", "{}", 422, NOT_THE_TYPE),
    ("GET", "/kafka-clusters", None, 200, keys("clusters")),
    ("GET", "/kafka-clusters/none", None, 404, error("The requested Kafka cluster 'none' does not exist")),
    (
        "POST",
        "/kafka-clusters",
        '{"name":"a","properties":{}}',
        400,
        error("kafka cluster 'a' properties must contain either 'bootstrap.servers' or 'metadata.broker.list'"),
    ),
    ("DELETE", "/kafka-clusters/none", None, 404, error("not found in the schema registry: kafka cluster named 'none'")),
    ("POST", "/query", '{"query":"SELECT 1 AS a"}', 200, media("application/vnd.apache.arrow.stream")),
    ("POST", "/query", '{"query":"SELEC"}', 400, query_error('Datafusion error: SQL error: ParserError("Expected: an SQL s')),
    ("POST", "/query", '{"query":""}', 400, query_error("Datafusion error: Error during planning: No SQL statements w")),
    (
        "POST",
        "/query",
        '{"query":"DROP TABLE sys_invocation"}',
        400,
        query_error("Datafusion error: Error during planning: DDL not supported: "),
    ),
    ("POST", "/query", '{"query":"SELECT * FROM nope"}', 500, query_error("Datafusion error: Error during planning: table 'restate.publ")),
    ("POST", "/query", "{}", 422, NOT_THE_TYPE),
]


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    """A server of the module's own: one that knows services of the seed era shows all of them in the words of both eras."""
    yield from running(Suite(tmp_path_factory.mktemp("admin") / "data"))


@pytest.fixture(scope="module")
def names(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What the names in the table stand for: an endpoint, its deployment, and invocations that wait, run and are done."""
    endpoint = Endpoint("tests.e2e.services:app", tmp_path_factory.mktemp("table"), prefix=PREFIX)
    try:
        endpoint.start()
        deployment = suite.register(endpoint.url)["id"]
        asleep = suite.send(f"/{PREFIX}Sleeper/nap", {"tag": "table", "ms": 3_600_000})
        endpoint.wait_for_effect("table-attempts", "asleep")
        scheduled = suite.send(f"/{PREFIX}Greeter/greet?delay=1h", "Ada")
        done = suite.send(f"/{PREFIX}Greeter/greet", "Ada")
        suite.attach(done)
        yield NAMES | {"ENDPOINT": endpoint.url, "D": deployment, "RUN": asleep, "SCHED": scheduled, "DONE": done}
    finally:
        endpoint.stop()


@pytest.mark.parametrize(("method", "path", "body", "status", "expected"), ROWS)
def test_a_request_is_answered_as_clients_know_it(
    suite: Suite, names: dict[str, str], method: str, path: str, body: str | None, status: int, expected: Expected
) -> None:
    def filled(template: str) -> str:
        return re.sub(r"\$([A-Z_]+)", lambda match: names[match[1]], template)

    headers = {} if body is None else {"content-type": "application/json"}
    content = None if body is None else filled(body)
    reply = suite.http.request(method, suite.admin_url + filled(path), content=content, headers=headers)
    assert (reply.status_code, reply.headers.get("content-type")) == (status, expected.media_type), reply.text
    if expected == EMPTY:
        assert reply.content == b""
    elif expected.members:
        shown: dict[str, Any] = reply.json()
        assert shown.keys() - {"info"} == expected.members
        assert shown.get("message", "").startswith(filled(expected.beginning))
        assert shown.get("restate_code") == expected.code
    else:
        assert reply.text.startswith(filled(expected.beginning))


def test_a_revision_has_all_that_clients_read(suite: Suite, names: dict[str, str]) -> None:
    service = suite.http.get(f"{suite.admin_url}/services/{PREFIX}Patient").json()
    assert service["retry_policy"].keys() == {
        "initial_interval",
        "exponentiation_factor",
        "max_attempts",
        "max_interval",
        "on_max_attempts",
    }
    [handler] = [each for each in service["handlers"] if each["name"] == "nap_long"]
    assert handler == {
        "name": "nap_long",
        "public": True,
        "input_description": "JSON string",
        "output_description": "JSON string",
        "input_json_schema": {"type": "string"},
        "output_json_schema": {"type": "string"},
        "retry_policy": {"max_attempts": None},
    }
    listed = suite.http.get(f"{suite.admin_url}/deployments").json()["deployments"]
    [own] = [each for each in listed if each["id"] == names["D"]]
    assert {"name": f"{PREFIX}Patient", "revision": service["revision"]} in own["services"]


def test_versions_of_the_api_answer_alike(suite: Suite) -> None:
    answers: list[httpx.Response] = [suite.http.get(f"{suite.admin_url}{prefix}/version") for prefix in ("", "/v2", "/v3", "/v4")]
    assert all(answer.json() == answers[0].json() for answer in answers)
    assert not any(answers[0].json()["features"].values())
