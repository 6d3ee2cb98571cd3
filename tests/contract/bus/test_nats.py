"""What the bus promises, over a real NATS server."""

import asyncio
import ssl
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from perdure.base.errors import ConfigurationError, LocalProtocolError
from perdure.bus.interface import Bus, NoResponders
from perdure.bus.nats import NatsBus, connect
from perdure.bus.nats.transport import SocketTransport
from tests.contract.bus.nats_accounts import Accounts
from tests.contract.bus.nats_server import NatsServer

LIMIT_S = 20.0
WAIT_S = 10.0


def with_buses(server: NatsServer, count: int, scenario: Callable[..., Awaitable[None]], **options: Any) -> None:
    """Run `scenario` with so many connected buses."""

    async def body() -> None:
        buses = [await connect(server.url, **options) for _ in range(count)]
        try:
            await scenario(*buses)
        finally:
            for bus in buses:
                await bus.close()

    async def limited() -> None:
        await asyncio.wait_for(body(), LIMIT_S)

    uvloop.run(limited())


class Received:
    """What came on a subscription; can be waited for."""

    def __init__(self) -> None:
        self.messages: list[tuple[bytes, str]] = []
        self._changed = asyncio.Event()

    def __call__(self, payload: bytes, reply: str) -> None:
        self.messages.append((payload, reply))
        self._changed.set()

    async def until(self, count: int) -> list[tuple[bytes, str]]:
        while len(self.messages) < count:
            self._changed.clear()
            await self._changed.wait()
        return self.messages


async def disconnected(bus: NatsBus) -> None:
    while bus.is_connected:
        await asyncio.sleep(0.001)


async def connected(bus: NatsBus) -> None:
    while not bus.is_connected:
        await asyncio.sleep(0.001)


def test_messages_arrive_in_order_with_payload_and_reply_subject(server: NatsServer) -> None:
    async def scenario(sender: Bus, receiver: Bus) -> None:
        received = Received()
        await receiver.subscribe("a.b", received)
        for number in range(1000):
            sender.publish("a.b", b"%d" % number, reply="back" if number % 2 else "")
        messages = await received.until(1000)
        assert messages == [(b"%d" % number, "back" if number % 2 else "") for number in range(1000)]

    with_buses(server, 2, scenario)


