"""Discovery against real SDKs and against endpoints that are none."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
import restate

from perdure.deployments.discovery import discover
from perdure.deployments.errors import BadDiscoveryResponse, DeploymentUnreachable, DiscoveryError, Http11Only
from perdure.deployments.manifest import MEDIA_TYPES
from perdure.model.deployment import ProtocolMode
from perdure.model.target import HandlerType, ServiceType
from tests.contract.deployments.support import a_client, byte_server, hypercorn_server, run, stay_silent
from tests.unit.deployments.seed_descriptors import a_file, a_response

MANIFEST = {"protocolMode": "REQUEST_RESPONSE", "minProtocolVersion": 5, "maxProtocolVersion": 7, "services": []}


class NoJitter:
    def bytes(self, size: int) -> bytes:
        return bytes(size)

    def fraction(self) -> float:
        return 0.0


def sdk_app() -> Any:
    greeter = restate.Service("Greeter")
    counter = restate.VirtualObject("Counter")
    signup = restate.Workflow("Signup")

    @greeter.handler()
    async def greet(ctx: restate.Context, name: str) -> str:
        return name

    @counter.handler()
    async def add(ctx: restate.ObjectContext, amount: int) -> int:
        return amount

    @counter.handler(kind="shared")
    async def get(ctx: restate.ObjectSharedContext) -> int:
        return 0

    @signup.main()
    async def run(ctx: restate.WorkflowContext) -> str:
        return ""

    @signup.handler()
    async def confirm(ctx: restate.WorkflowSharedContext) -> None:
        return None

    return restate.app([greeter, counter, signup])


def answering(*answers: tuple[int, str, bytes]) -> tuple[Callable[..., Any], list[str]]:
    """An ASGI application that gives `answers` in turn (the last one for ever), and the paths it was asked for."""
    paths: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        status, content_type, body = answers[min(len(paths), len(answers) - 1)]
        paths.append(f"{scope['method']} {scope['path']}")
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", content_type.encode())]})
        await send({"type": "http.response.body", "body": body})

    return app, paths


@pytest.mark.parametrize(
    ("use_http_11", "http_version", "mode"),
    [(False, "HTTP/2.0", ProtocolMode.BIDI_STREAM), (True, "HTTP/1.1", ProtocolMode.REQUEST_RESPONSE)],
)
def test_the_python_sdk_is_discovered_under_a_path(use_http_11: bool, http_version: str, mode: ProtocolMode) -> None:
    async def test() -> None:
        async with hypercorn_server(sdk_app()) as port, a_client() as client:
            found = await discover(client, f"http://127.0.0.1:{port}/base/", use_http_11=use_http_11)
        assert (found.http_version, found.protocol_mode) == (http_version, mode)
        assert (found.protocol_version_min, found.protocol_version_max) == (5, 7)
        assert found.sdk_version is not None
        assert found.sdk_version.startswith("restate-sdk-python/")
        types = {
            service.name: (service.service_type, {name: it.handler_type for name, it in service.handlers.items()})
            for service in found.services
        }
        assert types == {
            "Greeter": (ServiceType.SERVICE, {"greet": HandlerType.PLAIN}),
            "Counter": (ServiceType.VIRTUAL_OBJECT, {"add": HandlerType.EXCLUSIVE, "get": HandlerType.SHARED}),
            "Signup": (ServiceType.WORKFLOW, {"run": HandlerType.WORKFLOW, "confirm": HandlerType.SHARED}),
        }

    run(test())


def test_a_passing_failure_is_retried() -> None:
    async def test() -> None:
        good = (200, MEDIA_TYPES[3], json.dumps(MANIFEST).encode())
        app, paths = answering((503, "text/plain", b"soon"), (429, "text/plain", b"soon"), good)
        async with hypercorn_server(app) as port, a_client() as client:
            found = await discover(client, f"http://127.0.0.1:{port}", random=NoJitter())
        assert (found.services, paths) == ([], ["GET /discover"] * 3)

    run(test())


def test_a_failure_that_stays_is_tried_five_times() -> None:
    async def test() -> None:
        app, paths = answering((502, "text/plain", b"bad gateway"))
        async with hypercorn_server(app) as port, a_client() as client:
            with pytest.raises(DeploymentUnreachable, match=r"got status code '502' .*bad gateway") as caught:
                await discover(client, f"http://127.0.0.1:{port}", random=NoJitter())
        assert (caught.value.code, len(paths)) == ("META0003", 5)

    run(test())


@pytest.mark.parametrize(
    ("answer", "error", "reason"),
    [
        ((403, "text/plain", b"not for you"), DeploymentUnreachable, "got status code '403' .*not for you"),
        ((301, "text/plain", b""), DeploymentUnreachable, "got status code '301'"),
        ((200, "application/json", b"{}"), BadDiscoveryResponse, "'application/json'"),
        ((200, MEDIA_TYPES[0] + "; charset=utf-8", b"{}"), BadDiscoveryResponse, "content type"),
        ((200, MEDIA_TYPES[0], b"{}"), DiscoveryError, "cannot be read"),
    ],
)
def test_an_endpoint_that_is_none_is_refused_at_once(answer: tuple[int, str, bytes], error: type[DiscoveryError], reason: str) -> None:
    async def test() -> None:
        app, paths = answering(answer)
        async with hypercorn_server(app) as port, a_client() as client:
            with pytest.raises(error, match=reason) as caught:
                await discover(client, f"http://127.0.0.1:{port}")
        assert (type(caught.value), len(paths)) == (error, 1)
        assert caught.value.hint

    run(test())


SEED_RESPONSE = (200, "application/proto", a_response(a_file()))
REFUSALS = [(404, "text/plain", b"no such page"), (405, "", b""), (415, "", b"")]


@pytest.mark.parametrize("refusal", [None, *REFUSALS], ids=lambda refusal: f"after-{refusal and refusal[0]}")
def test_an_endpoint_of_the_seed_era_is_known_by_its_answer(refusal: tuple[int, str, bytes] | None) -> None:
    async def test() -> None:
        app, paths = answering(*([] if refusal is None else [refusal]), SEED_RESPONSE)
        async with hypercorn_server(app) as port, a_client() as client:
            found = await discover(client, f"http://127.0.0.1:{port}")
        assert [service.name for service in found.services] == ["shop.Cart"]
        assert paths == ["GET /discover", "POST /discover"][: 1 if refusal is None else 2]

    run(test())


@pytest.mark.parametrize("second", [(404, "text/plain", b"still none"), (200, "text/html", b"hello"), (503, "text/plain", b"soon")])
def test_what_is_no_endpoint_of_any_era_is_named_by_its_first_answer(second: tuple[int, str, bytes]) -> None:
    async def test() -> None:
        app, paths = answering(REFUSALS[0], second)
        async with hypercorn_server(app) as port, a_client() as client:
            with pytest.raises(DeploymentUnreachable, match=r"got status code '404' .*no such page"):
                await discover(client, f"http://127.0.0.1:{port}")
        assert len(paths) == 2

    run(test())


def test_additional_headers_win_over_the_accepted_media_types() -> None:
    async def test() -> None:
        seen = asyncio.get_running_loop().create_future()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.set_result(await reader.readuntil(b"\r\n\r\n"))
            writer.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
            await writer.drain()

        async with byte_server(serve) as port, a_client() as client:
            headers = {"Authorization": "secret", "Accept": "mine"}
            with pytest.raises(DeploymentUnreachable):
                await discover(client, f"http://127.0.0.1:{port}/a?b=c", additional_headers=headers, use_http_11=True)
        head = (await seen).decode()
        assert head.startswith("GET /a/discover?b=c HTTP/1.1\r\n")
        assert "authorization: secret\r\n" in head
        assert "accept: mine\r\n" in head

    run(test())


def test_an_http1_server_asked_over_http2_is_named_as_such() -> None:
    async def test() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
            await writer.drain()

        async with byte_server(serve) as port, a_client() as client:
            with pytest.raises(Http11Only, match=r"possibly supports only HTTP/1\.1: register it with `use_http_11`") as caught:
                await discover(client, f"http://127.0.0.1:{port}")
        assert caught.value.code == "META0014"

    run(test())


def test_an_http2_server_asked_over_http1_is_named_as_such() -> None:
    async def test() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00")
            await reader.read()

        async with byte_server(serve) as port, a_client() as client:
            with pytest.raises(DeploymentUnreachable, match="possibly supports only HTTP/2: register it without `use_http_11`"):
                await discover(client, f"http://127.0.0.1:{port}", use_http_11=True)

    run(test())


def test_nobody_listening_is_unreachable_after_all_tries() -> None:
    async def test() -> None:
        async with a_client() as client:
            with pytest.raises(
                DeploymentUnreachable, match=r"error when calling 'http://127\.0\.0\.1:1': cannot connect.*container, of the server"
            ):
                await discover(client, "http://127.0.0.1:1", random=NoJitter())

    run(test())


def test_an_endpoint_that_says_nothing_is_given_up() -> None:
    async def test() -> None:
        async with byte_server(stay_silent) as port, a_client() as client:
            with pytest.raises(DeploymentUnreachable, match="nothing came for 50 ms"):
                await discover(client, f"http://127.0.0.1:{port}", use_http_11=True, silence_ms_max=50)

    run(test())
