"""The port on which a process serves its own metrics."""

import asyncio

import httpx
import pytest

from perdure.base.errors import ConfigurationError
from perdure.process.metrics_port import serving
from tests.ports import free_ports


def answer(method: str, path: str) -> httpx.Response:
    async def scenario() -> httpx.Response:
        address = f"127.0.0.1:{free_ports(1)[0]}"
        async with serving(address, lambda: b"a 1\n"), httpx.AsyncClient() as client:
            return await client.request(method, f"http://{address}{path}")

    return asyncio.run(scenario())


def test_metrics_are_answered_as_text_of_prometheus() -> None:
    response = answer("GET", "/metrics?x=1")
    assert (response.status_code, response.text) == (200, "a 1\n")
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


def test_a_head_request_gets_no_body() -> None:
    assert (answer("HEAD", "/metrics").status_code, answer("HEAD", "/metrics").content) == (200, b"")


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/", 404), ("POST", "/metrics", 405)])
def test_nothing_else_is_there(method: str, path: str, status: int) -> None:
    assert answer(method, path).status_code == status


def test_who_does_not_speak_http_is_let_go() -> None:
    async def scenario() -> bytes:
        address = f"127.0.0.1:{free_ports(1)[0]}"
        async with serving(address, lambda: b"a 1\n"):
            reader, writer = await asyncio.open_connection(*address.split(":"))
            writer.write(bytes(100_000))
            writer.write_eof()
            try:
                return await reader.read()
            except ConnectionError:
                return b""
            finally:
                writer.close()

    assert asyncio.run(scenario()) == b""


@pytest.mark.parametrize("address", ["9464", "127.0.0.1:x", ":", "127.0.0.1:70000", "256.0.0.1:1"])
def test_an_address_where_nobody_can_listen_is_refused(address: str) -> None:
    async def scenario() -> None:
        async with serving(address, lambda: b""):
            raise AssertionError

    with pytest.raises(ConfigurationError, match="metrics"):
        asyncio.run(scenario())


def test_without_an_address_nothing_listens() -> None:
    async def scenario() -> None:
        async with serving("", lambda: b""):
            pass

    asyncio.run(scenario())
