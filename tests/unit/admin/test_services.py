"""Showing services and handlers, and changing options of services."""

from pathlib import Path
from typing import Any

import pytest

from perdure.model.deployment import HandlerOptions, InputRules, OutputRules, ProtocolMode, RetryPolicy, Service
from perdure.model.target import HandlerType, ServiceType
from tests.unit.admin.harness import Admin, with_admin
from tests.unit.registry.builders import a_handler, a_service

URL = "http://a:9080"
RETRY = {"initial_interval": "500ms", "exponentiation_factor": 2.0, "max_attempts": 70, "max_interval": "1m", "on_max_attempts": "Pause"}
ALL_OPTIONS = HandlerOptions(
    journal_retention_ms=9,
    idempotency_retention_ms=10,
    inactivity_timeout_ms=90_000,
    abort_timeout_ms=8,
    enable_lazy_state=False,
    ingress_private=True,
    retry_policy=RetryPolicy(initial_interval_ms=11, factor=3, max_interval_ms=12, max_attempts=0, pauses_on_max_attempts=False),
    documentation="what it does",
    metadata={"c": "d"},
)


async def registered(admin: Admin, *services: Service, mode: ProtocolMode = ProtocolMode.BIDI_STREAM) -> str:
    admin.endpoints.serve(URL, *services, mode=mode)
    return (await admin.register(URL)).json()["id"]


async def handler_of(admin: Admin, service: str, handler: str = "greet") -> dict[str, Any]:
    return (await admin.http.get(f"/services/{service}/handlers/{handler}")).json()


