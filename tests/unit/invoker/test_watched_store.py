"""How long a store keeps an invoker waiting, on virtual time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from perdure.base.errors import StoreError
from perdure.sim.loop import VirtualLoop
from services.invoker.watched_store import WatchedStore


class HeldStore:
    """Each access waits for the next outcome that the test gives: an error, or anything else for success."""

    def __init__(self) -> None:
        self.waiting: list[asyncio.Future[Any]] = []

    async def transact(self, fn: Callable[[Any], Any]) -> Any:
        self.waiting.append(asyncio.get_running_loop().create_future())
        await self.waiting[-1]
        return fn(None)

    read = transact

    async def close(self) -> None: ...


def on_virtual_time(scene: Callable[[HeldStore, WatchedStore], Awaitable[None]]) -> None:
    async def play() -> None:
        held = HeldStore()
        await scene(held, WatchedStore(held))

    VirtualLoop(duration_max_s=100).run(play())


@pytest.mark.parametrize("kind", ["read", "transact"])
def test_the_oldest_access_under_way_tells_how_long_the_store_lets_us_wait(kind: str) -> None:
    async def scene(held: HeldStore, store: WatchedStore) -> None:
        assert store.wait_ms() == 0
        first = asyncio.ensure_future(getattr(store, kind)(lambda _: "first"))
        await asyncio.sleep(3)
        second = asyncio.ensure_future(store.read(lambda _: "second"))
        await asyncio.sleep(1)
        assert store.wait_ms() == 4_000
        held.waiting[0].set_result(None)
        assert await first == "first"
        assert store.wait_ms() == 1_000
        held.waiting[1].set_result(None)
        assert await second == "second"
        assert store.wait_ms() == 0

    on_virtual_time(scene)


def test_later_accesses_that_end_do_not_hide_one_that_hangs() -> None:
    async def scene(held: HeldStore, store: WatchedStore) -> None:
        hanging = asyncio.ensure_future(store.transact(lambda _: None))
        for _ in range(5):
            reading = asyncio.ensure_future(store.read(lambda _: None))
            await asyncio.sleep(1)
            held.waiting[-1].set_result(None)
            await reading
        assert store.wait_ms() == 5_000
        hanging.cancel()
        await asyncio.wait([hanging])

    on_virtual_time(scene)


@pytest.mark.parametrize("ending", ["failure", "cancellation"])
def test_an_access_that_fails_or_is_given_up_waits_no_longer(ending: str) -> None:
    async def scene(held: HeldStore, store: WatchedStore) -> None:
        access = asyncio.ensure_future(store.transact(lambda _: None))
        await asyncio.sleep(2)
        if ending == "failure":
            held.waiting[0].set_exception(StoreError("the store failed"))
        else:
            access.cancel()
        await asyncio.wait([access])
        assert store.wait_ms() == 0

    on_virtual_time(scene)
