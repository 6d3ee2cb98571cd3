"""Requests that are wrong: each gets a clear error in the right form, and the server goes on."""

import socket
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Services
from tests.e2e.suite import Suite

MIB = 1024 * 1024
JSON = {"content-type": "application/json"}


def assert_ingress_error(response: httpx.Response, status: int) -> None:
    assert response.status_code == status, response.text
    assert response.headers["x-restate-error-source"] == "ingress"
    assert response.headers["content-type"] == "application/json"
    error = response.json()
    assert (error["code"], error["source"]) == (status, "ingress")
    assert len(error["message"]) > 8


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/Nobody/greet", 404),
        ("POST", "/Greeter/nothing", 404),
        ("POST", "/Counter/key/nothing", 404),
        ("POST", "/restate/call/Nobody/greet", 404),
        ("POST", "/restate/nonsense/x", 404),
        ("PATCH", "/Nobody/x", 404),
        ("PUT", "/Greeter/greet", 405),
        ("DELETE", "/Counter/key/add", 405),
        ("POST", "/restate/health", 405),
        ("GET", "/", 400),
        ("POST", "/Greeter", 400),
        ("POST", "/Greeter/greet/nonsense", 400),
        ("POST", "/Greeter/greet/send/more", 400),
        ("POST", "/Counter/%ff/add", 400),
        ("GET", "/restate/attach/inv_nonsense", 400),
        ("GET", "/restate/output/nonsense", 400),
    ],
)
def test_a_wrong_path_or_method_is_refused(suite: Suite, http2: Services, method: str, path: str, status: int) -> None:
    assert_ingress_error(suite.call(path, method=method), status)


@pytest.mark.parametrize(
    ("path", "headers", "body"),
    [
        ("Greeter/greet", {}, b'"Ada"'),
        ("Greeter/greet", {"content-type": "text/plain"}, b'"Ada"'),
        ("Greeter/greet", JSON, b""),
        ("Greeter/greet/send?delay=soon", JSON, b'"Ada"'),
        ("Greeter/greet/send?delay=-1s", JSON, b'"Ada"'),
        ("Greeter/greet?delay=1s", JSON, b'"Ada"'),
        ("Greeter/greet", {**JSON, "x-odd": "caf\xe9"}, b'"Ada"'),
    ],
)
def test_a_wrong_body_or_parameter_is_refused(http2: Services, path: str, headers: dict[str, str], body: bytes) -> None:
    raw = {name: value.encode("latin-1") for name, value in headers.items()}
    assert_ingress_error(http2.suite.call(http2.path(path), body, headers=raw), 400)  # type: ignore[arg-type]


def test_a_body_that_its_handler_cannot_read_fails_that_call_only(http2: Services) -> None:
    response = http2.suite.call(http2.path("Greeter", "greet"), b"{", headers=JSON)
    assert (response.status_code, response.headers["x-restate-error-source"]) == (500, "invocation")
    assert http2.suite.result(http2.path("Greeter", "greet"), "Ada") == "Hello Ada"


def test_a_body_above_the_limit_is_refused(suite: Suite, http2: Services) -> None:
    response = suite.call("/Greeter/greet", b"x" * (33 * MIB), headers=JSON)
    assert (response.status_code, response.text) == (413, "length limit exceeded")
    assert suite.result("/Greeter/greet", "Ada") == "Hello Ada"


def test_a_chunked_body_above_the_limit_is_refused(suite: Suite, http2: Services) -> None:
    response = suite.http.post(f"{suite.ingress_url}/Greeter/greet", content=(b"x" * MIB for _ in range(33)), headers=JSON)
    assert response.status_code == 413


def test_a_large_body_passes(suite: Suite, http2: Services) -> None:
    name = "x" * (3 * MIB)
    assert suite.result("/Greeter/greet", name) == f"Hello {name}"


@pytest.mark.parametrize("data", [b"\x00\x01\x02\r\n\r\n", b"GET\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 64])
@pytest.mark.parametrize("port", ["ingress_port", "admin_port"])
def test_bytes_that_are_no_http_end_their_connection_only(suite: Suite, http2: Services, port: str, data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", getattr(suite, port)), 10) as connection:
        connection.sendall(data)
        answer = connection.recv(65536)
        assert not answer or answer.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400")) or answer[3:4] in (b"\x04", b"\x07")
    assert suite.result("/Greeter/greet", "Ada") == "Hello Ada"
    assert suite.http.get(f"{suite.admin_url}/health").status_code == 200


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{", JSON, 400),
        (b"", JSON, 400),
        (b"{}", JSON, 422),
        (b"[1]", JSON, 422),
        (b'{"uri": 7}', JSON, 422),
        (b'{"uri": "http://127.0.0.1:1"}', {}, 415),
        (b'{"uri": "http://127.0.0.1:1"}', {"content-type": "text/plain"}, 415),
    ],
)
def test_a_registration_that_cannot_be_read_is_refused(suite: Suite, content: bytes, headers: dict[str, str], status: int) -> None:
    response = suite.http.post(f"{suite.admin_url}/deployments", content=content, headers=headers)
    assert response.status_code == status, response.text
    assert response.headers["content-type"].startswith("text/plain")
    assert len(response.text) > 8


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/services/", 404),
        ("PUT", "/services", 405),
        ("DELETE", "/health", 405),
        ("GET", "/services/Nobody", 404),
        ("GET", "/deployments/dp_nonsense", 400),
        ("GET", "/deployments/dp_11nGQpCRmau6ypL82KH2TnP", 404),
        ("DELETE", "/deployments/dp_11nGQpCRmau6ypL82KH2TnP?force=true", 404),
    ],
)
def test_a_wrong_admin_request_is_refused(suite: Suite, method: str, path: str, status: int) -> None:
    assert suite.http.request(method, suite.admin_url + path).status_code == status


def test_a_relative_address_is_refused(suite: Suite) -> None:
    response = suite.http.post(f"{suite.admin_url}/deployments", json={"uri": "/x"})
    body: dict[str, Any] = response.json()
    assert (response.status_code, body["restate_code"]) == (400, None)


def test_a_second_registration_changes_nothing_unless_forced(suite: Suite, http2: Services) -> None:
    first, again = suite.register(http2.endpoint.url), suite.register(http2.endpoint.url)
    assert first["id"] == again["id"]
    assert [service["revision"] for service in again["services"]] == [service["revision"] for service in first["services"]]