def test_a_service_without_options_shows_the_server_defaults(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        deployment_id = await registered(admin, a_service("Greeter"))
        answer = await admin.http.get("/services/Greeter")
        assert answer.status_code == 200
        assert answer.json() == {
            "name": "Greeter",
            "ty": "Service",
            "handlers": [
                {
                    "name": "greet",
                    "public": True,
                    "input_description": "*/*",
                    "output_description": "application/json",
                    "retry_policy": {"max_attempts": None},
                }
            ],
            "deployment_id": deployment_id,
            "revision": 1,
            "public": True,
            "idempotency_retention": "1d",
            "journal_retention": "1d",
            "inactivity_timeout": "1m",
            "abort_timeout": "10m",
            "enable_lazy_state": False,
            "retry_policy": RETRY,
        }
        assert (await admin.http.get("/services")).json() == {"services": [answer.json()]}

    with_admin(tmp_path, test)


def test_a_handler_shows_what_it_sets_itself(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        await registered(admin, a_service("A", ServiceType.VIRTUAL_OBJECT, a_handler(kind=HandlerType.EXCLUSIVE, options=ALL_OPTIONS)))
        shown = await handler_of(admin, "A")
        assert shown == {
            "name": "greet",
            "ty": "Exclusive",
            "documentation": "what it does",
            "metadata": {"c": "d"},
            "public": False,
            "idempotency_retention": "10ms",
            "journal_retention": "9ms",
            "inactivity_timeout": "1m 30s",
            "abort_timeout": "8ms",
            "enable_lazy_state": False,
            "input_description": "*/*",
            "output_description": "application/json",
            "retry_policy": {
                "initial_interval": "11ms",
                "exponentiation_factor": 3.0,
                "max_attempts": 1,
                "max_interval": "12ms",
                "on_max_attempts": "Kill",
            },
        }
        assert (await admin.http.get("/services/A/handlers")).json() == {"handlers": [shown]}

    with_admin(tmp_path, test)


@pytest.mark.parametrize(
    ("rules", "description"),
    [
        (None, "*/*"),
        (InputRules(), "none"),
        (InputRules(required=True), "<invalid rules>"),
        (InputRules(content_type="text/*"), "text/*"),
        (InputRules(content_type="a/b", json_schema={"type": "array"}), "JSON array"),
        (InputRules(content_type="a/b", json_schema={"type": "object", "title": "T"}), "JSON 'T'"),
        (InputRules(content_type="a/b", json_schema={"type": ["string", "null"]}), "a/b"),
        (InputRules(content_type="a/b", json_schema=True), "a/b"),
    ],
)
def test_input_is_described_for_people(tmp_path: Path, rules: InputRules | None, description: str) -> None:
    async def test(admin: Admin) -> None:
        await registered(admin, a_service("A", ServiceType.SERVICE, a_handler(input=rules)))
        shown = await handler_of(admin, "A")
        assert shown["input_description"] == description
        assert shown.get("input_json_schema") == (None if rules is None else rules.json_schema)

    with_admin(tmp_path, test)


@pytest.mark.parametrize(
    ("rules", "description"),
    [
        (None, "application/json"),
        (OutputRules(), "none"),
        (OutputRules(content_type="a/b"), "a/b"),
        (OutputRules(content_type="a/b", set_content_type_if_empty=True), "optional a/b"),
        (OutputRules(content_type="a/b", set_content_type_if_empty=True, json_schema={"type": "null"}), "JSON null"),
    ],
)
def test_output_is_described_for_people(tmp_path: Path, rules: OutputRules | None, description: str) -> None:
    async def test(admin: Admin) -> None:
        await registered(admin, a_service("A", ServiceType.SERVICE, a_handler(output=rules)))
        assert (await handler_of(admin, "A"))["output_description"] == description

    with_admin(tmp_path, test)


def test_an_inactivity_timeout_has_no_effect_in_request_response_mode_and_that_is_said(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        options = HandlerOptions(inactivity_timeout_ms=7)
        service = a_service("A", ServiceType.SERVICE, a_handler(options=options), a_handler("plain"), options=options)
        await registered(admin, service, mode=ProtocolMode.REQUEST_RESPONSE)
        shown = (await admin.http.get("/services/A")).json()
        assert shown["inactivity_timeout"] == "0s"
        assert [each["code"] for each in shown["info"]] == ["RT0021"]
        assert [each.get("info", [{}])[0].get("code") for each in shown["handlers"]] == ["RT0021", None]
        assert "inactivity_timeout" not in shown["handlers"][0]

    with_admin(tmp_path, test)


def test_a_patch_changes_what_it_names_and_keeps_the_revision(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        await registered(admin, a_service("A"))
        before = (await admin.http.get("/services/A")).json()
        patch = {"public": False, "journal_retention": "PT36H", "inactivity_timeout": "1h 30m", "abort_timeout": None}
        answer = await admin.http.patch("/services/A", json=patch)
        assert answer.status_code == 200
        hidden = [{**before["handlers"][0], "public": False}]
        changes = {"public": False, "journal_retention": "1d 12h", "inactivity_timeout": "1h 30m", "handlers": hidden}
        assert answer.json() == {**before, **changes}
        assert (await admin.http.get("/services/A")).json() == answer.json()
        assert (await admin.http.patch("/services/A", json={})).json() == answer.json()
        assert (await admin.http.patch("/services/A", json={"public": True, "enable_lazy_state": 3})).json()["public"] is True

    with_admin(tmp_path, test)


def test_what_the_run_handler_says_of_retention_wins_over_a_patch(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        own = HandlerOptions(workflow_completion_retention_ms=3_600_000)
        await registered(
            admin,
            a_service("Own", ServiceType.WORKFLOW, a_handler(kind=HandlerType.WORKFLOW, options=own)),
            a_service("Silent", ServiceType.WORKFLOW, a_handler(kind=HandlerType.WORKFLOW)),
        )
        patch = {"workflow_completion_retention": "5 hours"}
        assert (await admin.http.patch("/services/Own", json=patch)).json()["workflow_completion_retention"] == "1h"
        assert (await admin.http.patch("/services/Silent", json=patch)).json()["workflow_completion_retention"] == "5h"

    with_admin(tmp_path, test)


@pytest.mark.parametrize(
    ("patch", "status", "text"),
    [
        ({"workflow_completion_retention": "1d"}, 400, "modifying retention time for service type Service is unsupported"),
        ({"public": 3}, 422, "Failed to deserialize the JSON body into the target type: "),
        ({"abort_timeout": 5}, 422, "abort_timeout"),
        ({"abort_timeout": "zz"}, 422, "Failed to deserialize the JSON body into the target type: abort_timeout: "),
        ({"journal_retention": "1 month"}, 422, "please use units of days or smaller"),
        ({"journal_retention": ""}, 422, "journal_retention"),
        ([1], 422, "Failed to deserialize the JSON body into the target type: "),
    ],
)
def test_a_patch_that_cannot_be_is_refused_and_changes_nothing(tmp_path: Path, patch: object, status: int, text: str) -> None:
    async def test(admin: Admin) -> None:
        await registered(admin, a_service("A"))
        before = (await admin.http.get("/services/A")).json()
        answer = await admin.http.patch("/services/A", json=patch)
        assert answer.status_code == status
        assert text in answer.text
        assert (await admin.http.get("/services/A")).json() == before

    with_admin(tmp_path, test)


def test_unknown_names_are_told_by_each_path_in_its_own_words(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        await registered(admin, a_service("A"))
        told = {
            "GET /services/X": "The requested service 'X' does not exist",
            "GET /services/X/handlers": "The requested service 'X' does not exist",
            "GET /services/X/handlers/y": "The requested handler 'y' on service 'X' does not exist",
            "GET /services/A/handlers/y": "The requested handler 'y' on service 'A' does not exist",
        }
        for request, message in told.items():
            answer = await admin.http.request(*request.split(" "))
            assert (answer.status_code, answer.json()) == (404, {"message": message, "restate_code": None})
        empty = await admin.http.patch("/services/X", json={})
        assert (empty.status_code, empty.json()["message"]) == (404, "The requested service 'X' does not exist")
        full = await admin.http.patch("/services/X", json={"public": True})
        assert (full.status_code, full.json()["message"]) == (404, "not found in the schema registry: service with name 'X'")

    with_admin(tmp_path, test)


def test_a_patch_changes_single_options_of_the_retry_policy(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        admin.endpoints.serve("http://a:1", a_service("A"))
        await admin.register("http://a:1")
        before = (await admin.http.get("/services/A")).json()["retry_policy"]
        await admin.http.patch("/services/A", json={"retry_policy": {"max_attempts": 3, "initial_interval": "2s"}})
        answer = await admin.http.patch("/services/A", json={"retry_policy": {"on_max_attempts": "Kill"}})
        changed = {"max_attempts": 3, "initial_interval": "2s", "on_max_attempts": "Kill"}
        assert answer.json()["retry_policy"] == {**before, **changed}
        refused = await admin.http.patch("/services/A", json={"retry_policy": {"max_attempts": 0}})
        assert refused.status_code == 422

    with_admin(tmp_path, test)
