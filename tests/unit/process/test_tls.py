"""TLS of the HTTP server."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
import uvloop

from perdure.base.errors import ConfigurationError
from perdure.process.certificate import HTTP_ALPN, ServerCertificate, certificate_of
from perdure.process.config import PublicConfig
from perdure.process.http import serve_asgi
from tests.contract.deployments.certificates import Authority, Certificates, make_certificates

LIMIT_S = 20.0
LOG = structlog.get_logger("tests")


class Server(asyncio.Event):
    """A server that tells in each answer how it was asked; set, it stops."""

    def __init__(self) -> None:
        super().__init__()
        self.port = 0
        self.may_answer = asyncio.Event()
        self.asked = asyncio.Event()
        self.task: asyncio.Task[None]

    async def answer(self, scope: Any, receive: Any, send: Any) -> None:  # ASGI
        self.asked.set()
        if scope["path"] == "/late":
            await self.may_answer.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": f"{scope['scheme']} {scope['http_version']}".encode()})


@asynccontextmanager
async def serving(certificate: ServerCertificate, grace_ms: int = 1_000) -> AsyncIterator[Server]:
    server = Server()
    listening = asyncio.get_running_loop().create_future()
    server.task = asyncio.create_task(
        serve_asgi(
            server.answer,
            bind="127.0.0.1",
            port=0,
            draining=asyncio.Event(),
            stopping=server,
            grace_ms=grace_ms,
            on_listening=listening.set_result,
            certificate=certificate,
        )
    )
    server.port = int((await listening).split(":")[1])
    try:
        yield server
    finally:
        server.set()
        await server.task


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        await asyncio.wait_for(test(), LIMIT_S)

    uvloop.run(limited())


def of(files: Certificates, client_ca_file: str = "") -> ServerCertificate:
    return ServerCertificate(str(files.certificate), str(files.key), LOG, alpn=HTTP_ALPN, client_ca_file=client_ca_file)


def trusting(files: Certificates, *, own: Certificates | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=files.authority)
    if own is not None:
        context.load_cert_chain(own.certificate, own.key)
    return context


@pytest.mark.parametrize(("http2", "answer"), [(False, "https 1.1"), (True, "https 2")])
def test_the_http_version_is_what_the_client_can_do(tmp_path: Path, *, http2: bool, answer: str) -> None:
    async def test() -> None:
        files = make_certificates(tmp_path)
        async with serving(of(files)) as server, httpx.AsyncClient(http2=http2, verify=trusting(files)) as client:
            for _ in range(3):
                assert (await client.get(f"https://localhost:{server.port}/")).text == answer

    run(test)


def test_a_renewed_certificate_is_shown_without_a_restart_and_a_broken_one_is_not(tmp_path: Path) -> None:
    async def test() -> None:
        certificate = of(make_certificates(tmp_path))
        async with serving(certificate) as server:
            first = await shown_by(server)
            renewed = make_certificates(tmp_path)
            certificate.context()  # what the server does each second
            second = await shown_by(server)
            assert first != second == renewed.certificate.read_text()
            renewed.key.write_text("no key")
            certificate.context()
            assert await shown_by(server) == second
            make_certificates(tmp_path)
            certificate.context()
            assert await shown_by(server) == renewed.certificate.read_text() != second

    run(test)


def test_only_clients_of_the_right_authority_come_in_where_one_is_named(tmp_path: Path) -> None:
    async def test() -> None:
        authority = Authority(tmp_path)
        files = authority.issue("localhost")
        (tmp_path / "others").mkdir()
        async with serving(of(files, str(authority.file))) as server:
            url = f"https://localhost:{server.port}/"
            async with httpx.AsyncClient(verify=trusting(files, own=authority.issue("ada", stem="ada"))) as ada:
                assert (await ada.get(url)).status_code == 200
            for own in (None, make_certificates(tmp_path / "others")):
                async with httpx.AsyncClient(verify=trusting(files, own=own)) as stranger:
                    with pytest.raises(httpx.TransportError):
                        await stranger.get(url)
            assert server.asked.is_set()

    run(test)


def test_files_that_do_not_belong_together_are_refused_by_name(tmp_path: Path) -> None:
    files = make_certificates(tmp_path)
    (tmp_path / "other").mkdir()
    other = make_certificates(tmp_path / "other")
    with pytest.raises(ConfigurationError, match=rf"tls_cert_file {files.certificate}, tls_key_file {other.key} cannot be used"):
        of(Certificates(files.authority, files.certificate, other.key))
    with pytest.raises(ConfigurationError, match=r"tls_key_file .*missing\.pem cannot be used"):
        of(Certificates(files.authority, files.certificate, tmp_path / "missing.pem"))
    with pytest.raises(ConfigurationError, match=r"tls_client_ca_file .*missing\.pem cannot be used"):
        of(files, str(tmp_path / "missing.pem"))


@pytest.mark.parametrize("given", [{"tls_cert_file": "a"}, {"tls_key_file": "a"}, {"tls_client_ca_file": "a"}])
def test_half_of_the_settings_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="needs both tls_cert_file and tls_key_file"):
        certificate_of(PublicConfig(**given), LOG)


def test_without_settings_there_is_no_tls() -> None:
    assert certificate_of(PublicConfig(), LOG) is None


@pytest.mark.parametrize("http2", [False, True])
def test_a_request_under_way_is_answered_by_a_server_that_stops(tmp_path: Path, *, http2: bool) -> None:
    async def test() -> None:
        files = make_certificates(tmp_path)
        async with serving(of(files)) as server, httpx.AsyncClient(http2=http2, verify=trusting(files)) as client:
            late = asyncio.create_task(client.get(f"https://localhost:{server.port}/late"))
            await server.asked.wait()
            server.set()
            await asyncio.sleep(0)
            server.may_answer.set()
            assert (await late).status_code == 200
            await server.task

    run(test)


def test_a_client_that_is_shaking_hands_when_the_server_stops_is_answered(tmp_path: Path) -> None:
    async def test() -> None:
        files = make_certificates(tmp_path)
        async with serving(of(files)) as server:
            plain = socket.create_connection(("127.0.0.1", server.port))
            plain.setblocking(False)
            context = trusting(files)
            context.set_alpn_protocols(["h2"])
            idle, idle_writer = await asyncio.open_connection("localhost", server.port, ssl=context)
            server.set()
            await idle.read()  # until the server that stops has told this one to leave
            idle_writer.close()
            reader, writer = await asyncio.open_connection(sock=plain, ssl=trusting(files), server_hostname="localhost")
            writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 200"), answer
            assert b"connection: close" in answer.lower()
            writer.close()

    run(test)


def test_a_client_that_has_nothing_to_say_does_not_hold_up_a_server_that_stops(tmp_path: Path) -> None:
    async def test() -> None:
        files = make_certificates(tmp_path)
        async with serving(of(files), grace_ms=30_000) as server:
            idle = await asyncio.to_thread(asked_once, server.port, trusting(files))
            server.set()
            await server.task
            idle.close()

    run(test)


def asked_once(port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    """Return a connection that has had one answer, and from which nobody reads any more."""
    connection = context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost")
    connection.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
    assert connection.recv(1_000).startswith(b"HTTP/1.1 200")
    return connection


def test_a_client_that_speaks_in_clear_gets_nothing_and_holds_up_nobody(tmp_path: Path) -> None:
    async def test() -> None:
        files = make_certificates(tmp_path)
        async with serving(of(files), grace_ms=400) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            assert b"HTTP" not in await reader.read()
            writer.close()
            assert not server.asked.is_set()

    run(test)


async def shown_by(server: Server) -> str:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context)
    found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return ssl.DER_cert_to_PEM_cert(found)
