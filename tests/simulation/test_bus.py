"""The simulated bus: order, loss, doubling, silence of the dead."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from perdure.bus.interface import NoResponders
from perdure.sim.bus import BusFaults, SimBus, SimNetwork
from perdure.sim.loop import VirtualLoop, VirtualProcess

Scene = Callable[[SimNetwork, SimBus, SimBus], Awaitable[None]]


def play(scene: Scene, faults: BusFaults | None = None, seed: int = 1) -> None:
    async def main() -> None:
        network = SimNetwork(asyncio.get_running_loop(), seed, faults)
        await scene(network, network.client(VirtualProcess("left")), network.client(VirtualProcess("right")))

    VirtualLoop().run(main())


async def collect(bus: SimBus, subject: str) -> list[bytes]:
    received: list[bytes] = []
    await bus.subscribe(subject, lambda payload, _: received.append(payload))
    return received


@pytest.mark.parametrize("seed", range(5))
def test_messages_of_one_sender_keep_their_order(seed: int) -> None:
    async def scene(_: SimNetwork, left: SimBus, right: SimBus) -> None:
        received = await collect(right, "s")
        for number in range(50):
            left.publish("s", bytes([number]))
            await asyncio.sleep(0.0003)
        await asyncio.sleep(10)
        assert received == [bytes([number]) for number in range(50)]

    play(scene, BusFaults(slow_probability=0.3), seed)


def test_messages_are_lost_and_doubled_as_often_as_asked() -> None:
    async def scene(_: SimNetwork, left: SimBus, right: SimBus) -> None:
        received = await collect(right, "s")
        for number in range(200):
            left.publish("s", bytes([number]))
        await asyncio.sleep(10)
        missing = set(range(200)) - {one[0] for one in received}
        doubled = len(received) - len(set(received))
        assert 10 < len(missing) < 100
        assert 10 < doubled < 100

    play(scene, BusFaults(drop_probability=0.2, double_probability=0.2))


def test_a_request_is_answered_refused_or_times_out() -> None:
    async def scene(_: SimNetwork, left: SimBus, right: SimBus) -> None:
        await right.subscribe("echo", lambda payload, reply: right.publish(reply, payload))
        await right.subscribe("hole", lambda payload, reply: None)
        assert await left.request("echo", b"x", timeout_s=1) == b"x"
        with pytest.raises(NoResponders):
            await left.request("nobody", b"x", timeout_s=1)
        with pytest.raises(TimeoutError):
            await left.request("hole", b"x", timeout_s=1)

    play(scene)


def test_a_published_message_without_listener_is_reported_to_its_sender() -> None:
    async def scene(_: SimNetwork, left: SimBus, right: SimBus) -> None:
        reported: list[str] = []
        left.on_no_responders(reported.append)
        left.publish("nobody", b"x", reply="r")
        left.publish("nobody.either", b"x")
        await asyncio.sleep(1)
        assert reported == ["nobody"]

    play(scene)


def test_gathering_ends_with_enough_replies_or_with_the_time() -> None:
    async def scene(_: SimNetwork, left: SimBus, right: SimBus) -> None:
        for name in (b"a", b"b"):
            await right.subscribe("all", lambda _, reply, name=name: right.publish(reply, name))
        loop = asyncio.get_running_loop()
        start = loop.time()
        assert len(await left.gather("all", b"", timeout_s=5, replies_max=2)) == 2
        assert loop.time() - start < 1
        assert len(await left.gather("all", b"", timeout_s=5, replies_max=3)) == 2
        assert loop.time() - start > 5
        assert await left.gather("nobody", b"", timeout_s=5, replies_max=3) == []

    play(scene)


def test_a_dead_process_neither_sends_nor_receives() -> None:
    async def scene(_: SimNetwork, left: SimBus, right: SimBus) -> None:
        to_right, to_left = await collect(right, "r"), await collect(left, "l")
        left.publish("r", b"on its way")
        right.process.kill()
        right.publish("l", b"from the dead")
        await asyncio.sleep(1)
        assert (to_right, to_left) == ([], [])

    play(scene)


def test_a_process_that_is_cut_off_misses_messages_until_it_is_back() -> None:
    async def scene(network: SimNetwork, left: SimBus, right: SimBus) -> None:
        received = await collect(right, "s")
        network.cut("right")
        assert not right.is_connected
        left.publish("s", b"lost")
        await asyncio.sleep(1)
        network.rejoin("right")
        left.publish("s", b"seen")
        await asyncio.sleep(1)
        assert received == [b"seen"]

    play(scene)


def test_a_process_that_is_cut_off_for_long_no_longer_counts_as_listening() -> None:
    async def scene(network: SimNetwork, left: SimBus, right: SimBus) -> None:
        await right.subscribe("s", lambda payload, reply: right.publish(reply, payload))
        network.cut("right")
        with pytest.raises(TimeoutError):
            await left.request("s", b"x", timeout_s=1)
        await asyncio.sleep(2)
        with pytest.raises(NoResponders):
            await left.request("s", b"x", timeout_s=1)

    play(scene)
