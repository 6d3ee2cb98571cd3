"""Registering, listing and removing deployments through the application."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from perdure.bus.messages import SchemaChanged
from perdure.model.deployment import GoogleIdToken, ProtocolMode
from perdure.model.target import HandlerType, ServiceType
from perdure.registry.schema import read_schema
from tests.unit.admin.harness import KEYS, SUBJECTS, Admin, Endpoints, MemoryBus, an_admin, with_admin
from tests.unit.registry.builders import a_handler, a_service

URL = "http://a:9080"
UNKNOWN_ID = "dp_17f4GmlV2jAX6YvPFBOXnM5"


def versions_told(admin: Admin) -> list[int]:
    return [
        msgspec.msgpack.decode(payload, type=SchemaChanged).meta_version
        for subject, payload in admin.bus.published
        if subject == SUBJECTS.schema
    ]


def test_a_new_deployment_is_stored_shown_and_told(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        admin.endpoints.serve(URL, a_service("Greeter"))
        answer = await admin.register(URL + "/", additional_headers={"X-A": "1"}, metadata={"team": "x"})
        assert answer.status_code == 201
        body = answer.json()
        assert answer.headers["location"] == f"deployments/{body['id']}"
        assert [(each["name"], each["revision"], each["deployment_id"]) for each in body["services"]] == [("Greeter", 1, body["id"])]
        assert (body["min_protocol_version"], body["max_protocol_version"], body["sdk_version"]) == (5, 7, "made-up/1.0")
        assert admin.endpoints.asked == [(URL, {"x-a": "1"}, False)]
        assert versions_told(admin) == [1]
        listed = (await admin.http.get("/deployments")).json()["deployments"]
        assert listed == [
            {
                "id": body["id"],
                "uri": "http://a:9080/",
                "protocol_type": "BidiStream",
                "http_version": "HTTP/2.0",
                "additional_headers": {"x-a": "1"},
                "metadata": {"team": "x"},
                "created_at": listed[0]["created_at"],
                "min_protocol_version": 5,
                "max_protocol_version": 7,
                "sdk_version": "made-up/1.0",
                "services": [{"name": "Greeter", "revision": 1}],
            }
        ]
        assert listed[0]["created_at"].endswith(".125000000Z")
        detail = (await admin.http.get(f"/deployments/{body['id']}")).json()
        assert detail == {**listed[0], "services": body["services"]}

    with_admin(tmp_path, test)


def test_an_endpoint_that_is_there_is_not_asked_again(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        admin.endpoints.serve(URL, a_service())
        first = await admin.register(URL)
        again = await admin.register(URL)
        assert again.status_code == 200
        assert again.json() == first.json()
        assert again.headers["location"] == first.headers["location"]
        assert len(admin.endpoints.asked) == 1
        assert versions_told(admin) == [1]

    with_admin(tmp_path, test)


def test_force_overwrites_with_200(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        admin.endpoints.serve(URL, a_service())
        first = await admin.register(URL, metadata={"a": "b"})
        forced = await admin.register(URL, force=True)
        assert forced.status_code == 200
        assert forced.json()["id"] == first.json()["id"]
        assert forced.json()["services"][0]["revision"] == 2
        assert "metadata" not in (await admin.http.get(f"/deployments/{first.json()['id']}")).json()

    with_admin(tmp_path, test)


def test_force_says_what_it_overwrote(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        admin.endpoints.serve(URL, a_service("A"), a_service("B"))
        assert "info" not in (await admin.register(URL, force=True)).json()
        admin.endpoints.serve(URL, a_service("A"))
        assert (await admin.register(URL, force=True, dry_run=True)).json()["info"] == [
            {"message": "'A' revision 1 would be overwritten by revision 2"},
            {"message": "'B' revision 1 would be gone, as the deployment serves it no more"},
        ]
        assert (await admin.register(URL, force=True)).json()["info"] == [
            {"message": "'A' revision 1 was overwritten by revision 2"},
            {"message": "'B' revision 1 is gone, as the deployment serves it no more"},
        ]

    with_admin(tmp_path, test)


def test_version_2_forces_unless_told_not_to_and_takes_repeats_for_conflicts(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        admin.endpoints.serve(URL, a_service())
        first = await admin.register(URL, prefix="/v2")
        assert first.status_code == 201
        forced = await admin.register(URL, prefix="/v2")
        assert (forced.status_code, forced.json()["services"][0]["revision"]) == (201, 2)
        conflict = await admin.register(URL, prefix="/v2", force=False)
        assert conflict.status_code == 409
        assert conflict.json() == {"message": f"Conflict: deployment {first.json()['id']} already exists", "restate_code": None}
        assert (await admin.register(URL, prefix="/v3")).status_code == 200

    with_admin(tmp_path, test)


def test_a_dry_run_answers_alike_and_stores_nothing(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        admin.endpoints.serve(URL, a_service())
        dry = await admin.register(URL, dry_run=True)
        assert dry.status_code == 201
        assert dry.json()["services"][0]["revision"] == 1
        assert (await admin.http.get("/deployments")).json() == {"deployments": []}
        assert versions_told(admin) == []

    with_admin(tmp_path, test)


def test_refusals_carry_their_code_and_change_nothing(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        unreachable = await admin.register("http://nobody:1")
        assert (unreachable.status_code, unreachable.json()["restate_code"]) == (500, "META0003")
        assert unreachable.json()["message"].startswith("[META0003] error when calling 'http://nobody:1'")
        admin.endpoints.serve(URL, a_service("restateX"))
        reserved = await admin.register(URL)
        assert (reserved.status_code, reserved.json()["restate_code"]) == (400, "META0005")
        admin.endpoints.serve(URL, a_service("A"))
        await admin.register(URL)
        admin.endpoints.serve("http://b:1", a_service("A", ServiceType.VIRTUAL_OBJECT, a_handler(kind=HandlerType.SHARED)))
        changed = await admin.register("http://b:1")
        assert (changed.status_code, changed.json()["restate_code"]) == (409, "META0006")
        assert len((await admin.http.get("/deployments")).json()["deployments"]) == 1
        assert (await admin.register("http://b:1", breaking=True)).status_code == 201

    with_admin(tmp_path, test)


NO_VARIANT = (
    "Failed to deserialize the JSON body into the target type: data did not match any variant of untagged enum RegisterDeploymentRequest"
)


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({}, 422, NO_VARIANT),
        ([], 422, NO_VARIANT),
        ({"uri": ""}, 422, NO_VARIANT),
        ({"uri": " b a d"}, 422, NO_VARIANT),
        ({"uri": "http://h:99999"}, 422, NO_VARIANT),
        ({"uri": URL, "force": "x"}, 422, NO_VARIANT),
        ({"uri": URL, "metadata": None}, 422, NO_VARIANT),
        ({"uri": URL, "metadata": {"a": 1}}, 422, NO_VARIANT),
        ({"uri": URL, "additional_headers": {"a b": "c"}}, 422, NO_VARIANT),
        ({"uri": URL, "additional_headers": {"a": "c\n"}}, 422, NO_VARIANT),
        ({"uri": "/x"}, 400, "The provided uri /x is not absolute, only absolute URIs can be used."),
        ({"uri": "foo"}, 400, "The provided uri foo is not absolute"),
        ({"uri": "ftp://x/y"}, 400, "neither http nor https"),
        ({"arn": "x"}, 400, "The request field 'arn' is invalid. Reason: A qualified ARN must have 8 components delimited by `:`"),
        ({"arn": "arn:aws:lambda:eu-central-1:123456789012:function:f"}, 400, "A version or an alias must follow"),
        ({"arn": "arn:aws:s3:eu-central-1:123456789012:function:f:1"}, 400, "The request field 'arn' is invalid."),
        ({"uri": URL, "auth": {}}, 422, NO_VARIANT),
        ({"uri": URL, "auth": {"Other": {}}}, 422, NO_VARIANT),
        ({"uri": URL, "auth": {"GoogleIdToken": {}}}, 400, "The request field 'auth' is invalid."),
        ({"uri": "http://172.32.0.1", "auth": {"GoogleIdToken": {}}}, 400, "The request field 'auth' is invalid."),
        (
            {"uri": "https://a", "auth": {"GoogleIdToken": {}}, "additional_headers": {"X-Serverless-Authorization": "x"}},
            400,
            "The request field 'additional_headers' is invalid.",
        ),
    ],
)
def test_a_body_that_cannot_be_is_refused_before_anyone_is_asked(tmp_path: Path, body: object, status: int, text: str) -> None:
    async def test(admin: Admin) -> None:
        answer = await admin.http.post("/deployments", json=body)
        assert answer.status_code == status
        assert text in answer.text
        assert answer.headers["content-type"] == ("text/plain; charset=utf-8" if status == 422 else "application/json")
        assert admin.endpoints.asked == []

    with_admin(tmp_path, test)


@pytest.mark.parametrize(
    ("url", "auth", "wanted"),
    [
        ("https://greeter.example/a/b?c=d", {}, GoogleIdToken("https://greeter.example")),
        ("http://10.1.2.3:80", {"audience": "me"}, GoogleIdToken("me")),
        ("http://localhost:1", {"audience": "", "impersonate_service_account": "a@b"}, GoogleIdToken("", "a@b")),
        ("http://[fd00::1]:1", {}, GoogleIdToken("http://[fd00::1]:1")),
    ],
)
def test_a_deployment_can_ask_for_tokens_of_google(tmp_path: Path, url: str, auth: dict[str, str], wanted: GoogleIdToken) -> None:
    async def test(admin: Admin) -> None:
        admin.endpoints.serve(url, a_service())
        created = await admin.register(url, auth={"GoogleIdToken": auth})
        assert (created.status_code, admin.endpoints.tokens) == (201, [wanted])
        path = f"/deployments/{created.json()['id']}"
        account = {} if wanted.impersonate_service_account is None else {"impersonate_service_account": "a@b"}
        assert (await admin.http.get(path)).json()["auth"] == {"GoogleIdToken": {"audience": wanted.audience, **account}}
        refused = await admin.http.patch(path, json={"additional_headers": {"X-Serverless-Authorization": "x"}})
        assert refused.status_code == 400
        assert (await admin.http.patch(path, json={"additional_headers": {"a": "b"}})).status_code == 200
        assert admin.endpoints.tokens[1:] == [wanted]

    with_admin(tmp_path, test)


def test_a_function_is_registered_by_its_arn(tmp_path: Path) -> None:
    arn, role = "arn:aws:lambda:eu-central-1:123456789012:function:f:1", "arn:aws:iam::123456789012:role/caller"

    async def test(admin: Admin) -> None:
        admin.endpoints.serve(arn, a_service(), mode=ProtocolMode.REQUEST_RESPONSE, lambda_compression="zstd")
        created = await admin.http.post("/deployments", json={"arn": arn, "assume_role_arn": role, "additional_headers": {"X-A": "b"}})
        assert created.status_code == 201
        assert (admin.endpoints.asked, admin.endpoints.roles) == ([(arn, {"x-a": "b"}, False)], [role])
        shown = (await admin.http.get(f"/deployments/{created.json()['id']}")).json()
        assert (shown["arn"], shown["assume_role_arn"], shown["compression"]) == (arn, role, "Zstd")
        assert shown["additional_headers"] == {"x-a": "b"}
        assert not {"uri", "http_version", "protocol_type"} & shown.keys()
        again = await admin.http.post("/deployments", json={"arn": arn})
        assert (again.status_code, again.json()["id"]) == (200, created.json()["id"])
        assert len(admin.endpoints.asked) == 1

    with_admin(tmp_path, test)


def test_absent_and_null_fields_are_defaults(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        admin.endpoints.serve(URL, a_service())
        answer = await admin.register(URL, additional_headers=None, force=None, unknown_key=1, use_http_11=True)
        assert answer.status_code == 201
        assert admin.endpoints.asked == [(URL, {}, True)]

    with_admin(tmp_path, test)


def test_a_deployment_in_use_is_removed_by_force_only(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        admin.endpoints.serve(URL, a_service())
        deployment_id = (await admin.register(URL)).json()["id"]
        for query in ("", "?force=false"):
            refused = await admin.http.delete(f"/deployments/{deployment_id}{query}")
            assert refused.status_code == 409
            assert refused.json()["message"].endswith("serves the newest revision of Greeter; use force to remove it")
        bad = await admin.http.delete(f"/deployments/{deployment_id}?force=1")
        assert (bad.status_code, bad.text) == (
            400,
            "Failed to deserialize query string: force: provided string was not `true` or `false`",
        )
        removed = await admin.http.delete(f"/deployments/{deployment_id}?force=true")
        assert (removed.status_code, removed.content) == (202, b"")
        assert (await admin.http.get("/services")).json() == {"services": []}
        gone = await admin.http.delete(f"/deployments/{deployment_id}?force=true")
        assert (gone.status_code, gone.json()["message"]) == (
            404,
            f"not found in the schema registry: deployment with id '{deployment_id}'",
        )
        assert versions_told(admin) == [1, 2]

    with_admin(tmp_path, test)


def test_a_deployment_is_drained_once_nothing_holds_it(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        admin.endpoints.serve(URL, a_service("A"), a_service("B"))
        admin.endpoints.serve("http://b:1", a_service("A"))
        admin.endpoints.serve("http://c:1", a_service("B"))
        deployment_id = (await admin.register(URL)).json()["id"]
        await admin.register("http://b:1")

        async def usage() -> object:
            return (await admin.http.get(f"/deployments/{deployment_id}/usage")).json()

        assert await usage() == {"drained": False, "active_services": ["B"], "invocations": {}}
        await admin.register("http://c:1")
        admin.rows = [{"status": "suspended", "total": 2}, {"status": "running", "total": 1}]
        assert await usage() == {"drained": False, "active_services": [], "invocations": {"running": 1, "suspended": 2}}
        refused = await admin.http.delete(f"/deployments/{deployment_id}")
        assert (refused.status_code, "(1 running, 2 suspended)" in refused.json()["message"]) == (409, True)
        admin.rows = []
        assert await usage() == {"drained": True, "active_services": [], "invocations": {}}
        assert (await admin.http.delete(f"/deployments/{deployment_id}")).status_code == 202
        assert (await admin.http.get(f"/deployments/{deployment_id}/usage")).status_code == 404
        assert (await admin.http.delete(f"/deployments/{deployment_id}")).status_code == 404

    with_admin(tmp_path, test)


def test_ids_that_are_unknown_or_none(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        unknown = await admin.http.get(f"/deployments/{UNKNOWN_ID}")
        assert unknown.status_code == 404
        assert unknown.json() == {"message": f"The requested deployment '{UNKNOWN_ID}' does not exist", "restate_code": None}
        bad = await admin.http.get("/deployments/dp_bad")
        assert (bad.status_code, bad.text) == (
            400,
            "Invalid URL: Cannot parse `deployment` with value `dp_bad`: unrecognized codec version",
        )
        deprecated = await admin.http.put(f"/v3/deployments/{UNKNOWN_ID}", json={})
        assert (deprecated.status_code, deprecated.json()["message"]) == (405, "PUT deployment is deprecated, use PATCH instead")

    with_admin(tmp_path, test)


def test_two_admins_that_register_at_once_leave_whole_revisions(tmp_path: Path) -> None:
    """Every revision exists exactly once, in the deployment that says so, and numbers have no gaps."""
    rounds = 12

    async def test() -> None:
        bus, endpoints = MemoryBus(), Endpoints()
        for number in range(rounds):
            endpoints.serve(f"http://h{number}:1", a_service("A"), a_service("B"))
        async with an_admin(tmp_path, bus=bus, endpoints=endpoints) as one, an_admin(tmp_path, bus=bus, endpoints=endpoints) as two:
            answers = await asyncio.gather(
                *(admin.register(f"http://h{number}:1") for number in range(rounds) for admin in (one, two)),
                *(admin.register("http://h0:1", force=True) for admin in (one, two)),
            )
            assert {answer.status_code for answer in answers} <= {200, 201}
            schema = await one.context.store.read(lambda tr: read_schema(tr, KEYS))
            assert (await two.http.get("/services")).json() == (await one.http.get("/services")).json()
        assert len(schema.deployments) == rounds
        owners = {(name, revision): each.id for each in schema.deployments.values() for name, revision in each.services.items()}
        assert len(owners) == 2 * rounds
        stored = {(name, number): each.deployment_id for name, by_number in schema.revisions.items() for number, each in by_number.items()}
        assert stored == owners
        assert {each["services"][0]["revision"] for each in (answer.json() for answer in answers)} >= set(schema.revisions["A"])

    asyncio.run(test())
