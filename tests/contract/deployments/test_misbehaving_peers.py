"""Peers that break off, fall silent, talk nonsense or speak another HTTP: one clear failure each, and the client lives on."""

import asyncio
import socket

import h2.errors
import h2.events
import pytest

from perdure.deployments.interface import FailureKind
from tests.contract.deployments.support import Http2Peer, a_client, a_deployment, byte_server, echo, http2_server, post, run, stay_silent

GARBAGE = [b"\x00" * 100, b"\xff" * 100, bytes(range(256)), b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/2 is not this\r\n\r\n"]


class GoingAway:
    """Sends GOAWAY on the first connection when it has seen two requests; else echoes."""

    def __init__(self, last_stream_id: int, error_code: h2.errors.ErrorCodes) -> None:
        self._last_stream_id = last_stream_id
        self._error_code = error_code
        self._requests = 0

    def __call__(self, peer: Http2Peer, event: h2.events.Event) -> None:
        echo(peer, event)
        if isinstance(event, h2.events.RequestReceived):
            self._requests += 1
            if self._requests == 2:
                payload = self._last_stream_id.to_bytes(4, "big") + int(self._error_code).to_bytes(4, "big")
                assert peer.transport is not None
                peer.flush()
                peer.transport.write(len(payload).to_bytes(3, "big") + b"\x07" + bytes(5) + payload)


def test_a_drained_connection_finishes_what_it_saw_and_names_what_it_did_not() -> None:
    async def test() -> None:
        async with http2_server(GoingAway(1, h2.errors.ErrorCodes.NO_ERROR)) as server, a_client() as client:
            seen, seen_exchange = post(client, a_deployment(server.port), body=None)
            unseen, _ = post(client, a_deployment(server.port), body=None)
            failure = await unseen.failed()
            assert failure.kind is FailureKind.GOAWAY
            again, _ = post(client, a_deployment(server.port), b"again")
            await again.over()
            assert (again.body, len(server.peers)) == (b"again", 2)
            seen_exchange.send(b"to the end")
            seen_exchange.end()
            await seen.over()
            assert (seen.body, seen.is_ended) == (b"to the end", True)
            await server.peers[0].is_over.wait()

    run(test())


def test_a_connection_that_goes_away_with_an_error_is_not_safe_to_repeat_at_once() -> None:
    async def test() -> None:
        async with http2_server(GoingAway(0, h2.errors.ErrorCodes.ENHANCE_YOUR_CALM)) as server, a_client() as client:
            recorders = [post(client, a_deployment(server.port), body=None)[0] for _ in range(2)]
            for recorder in recorders:
                failure = await recorder.failed()
                assert (failure.kind, "ENHANCE_YOUR_CALM" in failure.message) == (FailureKind.RESET, True)

    run(test())


def test_a_reset_fails_one_exchange_and_says_why() -> None:
    async def test() -> None:
        def script(peer: Http2Peer, event: h2.events.Event) -> None:
            if isinstance(event, h2.events.StreamEnded) and event.stream_id == 1:
                peer.http2.reset_stream(1, h2.errors.ErrorCodes.INTERNAL_ERROR)
            else:
                echo(peer, event)

        async with http2_server(script) as server, a_client() as client:
            first, second = (post(client, a_deployment(server.port), b"x")[0] for _ in range(2))
            failure = await first.failed()
            assert (failure.kind, "INTERNAL_ERROR" in failure.message) == (FailureKind.RESET, True)
            assert (await second.over()).is_ended
            assert len(server.peers) == 1

    run(test())


def test_a_peer_that_resets_hundreds_of_streams_is_still_served() -> None:
    async def test() -> None:
        def script(peer: Http2Peer, event: h2.events.Event) -> None:
            if isinstance(event, h2.events.RequestReceived):
                peer.http2.reset_stream(event.stream_id, h2.errors.ErrorCodes.REFUSED_STREAM)

        async with http2_server(script) as server, a_client() as client:
            for _ in range(600):
                failure = await post(client, a_deployment(server.port))[0].failed()
                assert "REFUSED_STREAM" in failure.message
            assert len(server.peers) == 3

    run(test())


def test_a_connection_cut_at_any_byte_ends_in_one_failure_or_a_whole_response() -> None:
    body = b"0123456789" * 3

    async def exchange(cut: int) -> tuple[bool, bytes]:
        async with http2_server(echo, bytes_left=cut) as server, a_client() as client:
            recorder, _ = post(client, a_deployment(server.port), body)
            await recorder.over()
            assert recorder.is_ended == (recorder.failure is None)
            if recorder.failure is not None:
                assert recorder.failure.kind in {FailureKind.CONNECT, FailureKind.RESET}
                assert str(server.port) in recorder.failure.message
            return recorder.is_ended, bytes(recorder.body)

    async def test() -> None:
        whole = 0
        cut = 1
        while whole < 3:
            is_ended, received = await exchange(cut)
            assert body.startswith(received)
            if is_ended:
                assert received == body
                whole += 1
            else:
                assert whole == 0
            cut += 1
        assert cut > 100

    run(test())


@pytest.mark.parametrize(
    "whole",
    [b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"],
)
def test_an_http1_connection_cut_at_any_byte_ends_in_one_failure_or_a_whole_response(whole: bytes) -> None:
    async def exchange(cut: int) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(whole[:cut])
            await writer.drain()

        async with byte_server(serve) as port, a_client() as client:
            recorder, _ = post(client, a_deployment(port, http_version="HTTP/1.1"), b"x")
            await recorder.over()
            assert recorder.is_ended == (cut == len(whole)), cut
            assert b"hello".startswith(recorder.body)

    async def test() -> None:
        for cut in range(len(whole) + 1):
            await exchange(cut)

    run(test())


@pytest.mark.parametrize("http_version", ["HTTP/2.0", "HTTP/1.1"])
def test_nobody_listening_is_a_connect_failure_with_the_address(http_version: str) -> None:
    async def test() -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
            async with a_client() as client:
                failure = await post(client, a_deployment(port, http_version=http_version))[0].failed()
        assert (failure.kind, f"127.0.0.1:{port}" in failure.message) == (FailureKind.CONNECT, True)

    run(test())


def test_a_url_that_is_none_fails_without_raising() -> None:
    async def test() -> None:
        async with a_client() as client:
            failure = await post(client, a_deployment(1, scheme="gopher"))[0].failed()
        assert failure.kind is FailureKind.CONNECT

    run(test())


@pytest.mark.parametrize("http_version", ["HTTP/2.0", "HTTP/1.1"])
def test_a_header_that_cannot_be_written_fails_without_raising(http_version: str) -> None:
    async def test() -> None:
        async with http2_server(echo) as server, a_client() as client:
            deployment = a_deployment(server.port, http_version=http_version, additional_headers={"x-bad": "a\nb"})
            failure = await post(client, deployment)[0].failed()
        assert (failure.kind, "cannot be written" in failure.message) == (FailureKind.CONNECT, True)

    run(test())


def test_a_peer_that_accepts_and_never_speaks_http2_fails_to_connect() -> None:
    async def test() -> None:
        async with byte_server(stay_silent) as port, a_client(connect_timeout_ms=50) as client:
            failure = await post(client, a_deployment(port))[0].failed()
        assert (failure.kind, "within 50 ms" in failure.message) == (FailureKind.CONNECT, True)

    run(test())


def test_a_peer_that_stops_answering_pings_is_given_up() -> None:
    async def test() -> None:
        async def settings_then_silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00")
            await asyncio.Event().wait()

        async with byte_server(settings_then_silence) as port, a_client(ping_interval_ms=10, ping_timeout_ms=30) as client:
            failure = await post(client, a_deployment(port))[0].failed()
        assert (failure.kind, "ping" in failure.message) == (FailureKind.RESET, True)

    run(test())


@pytest.mark.parametrize("http_version", ["HTTP/2.0", "HTTP/1.1"])
@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_is_a_failure(garbage: bytes, http_version: str) -> None:
    async def test() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            writer.write(garbage)
            await writer.drain()
            await reader.read()

        async with byte_server(serve) as port, a_client(connect_timeout_ms=500) as client:
            failure = await post(client, a_deployment(port, http_version=http_version))[0].failed()
        assert failure.kind in {FailureKind.CONNECT, FailureKind.RESET}

    run(test())


def test_an_http1_server_at_an_http2_client_is_told_apart() -> None:
    async def test() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")
            await writer.drain()

        async with byte_server(serve) as port, a_client() as client:
            failure = await post(client, a_deployment(port))[0].failed()
        assert (failure.kind, failure.is_other_http_version) == (FailureKind.CONNECT, True)
        assert "HTTP/1.1 400" in failure.message

    run(test())


def test_an_http2_server_at_an_http1_client_is_told_apart() -> None:
    async def test() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            writer.write(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00")
            await writer.drain()
            await reader.read()

        async with byte_server(serve) as port, a_client() as client:
            failure = await post(client, a_deployment(port, http_version="HTTP/1.1"))[0].failed()
        assert (failure.kind, failure.is_other_http_version) == (FailureKind.RESET, True)

    run(test())


def test_http1_connections_are_kept_and_one_closed_meanwhile_is_safe_to_repeat() -> None:
    async def test() -> None:
        requests: list[int] = []
        connections: list[int] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connections.append(len(connections))
            for _ in range(2):
                await reader.readuntil(b"0\r\n\r\n")
                requests.append(connections[-1])
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                await writer.drain()
            await reader.readuntil(b"0\r\n\r\n")

        async with byte_server(serve) as port, a_client() as client:
            deployment = a_deployment(port, http_version="HTTP/1.1")
            for _ in range(2):
                assert (await post(client, deployment, b"x")[0].over()).body == b"ok"
            assert requests == [0, 0]
            failure = await post(client, deployment, b"x")[0].failed()
            assert failure.kind is FailureKind.GOAWAY
            assert (await post(client, deployment, b"x")[0].over()).body == b"ok"

    run(test())


def test_an_http1_response_that_ends_first_ends_the_exchange_and_costs_the_connection() -> None:
    async def test() -> None:
        closed = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 500 Oops\r\ncontent-length: 2\r\n\r\nno")
            await reader.read()
            closed.set()

        async with byte_server(serve) as port, a_client() as client:
            recorder, _ = post(client, a_deployment(port, http_version="HTTP/1.1"), body=None)
            await recorder.over()
            assert (recorder.status, recorder.body, recorder.is_ended) == (500, b"no", True)
            await closed.wait()

    run(test())


def test_an_http1_response_without_a_length_ends_with_the_connection() -> None:
    async def test() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"0\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\n\r\nto the end")
            await writer.drain()

        async with byte_server(serve) as port, a_client() as client:
            recorder, _ = post(client, a_deployment(port, http_version="HTTP/1.1"), b"x")
            await recorder.over()
            assert (recorder.body, recorder.is_ended) == (b"to the end", True)

    run(test())
