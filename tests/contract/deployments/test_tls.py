"""TLS: certificates, and the choice of the HTTP version by ALPN."""

import asyncio
import json
import ssl
from pathlib import Path

import h2.events
import msgspec
import pytest
import restate

from perdure.base.clock import SystemClock
from perdure.deployments.discovery import discover
from perdure.deployments.interface import FailureKind
from perdure.deployments.manifest import MEDIA_TYPES
from perdure.deployments.opening import open_client
from perdure.process.config import CommonConfig
from tests.contract.deployments.certificates import Certificates, make_certificates
from tests.contract.deployments.support import (
    Http2Peer,
    a_client,
    a_deployment,
    attempt_at,
    echo,
    http2_server,
    hypercorn_server,
    post,
    run,
)

MANIFEST = json.dumps({"protocolMode": "REQUEST_RESPONSE", "minProtocolVersion": 5, "maxProtocolVersion": 7, "services": []}).encode()


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return make_certificates(tmp_path)


def tls_server_context(certificates: Certificates, *alpn: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    context.set_alpn_protocols(alpn)
    return context


def test_tls_agrees_on_http2_with_an_authority_from_a_file(certificates: Certificates) -> None:
    async def test() -> None:
        context = tls_server_context(certificates, "h2")
        async with http2_server(echo, context=context) as server, a_client(ca_file=str(certificates.authority)) as client:
            recorder, _ = post(client, a_deployment(server.port, scheme="https"), b"x" * 100_000)
            await recorder.over()
            assert len(recorder.body) == 100_000
            request = await server.saw(h2.events.RequestReceived)
            assert isinstance(request, h2.events.RequestReceived)
            assert (b":scheme", b"https") in list(request.headers)

    run(test())


def test_a_certificate_that_nobody_vouches_for_is_a_tls_failure(certificates: Certificates) -> None:
    async def test() -> None:
        async with http2_server(echo, context=tls_server_context(certificates, "h2")) as server, a_client() as client:
            failure = await post(client, a_deployment(server.port, scheme="https"))[0].failed()
            assert failure.kind is FailureKind.TLS
            assert f"https://localhost:{server.port}" in failure.message

    run(test())


def test_a_tls_peer_that_does_not_want_http2_is_told_apart(certificates: Certificates) -> None:
    async def test() -> None:
        context = tls_server_context(certificates, "http/1.1")
        listener = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
        async with a_client(ca_file=str(certificates.authority)) as client:
            port = listener.sockets[0].getsockname()[1]
            failure = await post(client, a_deployment(port, scheme="https"))[0].failed()
            assert (failure.kind, failure.is_other_http_version) == (FailureKind.CONNECT, True)
        listener.close()
        await listener.wait_closed()

    run(test())


def test_discovery_takes_http2_where_the_endpoint_agrees(certificates: Certificates) -> None:
    async def test() -> None:
        def script(peer: Http2Peer, event: h2.events.Event) -> None:
            if isinstance(event, h2.events.StreamEnded):
                peer.http2.send_headers(event.stream_id, [(":status", "200"), ("content-type", MEDIA_TYPES[3])])
                peer.send(event.stream_id, MANIFEST, end=True)

        context = tls_server_context(certificates, "h2")
        async with http2_server(script, context=context) as server, a_client(ca_file=str(certificates.authority)) as client:
            found = await discover(client, f"https://localhost:{server.port}")
        assert found.http_version == "HTTP/2.0"

    run(test())


def test_discovery_falls_back_to_http1_where_the_endpoint_wants_it(certificates: Certificates) -> None:
    async def test() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await reader.readuntil(b"\r\n\r\n")
                head = f"HTTP/1.1 200 OK\r\ncontent-type: {MEDIA_TYPES[3]}\r\ncontent-length: {len(MANIFEST)}\r\n\r\n"
                writer.write(head.encode() + MANIFEST)
                await reader.read()
            except (asyncio.IncompleteReadError, ConnectionError):
                pass  # the attempt over HTTP/2 closes without a word
            finally:
                writer.close()

        listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls_server_context(certificates, "http/1.1"))
        async with a_client(ca_file=str(certificates.authority)) as client:
            found = await discover(client, f"https://localhost:{listener.sockets[0].getsockname()[1]}")
        assert found.http_version == "HTTP/1.1"
        listener.close()
        await listener.wait_closed()

    run(test())


@pytest.mark.parametrize(("alpn", "http_version"), [(("h2", "http/1.1"), "HTTP/2.0"), (("http/1.1",), "HTTP/1.1")])
def test_an_sdk_behind_tls_is_discovered_and_invoked(certificates: Certificates, alpn: tuple[str, ...], http_version: str) -> None:
    greeter = restate.Service("Greeter")

    @greeter.handler()
    async def greet(ctx: restate.Context, name: str) -> str:
        return f"hello {name}"

    async def test() -> None:
        app = restate.app([greeter])
        async with (
            hypercorn_server(app, certificates=certificates, alpn=alpn) as port,
            a_client(ca_file=str(certificates.authority)) as client,
        ):
            found = await discover(client, f"https://localhost:{port}/mounted")
            assert (found.http_version, [service.name for service in found.services]) == (http_version, ["Greeter"])
            deployment = a_deployment(port, scheme="https", path="/mounted", http_version=found.http_version)
            recorder = await attempt_at(client, deployment, "/invoke/Greeter/greet", b'"you"').over()
            assert (recorder.status, recorder.is_ended) == (200, True)
            assert b'"hello you"' in recorder.body

    run(test())


def test_a_certificate_of_another_name_is_a_tls_failure(certificates: Certificates) -> None:
    async def test() -> None:
        context = tls_server_context(certificates, "h2")
        async with http2_server(echo, context=context) as server, a_client(ca_file=str(certificates.authority)) as client:
            deployment = msgspec.structs.replace(a_deployment(server.port), url=f"https://127.0.0.1:{server.port}")
            failure = await post(client, deployment)[0].failed()
            assert failure.kind is FailureKind.TLS

    run(test())


def test_the_settings_of_a_process_name_the_authority(certificates: Certificates) -> None:
    async def test() -> None:
        client = open_client(CommonConfig(deployment_ca_file=str(certificates.authority)), SystemClock())
        async with http2_server(echo, context=tls_server_context(certificates, "h2")) as server:
            recorder = await attempt_at(client, a_deployment(server.port, scheme="https"), "/invoke/Greeter/greet", b"").over()
            assert recorder.status == 200
            await client.close()

    run(test())
