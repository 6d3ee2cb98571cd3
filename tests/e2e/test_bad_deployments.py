"""Deployments that are none, answer garbage, hang, or cut the stream: a clear error or a retry, and everything else goes on."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.e2e.conftest import Services
from tests.e2e.endpoint import Endpoint
from tests.e2e.misbehaving import DamagingProxy, WebServer, cut_after, garbage, silence, unharmed
from tests.e2e.processes import eventually
from tests.e2e.suite import Suite
from tests.ports import free_ports

MANIFEST = "application/vnd.restate.endpointmanifest.v3+json"


@pytest.fixture
def web_server() -> Iterator[Callable[..., WebServer]]:
    """Starts web servers that end with the test."""
    servers: list[WebServer] = []

    def start(body: bytes | None, status: int = 200, content_type: str = "text/html") -> WebServer:
        servers.append(WebServer(body, status=status, content_type=content_type))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture(scope="module")
def frail(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Endpoint, DamagingProxy]]:
    """The Python services, registered through a proxy that can damage what they answer."""
    endpoint = Endpoint("tests.e2e.services:app", tmp_path_factory.mktemp("frail"), prefix="Frail")
    endpoint.start()
    proxy = DamagingProxy(endpoint.port)
    try:
        suite.register(proxy.url)
        yield endpoint, proxy
    finally:
        proxy.close()
        endpoint.stop()


def registration(suite: Suite, url: str, **options: object) -> httpx.Response:
    response = suite.http.post(f"{suite.admin_url}/deployments", json={"uri": url, **options})
    assert set(response.json()) == {"message", "restate_code"}
    return response


def test_an_unreachable_deployment_is_refused(suite: Suite) -> None:
    response = registration(suite, f"http://127.0.0.1:{free_ports(1)[0]}")
    assert (response.status_code, response.json()["restate_code"]) == (500, "META0003")
    assert response.json()["message"].startswith("[META0003]")


@pytest.mark.parametrize(
    ("body", "status", "content_type", "code"),
    [
        (b"<h1>Welcome</h1>", 200, "text/html", "META0013"),
        (b"nothing here", 404, "text/plain", "META0003"),
        (b"broken", 500, "text/plain", "META0003"),
        (b"{}", 200, "application/json", "META0013"),
        (b"{", 200, MANIFEST, None),
        (b"\x00\xff" * 100, 200, MANIFEST, None),
    ],
)
def test_a_web_server_that_is_no_deployment_is_refused(
    suite: Suite, web_server: Callable[..., WebServer], body: bytes, status: int, content_type: str, code: str | None
) -> None:
    response = registration(suite, web_server(body, status, content_type).url, use_http_11=True)
    assert (response.status_code, response.json()["restate_code"]) == (500, code)


def test_a_web_server_without_http2_is_told_apart(suite: Suite, web_server: Callable[..., WebServer]) -> None:
    response = registration(suite, web_server(b"<h1>Welcome</h1>").url)
    assert response.status_code == 500
    assert response.json()["restate_code"] in ("META0003", "META0014")


def test_a_deployment_that_answers_garbage_to_discovery_is_refused(suite: Suite, endpoint: Endpoint) -> None:
    proxy = DamagingProxy(endpoint.port)
    proxy.damage = garbage
    try:
        for options in ({}, {"use_http_11": True}):
            assert registration(suite, proxy.url, **options).status_code == 500
    finally:
        proxy.close()


def test_a_deployment_that_hangs_in_discovery_holds_up_nobody_else(
    suite: Suite, http2: Services, web_server: Callable[..., WebServer]
) -> None:
    with pytest.raises(httpx.ReadTimeout):
        suite.http.post(f"{suite.admin_url}/deployments", json={"uri": web_server(None).url, "use_http_11": True}, timeout=1.0)
    assert suite.http.get(f"{suite.admin_url}/deployments").status_code == 200
    assert suite.result(http2.path("Greeter", "greet"), "Ada") == "Hello Ada"


@pytest.mark.parametrize("byte_count", [0, 1, 9, 40, 100, 200, 300, 400, 500, 600])
def test_a_stream_cut_at_any_byte_is_retried_to_the_one_result(
    suite: Suite, frail: tuple[Endpoint, DamagingProxy], tag: str, byte_count: int
) -> None:
    endpoint, proxy = frail
    proxy.damage = cut_after(byte_count)
    proxy.drop_connections()
    seen = proxy.connections
    invocation_id = suite.send("/FrailSteps/run", {"tag": tag, "count": 10})
    eventually(lambda: proxy.connections > seen + 1, "the cut attempt is retried")
    proxy.damage = unharmed
    proxy.drop_connections()
    assert suite.attach(invocation_id).json() == [number * number for number in range(10)]
    assert set(endpoint.effects(tag)) == {f"step-{number}" for number in range(10)}


def test_garbage_in_place_of_a_stream_is_retried_to_the_one_result(suite: Suite, frail: tuple[Endpoint, DamagingProxy], tag: str) -> None:
    _, proxy = frail
    proxy.damage = garbage
    proxy.drop_connections()
    seen = proxy.connections
    invocation_id = suite.send(f"/FrailCounter/{tag}/add", 1)
    eventually(lambda: proxy.connections > seen + 1, "the garbage is retried")
    proxy.damage = unharmed
    proxy.drop_connections()
    assert suite.attach(invocation_id).json() == 1


def test_a_deployment_that_hangs_holds_up_nobody_else(
    suite: Suite, http2: Services, frail: tuple[Endpoint, DamagingProxy], tag: str
) -> None:
    _, proxy = frail
    proxy.damage = silence
    proxy.drop_connections()
    seen = proxy.connections
    hanging = [suite.send(f"/FrailCounter/{tag}/add", 1) for _ in range(5)]
    eventually(lambda: proxy.connections > seen, "an attempt hangs")
    assert suite.result(http2.path("Counter", tag, "add"), 1) == 1
    proxy.damage = unharmed
    proxy.drop_connections()
    assert [suite.attach(invocation_id).json() for invocation_id in hanging] == [1, 2, 3, 4, 5]
