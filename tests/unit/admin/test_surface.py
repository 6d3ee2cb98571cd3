"""What holds for every path: versions, methods, bodies, compression, and that the description names what exists."""

from pathlib import Path
from typing import Any, cast

import pytest
from starlette.routing import Route

from perdure.bus.messages import Heartbeat
from services.admin.api import ROUTES
from services.admin.app import ingress_url
from services.admin.bodies import BODY_BYTES_MAX
from services.admin.openapi import openapi_document
from tests.unit.admin.harness import Admin, with_admin
from tests.unit.registry.builders import a_service


@pytest.mark.parametrize("prefix", ["", "/v2", "/v3", "/v4"])
def test_known_versions_and_none_lead_to_the_same(tmp_path: Path, prefix: str) -> None:
    async def test(admin: Admin) -> None:
        answer = await admin.http.get(f"{prefix}/version")
        assert answer.status_code == 200
        features = answer.json()["features"]
        assert features
        assert not any(features.values())
        assert answer.json() == {
            "version": "1.7.12",
            "min_admin_api_version": 2,
            "max_admin_api_version": 4,
            "ingress_endpoint": "http://ingress:8080/",
            "features": features,
        }
        assert (await admin.http.get(f"{prefix}/deployments")).json() == {"deployments": []}

    with_admin(tmp_path, test)


@pytest.mark.parametrize(
    ("addresses", "url"),
    [
        ([], None),
        ([""], None),
        (["0.0.0.0:8080"], "http://127.0.0.1:8080/"),
        (["[::]:8080"], "http://127.0.0.1:8080/"),
        (["", "10.0.0.7:8080", "10.0.0.8:8080"], "http://10.0.0.7:8080/"),
        (["[fd00::7]:8080"], "http://[fd00::7]:8080/"),
    ],
)
def test_clients_are_told_of_an_ingress_that_listens(addresses: list[str], url: str | None) -> None:
    assert ingress_url([Heartbeat(1, "ingress", f"ingress-{address}", address, "1", 0) for address in addresses]) == url


def test_clients_are_told_of_tls_where_the_ingress_speaks_it() -> None:
    assert ingress_url([Heartbeat(1, "ingress", "ingress-1", "10.0.0.7:8080", "1", 0, scheme="https")]) == "https://10.0.0.7:8080/"


@pytest.mark.parametrize(
    ("request_line", "status", "allow"),
    [
        ("GET /health", 200, None),
        ("HEAD /health", 200, None),
        ("GET /nothing", 404, None),
        ("GET /services/", 404, None),
        ("GET /v5/version", 404, None),
        ("GET /v2/x", 404, None),
        ("POST /services", 405, "GET,HEAD"),
        ("PUT /health", 405, "GET,HEAD"),
        ("GET /invocations/x", 405, "DELETE"),
        ("GET /v0/version", 404, None),
        ("GET /v04/version", 404, None),
        ("GET /%73ervices", 404, None),
        ("DELETE /services/a%2Fb", 405, "GET,HEAD,PATCH"),
    ],
)
def test_answers_without_a_body(tmp_path: Path, request_line: str, status: int, allow: str | None) -> None:
    async def test(admin: Admin) -> None:
        answer = await admin.http.request(*request_line.split(" "))
        assert (answer.status_code, answer.content, answer.headers.get("allow")) == (status, b"", allow)
        assert "content-type" not in answer.headers

    with_admin(tmp_path, test)


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/services/a%2Fb", 404, "The requested service 'a/b' does not exist"),
        ("/deployments/http%3A%2F%2Fx", 400, "Invalid URL: Cannot parse `deployment` with value `http://x`: bad format"),
        ("/services/%C3%A9", 404, "The requested service 'é' does not exist"),
        ("/v3/services/%FF", 400, "Invalid URL: Invalid UTF-8 in `service`"),
        ("/kafka-clusters/a%FF", 400, "Invalid URL: Invalid UTF-8 in `cluster_name`"),
        ("/kafka-clusters/a?include_subscriptions=", 400, "include_subscriptions: provided string was not `true` or `false`"),
    ],
)
def test_a_part_of_a_path_is_what_stands_between_its_slashes_decoded(tmp_path: Path, path: str, status: int, text: str) -> None:
    async def test(admin: Admin) -> None:
        answer = await admin.http.get(path)
        assert answer.status_code == status
        assert text in answer.text

    with_admin(tmp_path, test)


