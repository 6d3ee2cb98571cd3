"""Updating a deployment in place through the application."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from perdure.model.deployment import ProtocolMode
from perdure.model.target import HandlerType, ServiceType
from tests.unit.admin.harness import Admin, with_admin
from tests.unit.registry.builders import a_handler, a_service

URL, OTHER = "http://a:9080", "http://b:9080"
UNKNOWN_ID = "dp_17f4GmlV2jAX6YvPFBOXnM5"
ARN = "arn:aws:lambda:eu-central-1:123456789012:function:f:1"


async def registered(admin: Admin, url: str = URL, **fields: Any) -> dict[str, Any]:
    """Register the endpoint at `url` and return its deployment as shown."""
    deployment_id = (await admin.register(url, **fields)).json()["id"]
    return (await admin.http.get(f"/deployments/{deployment_id}")).json()


def test_address_and_headers_change_and_all_else_stays(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        admin.endpoints.serve(URL, a_service("A"))
        admin.endpoints.serve(OTHER, a_service("A"), a_service("B"), mode=ProtocolMode.REQUEST_RESPONSE)
        before = await registered(admin, metadata={"team": "x"}, additional_headers={"a": "1"})
        await admin.http.patch("/services/A", json={"public": False})
        path = f"/deployments/{before['id']}"
        answer = await admin.http.patch(path, json={"uri": OTHER + "/", "use_http_11": True, "additional_headers": {"X-B": "2"}})
        assert answer.status_code == 200
        assert admin.endpoints.asked[-1] == (OTHER, {"x-b": "2"}, True)
        changed = {"uri": OTHER + "/", "protocol_type": "RequestResponse", "additional_headers": {"x-b": "2"}}
        services = [{**before["services"][0], "public": False}]
        shown = answer.json()
        assert shown == {**before, **changed, "services": shown["services"]}
        assert [(each["name"], each["revision"], each["public"]) for each in shown["services"]] == [("A", 1, False)]
        assert services[0]["deployment_id"] == shown["services"][0]["deployment_id"]
        assert (await admin.http.get(path)).json() == shown

    with_admin(tmp_path, test)


def test_an_overwrite_replaces_what_is_served_and_keeps_numbers(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        admin.endpoints.serve(URL, a_service("A"), a_service("Gone"))
        admin.endpoints.serve(OTHER, a_service("B"))
        before = await registered(admin)
        await admin.register(OTHER)
        await admin.http.patch("/services/A", json={"public": False})
        changed_type = a_service("A", ServiceType.VIRTUAL_OBJECT, a_handler(kind=HandlerType.SHARED))
        admin.endpoints.serve(URL, changed_type, a_service("B"), a_service("New"))
        dry = await admin.http.patch(f"/deployments/{before['id']}", json={"uri": URL, "overwrite": True, "dry_run": True})
        assert {each["name"] for each in (await admin.http.get("/services")).json()["services"]} == {"A", "B", "Gone"}
        done = await admin.http.patch(f"/deployments/{before['id']}", json={"uri": URL, "overwrite": True})
        assert dry.json() == done.json()
        assert {each["name"]: (each["revision"], each["ty"], each["public"]) for each in done.json()["services"]} == {
            "A": (1, "VirtualObject", True),
            "B": (2, "Service", True),
            "New": (1, "Service", True),
        }
        assert done.json()["created_at"] == before["created_at"]
        active = {each["name"]: each["deployment_id"] == before["id"] for each in (await admin.http.get("/services")).json()["services"]}
        assert active == {"A": True, "B": True, "New": True}

    with_admin(tmp_path, test)


@pytest.mark.parametrize("body", [{}, {"overwrite": True}, {"uri": None, "metadata": {"a": "b"}}, {"dry_run": True}])
def test_where_nothing_is_to_change_nobody_is_asked(tmp_path: Path, body: dict[str, Any]) -> None:
    async def test(admin: Admin) -> None:
        admin.endpoints.serve(URL, a_service())
        before = await registered(admin)
        answer = await admin.http.patch(f"/deployments/{before['id']}", json=body)
        assert (answer.status_code, answer.json()) == (200, before)
        assert len(admin.endpoints.asked) == 1

    with_admin(tmp_path, test)


def test_headers_alone_are_tried_where_it_is(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        admin.endpoints.serve(URL, a_service())
        before = await registered(admin, additional_headers={"a": "1"})
        answer = await admin.http.patch(f"/v2/deployments/{before['id']}", json={"additional_headers": {}})
        assert answer.json() == {name: value for name, value in before.items() if name != "additional_headers"}
        assert admin.endpoints.asked[-1] == (URL, {}, False)

    with_admin(tmp_path, test)


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"uri": "/x"}, 400, "The provided uri /x is not absolute"),
        ({"uri": ""}, 422, "data did not match any variant of untagged enum UpdateDeploymentRequest"),
        ([], 422, "data did not match any variant of untagged enum UpdateDeploymentRequest"),
        ({"additional_headers": {"a b": "c"}}, 422, "data did not match"),
        ({"assume_role_arn": "x"}, 400, "the deployment type is http while the update options are for type lambda"),
        ({"arn": "x"}, 400, "The request field 'arn' is invalid. Reason: A qualified ARN must have 8 components delimited by `:`"),
        ({"uri": "http://nobody:1"}, 500, "[META0003] error when calling 'http://nobody:1'"),
        ({"uri": OTHER}, 409, "is registered at http://b:9080 already"),
        ({"uri": "http://old:1"}, 400, "[META0016] the deployment '"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(tmp_path: Path, body: object, status: int, text: str) -> None:
    async def test(admin: Admin) -> None:
        for url in (URL, OTHER, "http://old:1"):
            admin.endpoints.serve(url, a_service())
        admin.endpoints.found["http://old:1"] = msgspec.structs.replace(admin.endpoints.found[URL], protocol_version_max=6)
        await registered(admin, OTHER)
        before = await registered(admin)
        answer = await admin.http.patch(f"/deployments/{before['id']}", json=body)
        assert answer.status_code == status
        assert text in answer.text
        assert (await admin.http.get(f"/deployments/{before['id']}")).json() == before

    with_admin(tmp_path, test)


def test_a_function_moves_to_another_version(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        newer = ARN.removesuffix("1") + "2"
        for arn in (ARN, newer):
            admin.endpoints.serve(arn, a_service(), mode=ProtocolMode.REQUEST_RESPONSE)
        deployment_id = (await admin.http.post("/deployments", json={"arn": ARN, "assume_role_arn": "r"})).json()["id"]
        answer = await admin.http.patch(f"/deployments/{deployment_id}", json={"arn": newer})
        assert (answer.status_code, answer.json()["arn"], answer.json()["assume_role_arn"]) == (200, newer, "r")
        assert admin.endpoints.roles[-1] == "r"
        wrong = await admin.http.patch(f"/deployments/{deployment_id}", json={"use_http_11": True})
        assert (wrong.status_code, "type is lambda while the update options are for type http" in wrong.text) == (400, True)

    with_admin(tmp_path, test)


def test_only_version_2_has_put(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        admin.endpoints.serve(URL, a_service())
        path = f"/deployments/{(await registered(admin))['id']}"
        assert (await admin.http.put(f"/v2{path}", json={})).status_code == 200
        for prefix in ("", "/v3", "/v4"):
            deprecated = await admin.http.put(prefix + path, json={})
            assert (deprecated.status_code, deprecated.json()["message"]) == (405, "PUT deployment is deprecated, use PATCH instead")
        assert (await admin.http.put(f"/v3{path}")).status_code == 415
        for body in ({}, {"uri": URL}):
            unknown = await admin.http.patch(f"/deployments/{UNKNOWN_ID}", json=body)
            assert (unknown.status_code, unknown.json()["message"]) == (404, f"The requested deployment '{UNKNOWN_ID}' does not exist")

    with_admin(tmp_path, test)
