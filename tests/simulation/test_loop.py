"""Virtual time: the loop, its processes, clock and randomness."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from perdure.sim.loop import EPOCH_MS, SimClock, SimRandom, StalledError, VirtualLoop, VirtualProcess, current_process, within


def test_sleeping_takes_exactly_its_virtual_time() -> None:
    async def main() -> float:
        await asyncio.sleep(86_000)
        return asyncio.get_running_loop().time()

    assert VirtualLoop().run(main()) == 86_000


def test_timers_fire_in_order_of_their_time() -> None:
    fired: list[int] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for delay in (5, 1, 4, 2, 3):
            loop.call_later(delay, fired.append, delay)
        await asyncio.sleep(6)

    VirtualLoop().run(main())
    assert fired == [1, 2, 3, 4, 5]


def test_a_run_that_waits_for_nothing_ends_as_stalled() -> None:
    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(StalledError):
        VirtualLoop().run(main())


def test_a_run_ends_after_its_longest_duration() -> None:
    async def main() -> None:
        while True:
            await asyncio.sleep(1)

    with pytest.raises(TimeoutError, match="100 virtual seconds"):
        VirtualLoop(duration_max_s=100).run(main())


def test_a_busy_loop_ends_after_its_most_turns() -> None:
    async def main() -> None:
        while True:
            await asyncio.sleep(0)

    with pytest.raises(TimeoutError, match="500 turns"):
        VirtualLoop(turns_max=500).run(main())


def test_threads_are_refused() -> None:
    async def main() -> None:
        with ThreadPoolExecutor(1) as threads:
            await asyncio.get_running_loop().run_in_executor(threads, print)

    with pytest.raises(NotImplementedError):
        VirtualLoop().run(main())


def test_killing_a_process_ends_its_tasks_and_those_they_started() -> None:
    ended: list[str] = []

    async def wait(name: str) -> None:
        try:
            await asyncio.sleep(1_000)
        finally:
            ended.append(name)

    async def parent() -> None:
        child = asyncio.get_running_loop().create_task(wait("child"))
        await wait("parent")
        await child

    async def main() -> None:
        doomed, other = VirtualProcess("doomed"), VirtualProcess("other")
        tasks: list[asyncio.Task[None]] = []
        with within(doomed):
            tasks.append(asyncio.get_running_loop().create_task(parent()))
        with within(other):
            tasks.append(asyncio.get_running_loop().create_task(wait("other")))
        await asyncio.sleep(1)
        doomed.kill()
        await asyncio.sleep(1)
        assert ended == ["parent", "child"]

    VirtualLoop().run(main())
    assert ended == ["parent", "child", "other"]


def test_a_task_started_by_a_dead_process_does_not_run_on() -> None:
    ran: list[str] = []

    async def work() -> None:
        ran.append("ran")

    async def main() -> None:
        process = VirtualProcess("p")
        with within(process):
            process.kill()
            assert current_process() is process
            asyncio.get_running_loop().create_task(work())
        await asyncio.sleep(1)

    VirtualLoop().run(main())
    assert ran == []


def test_exceptions_of_callbacks_are_kept_as_problems() -> None:
    def fail() -> None:
        raise ValueError("broken")

    async def main() -> None:
        asyncio.get_running_loop().call_soon(fail)
        await asyncio.sleep(1)

    loop = VirtualLoop()
    loop.run(main())
    assert len(loop.problems) == 1
    assert "broken" in loop.problems[0]


def test_the_wall_clock_is_virtual_time_and_an_offset() -> None:
    async def main() -> tuple[int, int]:
        clock = SimClock(asyncio.get_running_loop())
        await asyncio.sleep(1.5)
        before = clock.now_ms()
        clock.offset_ms = -60_000
        return before, clock.now_ms()

    assert VirtualLoop().run(main()) == (EPOCH_MS + 1_500, EPOCH_MS - 58_500)


@pytest.mark.parametrize("draw", [lambda random: random.bytes(16), lambda random: random.fraction()])
def test_randomness_depends_on_seed_and_stream_alone(draw: Callable[[SimRandom], object]) -> None:
    assert draw(SimRandom(1, "a")) == draw(SimRandom(1, "a"))
    assert draw(SimRandom(1, "a")) != draw(SimRandom(2, "a"))
    assert draw(SimRandom(1, "a")) != draw(SimRandom(1, "b"))