@pytest.mark.parametrize(
    "request_line", ["PUT /limits/rules", "POST /v4/limits/rules/bulk-delete", "POST /vqueues/x/pause", "POST /vqueues/x/resume"]
)
def test_limits_are_refused_with_a_reason(tmp_path: Path, request_line: str) -> None:
    async def test(admin: Admin) -> None:
        answer = await admin.http.request(*request_line.split(" "))
        assert (answer.status_code, answer.json()["restate_code"]) == (501, None)
        assert "neither limit rules nor virtual queues" in answer.json()["message"]

    with_admin(tmp_path, test)


def test_version_1_is_gone_and_that_is_said(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        for path in ("/v1", "/v1/version", "/v1/deployments"):
            answer = await admin.http.get(path)
            assert answer.status_code == 400
            assert answer.text.endswith("This server supports versions between V2 and V4.")
        assert (await admin.http.get("/v1/version")).text.startswith("Unsupported Admin API version V1.")

    with_admin(tmp_path, test)


@pytest.mark.parametrize(
    ("content_type", "body", "status", "text"),
    [
        (None, b"{}", 415, "Expected request with `Content-Type: application/json`"),
        ("text/plain", b"{}", 415, "Expected request with `Content-Type: application/json`"),
        ("application/json", b"", 400, "at line 1 column 0"),
        ("application/json", b"zzz", 400, "at line 1 column 1"),
        ("application/json; charset=utf-8", b'{\n "a": nope}', 400, "at line 2 column "),
        ("application/json", b'{"a": "\xff"}', 400, "Failed to parse the request body as JSON: "),
        ("application/json", b"[" * 100_000, 400, "Failed to parse the request body as JSON: "),
        ("application/json", b'"' + bytes(BODY_BYTES_MAX), 413, "larger than 4194304 bytes"),
        ("application/vnd.x+json", b"{", 400, "Failed to parse the request body as JSON: "),
    ],
)
def test_a_body_that_is_not_json_is_answered_as_text(tmp_path: Path, content_type: str | None, body: bytes, status: int, text: str) -> None:
    async def test(admin: Admin) -> None:
        headers = {} if content_type is None else {"content-type": content_type}
        answer = await admin.http.post("/deployments", content=body, headers=headers)
        assert answer.status_code == status
        assert text in answer.text
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"

    with_admin(tmp_path, test)


def test_responses_are_compressed_for_who_asks(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        admin.endpoints.serve("http://a:1", a_service())
        await admin.register("http://a:1")
        packed = await admin.http.get("/services", headers={"accept-encoding": "gzip"})
        plain = await admin.http.get("/services", headers={"accept-encoding": "identity"})
        assert packed.headers["content-encoding"] == "gzip"
        assert "content-encoding" not in plain.headers
        assert packed.json() == plain.json()

    with_admin(tmp_path, test)


def test_the_cluster_has_a_name_and_no_metadata_members(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        assert (await admin.http.get("/cluster-health")).json() == {"cluster_name": "test", "metadata_cluster_health": None}

    with_admin(tmp_path, test)


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if "$ref" in value else set[str]()
        return own.union(*(references(member) for member in value.values()))
    return set[str]().union(*(references(member) for member in value)) if isinstance(value, list) else set()


def test_the_description_names_exactly_what_exists(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        document = (await admin.http.get("/v4/openapi")).json()
        assert (document["openapi"], document["info"]["title"], document["info"]["version"]) == ("3.1.0", "Admin API", "1.7.12")
        paths = {route.path for route in ROUTES if not route.path.startswith("/internal/")} - {"/openapi"}
        assert set(document["paths"]) == paths
        for path, item in document["paths"].items():
            url = path.replace("{", "").replace("}", "")
            for method in set(item) - {"parameters"}:
                assert (await admin.http.request(method.upper(), url)).status_code != 405, path
            assert {each["name"] for each in item.get("parameters", [])} == set(cast("Route", route_of(path)).param_convertors)

    with_admin(tmp_path, test)


def route_of(path: str) -> Route:
    return next(route for route in ROUTES if route.path == path)


def test_every_reference_in_the_description_has_its_schema() -> None:
    document = openapi_document("1.7.12")
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert references(document) == known
