"""Exchanges over HTTP/2 with peers that behave."""

from typing import Any

import h2.errors
import h2.events
import h2.settings
import pytest

from perdure.deployments.http2_exchange import Http2Exchange
from perdure.deployments.interface import FailureKind
from tests.contract.deployments.support import Http2Peer, a_client, a_deployment, echo, http2_server, hypercorn_server, post, run

BODY_BYTES = 20_000_000
SMALL_WINDOW = 65_535


async def echo_app(scope: Any, receive: Any, send: Any) -> None:
    """An ASGI application that answers with what comes, while it comes, and says how it was asked."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    seen = [(b"x-seen-" + name, value) for name, value in scope["headers"] if name in {b"accept", b"host", b"content-type"}]
    target = f"{scope['scheme']} {scope['http_version']} {scope['path']} {scope['query_string'].decode()}"
    await send({"type": "http.response.start", "status": 200, "headers": [*seen, (b"X-Target", target.encode())]})
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False)
        if message.get("body"):
            await send({"type": "http.response.body", "body": message["body"], "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


@pytest.mark.parametrize("http_version", ["HTTP/2.0", "HTTP/1.1"])
def test_both_directions_flow_while_the_request_is_open(http_version: str) -> None:
    async def test() -> None:
        async with hypercorn_server(echo_app) as port, a_client() as client:
            recorder, exchange = post(client, a_deployment(port, http_version=http_version), body=None)
            exchange.send(b"one ")
            exchange.send(b"two ")
            await recorder.until(lambda it: it.body == b"one two ")
            exchange.send(b"three")
            await recorder.until(lambda it: it.body == b"one two three")
            exchange.end()
            await recorder.over()
            assert (recorder.status, recorder.failure) == (200, None)

    run(test())


@pytest.mark.parametrize(("http_version", "seen_version"), [("HTTP/2.0", "2"), ("HTTP/1.1", "1.1")])
def test_target_and_headers_arrive_as_meant(http_version: str, seen_version: str) -> None:
    async def test() -> None:
        async with hypercorn_server(echo_app) as port, a_client(additional_headers={"accept": "of the server"}) as client:
            deployment = a_deployment(
                port, http_version=http_version, path="/base/?x=1", additional_headers={"Content-Type": "mine", "Accept": "a"}
            )
            recorder, _ = post(client, deployment)
            await recorder.over()
            headers = dict(recorder.headers)
            assert headers["x-target"] == f"http {seen_version} /base/invoke/Greeter/greet x=1"
            assert (headers["x-seen-content-type"], headers["x-seen-accept"]) == ("mine", "of the server")
            assert headers["x-seen-host"] == f"127.0.0.1:{port}"

    run(test())


@pytest.mark.parametrize("http_version", ["HTTP/2.0", "HTTP/1.1"])
def test_a_large_body_goes_both_ways(http_version: str) -> None:
    async def test() -> None:
        async with hypercorn_server(echo_app) as port, a_client() as client:
            body = bytes(range(250)) * (BODY_BYTES // 250)
            recorder, _ = post(client, a_deployment(port, http_version=http_version), body)
            await recorder.over()
            assert recorder.is_ended
            assert recorder.body == body

    run(test())


def test_a_large_body_never_exceeds_the_credit_of_the_peer() -> None:
    """The h2 library refuses a byte beyond its window, which is 64 KiB here for two streams together."""

    async def test() -> None:
        async with (
            http2_server(echo, settings={h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: SMALL_WINDOW}) as server,
            a_client() as client,
        ):
            bodies = [bytes([letter]) * 3_000_000 for letter in b"ab"]
            recorders = [post(client, a_deployment(server.port), body)[0] for body in bodies]
            for recorder, body in zip(recorders, bodies, strict=True):
                await recorder.over()
                assert recorder.body == body

    run(test())


def test_a_window_that_opens_only_later_delays_the_body() -> None:
    async def test() -> None:
        def script(peer: Http2Peer, event: h2.events.Event) -> None:
            if isinstance(event, h2.events.RequestReceived):
                peer.http2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 200_000})
            echo(peer, event)

        async with http2_server(script, settings={h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 10}) as server, a_client() as client:
            recorder, _ = post(client, a_deployment(server.port), b"z" * 150_000)
            await recorder.over()
            assert len(recorder.body) == 150_000

    run(test())


def test_a_paused_exchange_is_held_at_its_window_and_its_neighbour_is_not() -> None:
    async def test() -> None:
        window = 100_000

        def script(peer: Http2Peer, event: h2.events.Event) -> None:
            if isinstance(event, h2.events.StreamEnded):
                peer.respond(event.stream_id, b"r" * 3_000_000)

        async with http2_server(script) as server, a_client(stream_window_bytes=window) as client:
            slow, slow_exchange = post(client, a_deployment(server.port))
            slow_exchange.pause_reading()
            fast, _ = post(client, a_deployment(server.port))
            await fast.over()
            assert len(fast.body) == 3_000_000
            assert len(slow.body) <= window
            assert not slow.is_over
            slow_exchange.resume_reading()
            await slow.over()
            assert len(slow.body) == 3_000_000

    run(test())


def test_more_exchanges_than_one_connection_takes_open_further_ones() -> None:
    async def test() -> None:
        async with http2_server(echo) as server, a_client(streams_per_connection_max=8) as client:
            opened = [post(client, a_deployment(server.port), body=None) for _ in range(20)]
            for recorder, exchange in opened:
                exchange.send(b"x")
                await recorder.until(lambda it: it.body == b"x")
            assert len(server.peers) == 3
            for recorder, exchange in opened:
                exchange.end()
                await recorder.over()

    run(test())


def test_the_peers_limit_of_streams_makes_others_wait() -> None:
    async def test() -> None:
        opened: list[int] = []

        def script(peer: Http2Peer, event: h2.events.Event) -> None:
            if isinstance(event, h2.events.RequestReceived):
                opened.append(peer.http2.open_inbound_streams)
            echo(peer, event)

        limit = {h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 2}
        async with http2_server(script, settings=limit) as server, a_client(http2_connections_max=1) as client:
            recorders = [post(client, a_deployment(server.port), b"x")[0] for _ in range(10)]
            for recorder in recorders:
                await recorder.over()
                assert recorder.body == b"x"
            assert (len(opened), max(opened), len(server.peers)) == (10, 2, 1)

    run(test())


def test_too_many_waiting_exchanges_fail_at_once() -> None:
    async def test() -> None:
        async with http2_server(echo) as server, a_client(waiting_max=2) as client:
            recorders = [post(client, a_deployment(server.port))[0] for _ in range(3)]
            failure = await recorders[2].failed()
            assert (failure.kind, "2 requests wait" in failure.message) == (FailureKind.CONNECT, True)
            assert [(await recorder.over()).is_ended for recorder in recorders[:2]] == [True, True]

    run(test())


def test_a_response_that_ends_first_closes_the_request() -> None:
    async def test() -> None:
        def script(peer: Http2Peer, event: h2.events.Event) -> None:
            if isinstance(event, h2.events.RequestReceived):
                peer.respond(event.stream_id, b"enough")

        async with http2_server(script) as server, a_client() as client:
            recorder, exchange = post(client, a_deployment(server.port), body=None)
            await recorder.over()
            assert (recorder.body, recorder.is_ended) == (b"enough", True)
            await server.saw(h2.events.StreamEnded)
            exchange.send(b"too late")
            exchange.end()
            exchange.abort()

    run(test())


def test_an_abort_resets_the_stream_and_silences_it() -> None:
    async def test() -> None:
        def script(peer: Http2Peer, event: h2.events.Event) -> None:
            if isinstance(event, h2.events.RequestReceived):
                peer.respond(event.stream_id, b"first", end=False)

        async with http2_server(script) as server, a_client() as client:
            recorder, exchange = post(client, a_deployment(server.port), body=None)
            await recorder.until(lambda it: bool(it.body))
            exchange.abort()
            reset = await server.saw(h2.events.StreamReset)
            assert isinstance(reset, h2.events.StreamReset)
            assert reset.error_code == h2.errors.ErrorCodes.CANCEL
            neighbour, _ = post(client, a_deployment(server.port))
            await neighbour.until(lambda it: bool(it.body))
            assert len(server.peers) == 1
            assert not recorder.is_over

    run(test())


def test_an_exchange_aborted_before_it_is_connected_is_never_sent() -> None:
    async def test() -> None:
        async with http2_server(echo) as server, a_client() as client:
            dropped, exchange = post(client, a_deployment(server.port))
            exchange.abort()
            await post(client, a_deployment(server.port))[0].over()
            requests = [event for event in server.events if isinstance(event, h2.events.RequestReceived)]
            assert (len(requests), dropped.is_over) == (1, False)

    run(test())


def test_interim_responses_and_trailers_do_not_disturb() -> None:
    async def test() -> None:
        def script(peer: Http2Peer, event: h2.events.Event) -> None:
            if isinstance(event, h2.events.StreamEnded):
                peer.http2.send_headers(event.stream_id, [(":status", "103")])
                peer.respond(event.stream_id, b"body", end=False)
                peer.http2.send_headers(event.stream_id, [("x-trailer", "1")], end_stream=True)

        async with http2_server(script) as server, a_client() as client:
            recorder, _ = post(client, a_deployment(server.port))
            await recorder.over()
            assert (recorder.status, recorder.body, recorder.is_ended) == (200, b"body", True)

    run(test())


def test_an_idle_connection_is_closed_and_a_new_one_serves_the_next() -> None:
    async def test() -> None:
        async with http2_server(echo) as server, a_client(ping_interval_ms=5, idle_timeout_ms=20) as client:
            await post(client, a_deployment(server.port))[0].over()
            await server.peers[0].is_over.wait()
            recorder, _ = post(client, a_deployment(server.port))
            assert (await recorder.over()).is_ended
            assert len(server.peers) == 2

    run(test())


def test_answered_pings_keep_a_quiet_exchange_alive() -> None:
    async def test() -> None:
        async with http2_server(echo) as server, a_client(ping_interval_ms=5) as client:
            recorder, exchange = post(client, a_deployment(server.port), body=None)
            await server.until(lambda it: sum(isinstance(event, h2.events.PingReceived) for event in it.events) >= 3)
            exchange.send(b"still here")
            exchange.end()
            await recorder.over()
            assert recorder.body == b"still here"

    run(test())


def test_closing_the_client_fails_what_is_in_flight_and_what_waits() -> None:
    async def test() -> None:
        async with http2_server(echo) as server, a_client(http2_connections_max=1, streams_per_connection_max=1) as client:
            running, _ = post(client, a_deployment(server.port), body=None)
            await running.until(lambda it: it.status == 200)
            waiting, _ = post(client, a_deployment(server.port), body=None)
            await client.close()
            assert [(await it.failed()).kind for it in (running, waiting)] == [FailureKind.RESET, FailureKind.RESET]

    run(test())


def test_a_finished_stream_is_forgotten_even_if_its_request_ended_first() -> None:
    """zttp keeps a stream whose request ended first, and every read then costs more: 120 us after 8000 of them."""

    async def test() -> None:
        async with http2_server(echo) as server, a_client() as client:
            recorder, exchange = post(client, a_deployment(server.port), b"x")
            await recorder.over()
            await post(client, a_deployment(server.port), b"x")[0].over()
            assert isinstance(exchange, Http2Exchange)
            assert exchange.stream.send_window is None

    run(test())


def test_a_connection_is_renewed_before_the_server_ends_it_with_exchanges_in_flight() -> None:
    """Hypercorn ends a connection at its 1000th request, and forgets the streams that are open then."""
    at_once, rounds = 32, 70

    async def test() -> None:
        async with hypercorn_server(echo_app) as port, a_client() as client:
            for _ in range(rounds):
                recorders = [post(client, a_deployment(port), b"hello")[0] for _ in range(at_once)]
                for recorder in recorders:
                    await recorder.over()
                    assert (recorder.status, bytes(recorder.body), recorder.failure) == (200, b"hello", None)

    run(test())