@pytest.mark.parametrize("size", [0, 1, 40_000, 900_000])
def test_a_payload_arrives_whole_whatever_is_in_it(server: NatsServer, size: int) -> None:
    async def scenario(sender: Bus, receiver: Bus) -> None:
        payload = (b"\r\nMSG x 1 0\r\n\x00\xff" * (size // 10 + 1))[:size]
        received = Received()
        await receiver.subscribe("whole", received)
        sender.publish("whole", payload)
        sender.publish("whole", b"next")
        assert await received.until(2) == [(payload, ""), (b"next", "")]

    with_buses(server, 2, scenario)


def test_every_subscriber_receives_a_broadcast_and_the_sender_its_own(server: NatsServer) -> None:
    async def scenario(one: Bus, two: Bus) -> None:
        first, second = Received(), Received()
        await one.subscribe("all", first)
        await two.subscribe("all", second)
        one.publish("all", b"hello")
        await first.until(1)
        await second.until(1)

    with_buses(server, 2, scenario)


def test_nothing_arrives_after_unsubscribing(server: NatsServer) -> None:
    async def scenario(bus: Bus) -> None:
        gone, kept = Received(), Received()
        subscription = await bus.subscribe("x", gone)
        await bus.subscribe("x", kept)
        await subscription.unsubscribe()
        bus.publish("x", b"1")
        await kept.until(1)
        assert gone.messages == []

    with_buses(server, 1, scenario)


def test_a_receiver_that_raises_does_not_stop_the_others(server: NatsServer) -> None:
    async def scenario(bus: Bus) -> None:
        def fail(payload: bytes, reply: str) -> None:
            raise ValueError(payload)

        received = Received()
        await bus.subscribe("fails", fail)
        await bus.subscribe("works", received)
        bus.publish("fails", b"")
        bus.publish("works", b"")
        await received.until(1)

    with_buses(server, 1, scenario)


def test_a_request_returns_the_reply(server: NatsServer) -> None:
    async def scenario(client: Bus, responder: Bus) -> None:
        await responder.subscribe("double", lambda payload, reply: responder.publish(reply, payload * 2))
        assert await asyncio.gather(*(client.request("double", b"%d" % n, timeout_s=WAIT_S) for n in range(50))) == [
            b"%d" % n * 2 for n in range(50)
        ]

    with_buses(server, 2, scenario)


def test_a_request_that_nobody_hears_fails_at_once(server: NatsServer) -> None:
    async def scenario(bus: Bus) -> None:
        with pytest.raises(NoResponders):
            await bus.request("nobody", b"", timeout_s=LIMIT_S * 2)

    with_buses(server, 1, scenario)


def test_a_request_that_nobody_answers_times_out(server: NatsServer) -> None:
    async def scenario(bus: Bus) -> None:
        await bus.subscribe("deaf", lambda payload, reply: None)
        with pytest.raises(TimeoutError):
            await bus.request("deaf", b"", timeout_s=0.01)

    with_buses(server, 1, scenario)


def test_gathering_ends_with_the_last_reply_that_is_wanted(server: NatsServer) -> None:
    async def scenario(asking: Bus, one: Bus, two: Bus) -> None:
        await one.subscribe("ask", lambda payload, reply: one.publish(reply, b"one"))
        await two.subscribe("ask", lambda payload, reply: two.publish(reply, b"two"))
        replies = await asking.gather("ask", b"", timeout_s=LIMIT_S * 2, replies_max=2)
        assert sorted(replies) == [b"one", b"two"]

    with_buses(server, 3, scenario)


def test_gathering_returns_what_has_come_in_time_and_nothing_where_nobody_listens(server: NatsServer) -> None:
    async def scenario(bus: Bus) -> None:
        await bus.subscribe("ask", lambda payload, reply: bus.publish(reply, b"one"))
        assert await bus.gather("ask", b"", timeout_s=0.2, replies_max=10) == [b"one"]
        assert await bus.gather("nobody", b"", timeout_s=LIMIT_S * 2, replies_max=10) == []

    with_buses(server, 1, scenario)


def test_the_subject_of_an_unheard_message_with_a_reply_is_reported_and_delivered_to_nobody(server: NatsServer) -> None:
    async def scenario(bus: Bus) -> None:
        received = Received()
        unheard: asyncio.Queue[str] = asyncio.Queue()
        bus.on_no_responders(unheard.put_nowait)
        await bus.subscribe("replies.me", received)
        bus.publish("owner.gone", b"work", reply="replies.me")
        assert await unheard.get() == "owner.gone"
        bus.publish("replies.me", b"answer")
        assert await received.until(1) == [(b"answer", "")]

    with_buses(server, 1, scenario)


def test_a_message_that_the_server_would_refuse_is_refused_here_and_the_connection_stays(server: NatsServer) -> None:
    async def scenario(bus: NatsBus) -> None:
        received = Received()
        await bus.subscribe("big", received)
        with pytest.raises(LocalProtocolError, match="big"):
            bus.publish("big", bytes(bus.payload_bytes_max + 1))
        bus.publish("big", bytes(bus.payload_bytes_max))
        await received.until(1)

    with_buses(server, 1, scenario)


def test_subscriptions_and_requests_go_on_after_the_server_was_killed_and_came_back(server: NatsServer) -> None:
    async def scenario(sender: NatsBus, receiver: NatsBus) -> None:
        received = Received()
        await receiver.subscribe("news", received)
        await receiver.subscribe("echo", lambda payload, reply: receiver.publish(reply, payload))
        assert await sender.request("echo", b"before", timeout_s=WAIT_S) == b"before"
        for _ in range(3):
            server.kill()
            await disconnected(sender)
            await disconnected(receiver)
            server.start()
            await connected(sender)
            await connected(receiver)
            await receiver.subscribe("after", lambda payload, reply: None)
        sender.publish("news", b"again")
        assert await received.until(1) == [(b"again", "")]
        assert await sender.request("echo", b"after", timeout_s=WAIT_S) == b"after"

    with_buses(server, 2, scenario)


def test_what_is_published_while_disconnected_is_dropped_and_counted(server: NatsServer) -> None:
    async def scenario(bus: NatsBus) -> None:
        received = Received()
        await bus.subscribe("x", received)
        server.kill()
        await disconnected(bus)
        bus.publish("x", b"lost")
        assert bus.dropped == 1
        server.start()
        await connected(bus)
        await bus.subscribe("y", received)
        bus.publish("x", b"kept")
        assert await received.until(1) == [(b"kept", "")]

    with_buses(server, 1, scenario)


def test_a_subscription_made_while_disconnected_holds_once_the_server_is_back(server: NatsServer) -> None:
    async def scenario(bus: NatsBus) -> None:
        received = Received()
        server.kill()
        await disconnected(bus)
        subscribing = asyncio.ensure_future(bus.subscribe("late", received))
        await asyncio.sleep(0)
        server.start()
        await subscribing
        bus.publish("late", b"1")
        await received.until(1)

    with_buses(server, 1, scenario)


def test_a_server_that_does_not_read_costs_messages_but_not_memory(server: NatsServer) -> None:
    async def scenario(sender: NatsBus, receiver: NatsBus) -> None:
        received = Received()
        await receiver.subscribe("heavy", received)
        await receiver.subscribe("light", received)
        server.suspend()
        payload = bytes(sender.payload_bytes_max)
        while not sender.dropped:
            sender.publish("heavy", payload)
            await asyncio.sleep(0)
        server.resume()
        dropped = -1
        while sender.dropped != dropped:  # until one was not
            await asyncio.sleep(0.001)
            dropped = sender.dropped
            sender.publish("light", b"through")
        while (b"through", "") not in received.messages:
            await received.until(len(received.messages) + 1)

    with_buses(server, 2, scenario)


@pytest.mark.parametrize("url", ["http://127.0.0.1:4222", "nats://127.0.0.1:x", "", "nats://127.0.0.1:4222,", "tls://:4222"])
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(ConfigurationError, match="like nats://host:4222"):
        uvloop.run(connect(url))


def test_a_password_in_an_address_is_not_shown() -> None:
    with pytest.raises(ConfigurationError) as refused:
        uvloop.run(connect("http://me:s3cret@127.0.0.1:4222"))
    assert "s3cret" not in refused.value.message


def test_credentials_that_cannot_be_used_are_refused_at_once(server: NatsServer) -> None:
    with pytest.raises(ConfigurationError, match=r"nats_credentials_file /nowhere/user\.creds"):
        uvloop.run(connect(server.url, credentials_file="/nowhere/user.creds"))


def test_credentials_open_a_server_that_asks_for_tokens_also_when_they_are_renewed(tmp_path: Path) -> None:
    accounts = Accounts()
    server = NatsServer(tmp_path, accounts.settings)
    server.start()
    path = accounts.credentials(tmp_path / "user.creds")

    async def scenario(bus: NatsBus) -> None:
        received = Received()
        await bus.subscribe("subject", received)
        bus.publish("subject", b"first")
        await received.until(1)
        accounts.credentials(tmp_path / "user.creds")
        server.kill()
        server.start()
        while (b"second", "") not in received.messages:
            bus.publish("subject", b"second")
            await asyncio.sleep(0.01)

    try:
        with_buses(server, 1, scenario, credentials_file=path)
    finally:
        server.kill()


def test_the_first_request_ends_in_time_though_the_server_is_gone(server: NatsServer) -> None:
    async def scenario(bus: NatsBus) -> None:
        server.kill()
        await until(lambda: not bus.is_connected)
        with pytest.raises(TimeoutError):
            await bus.request("subject", b"", timeout_s=0.1)
        assert await bus.gather("subject", b"", timeout_s=0.1, replies_max=1) == []
        server.start()
        await until(lambda: bus.is_connected)
        with pytest.raises(NoResponders):
            await bus.request("subject", b"", timeout_s=WAIT_S)

    with_buses(server, 1, scenario)


def test_a_bus_closes_though_its_server_says_nothing_any_more(server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perdure.bus.nats.bus.PING_INTERVAL_S", 0.05)

    async def scenario(bus: NatsBus) -> None:
        server.suspend()
        await until(lambda: not bus.is_connected)
        await bus.close()
        server.resume()

    with_buses(server, 1, scenario)


async def until(fact: Callable[[], bool]) -> None:
    while not fact():
        await asyncio.sleep(0.01)


def test_connecting_waits_until_the_server_is_there(server: NatsServer) -> None:
    server.kill()

    async def body() -> None:
        connecting = asyncio.ensure_future(connect(server.url))
        await asyncio.sleep(0)
        server.start()
        bus = await asyncio.wait_for(connecting, LIMIT_S)
        assert bus.is_connected
        await bus.close()
        assert not bus.is_connected

    uvloop.run(body())


@pytest.mark.parametrize(("where", "moment"), [(SocketTransport, "connection_made"), (NatsBus, "_opened")])
def test_a_connection_that_is_given_up_while_it_opens_leaves_nothing_behind(
    server: NatsServer, monkeypatch: pytest.MonkeyPatch, where: type, moment: str
) -> None:
    happened = getattr(where, moment)

    async def body() -> None:
        def give_up(*arguments: object) -> None:
            happened(*arguments)
            connecting.cancel()

        monkeypatch.setattr(where, moment, give_up)
        connecting = asyncio.ensure_future(connect(server.url))
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(connecting, LIMIT_S)
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    uvloop.run(body())


def test_what_was_published_before_closing_arrives(server: NatsServer) -> None:
    async def scenario(receiver: Bus) -> None:
        received = Received()
        await receiver.subscribe("last", received)
        leaving = await connect(server.url)
        leaving.publish("last", b"words")
        await leaving.close()
        await received.until(1)

    with_buses(server, 1, scenario)


def test_a_user_and_password_are_presented(tmp_path: Path) -> None:
    server = NatsServer(tmp_path, "authorization { user: anna, password: secret }\n")
    server.start()
    try:

        async def scenario(bus: NatsBus) -> None:
            assert bus.is_connected

        with_buses(server, 1, scenario, user="anna", password="secret")
        with pytest.raises(TimeoutError):
            uvloop.run(asyncio.wait_for(connect(server.url, user="anna", password="wrong"), 0.5))
    finally:
        server.kill()


def test_messages_pass_over_tls(tmp_path: Path) -> None:
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"),
            *("-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    server = NatsServer(tmp_path, f'tls {{ cert_file: "{tmp_path}/cert.pem", key_file: "{tmp_path}/key.pem" }}\n')
    server.start()
    try:

        async def scenario(bus: NatsBus) -> None:
            received = Received()
            await bus.subscribe("secret", received)
            bus.publish("secret", bytes(100_000))
            await received.until(1)

        with_buses(server, 1, scenario, tls=ssl.create_default_context(cafile=str(tmp_path / "cert.pem")))
    finally:
        server.kill()
