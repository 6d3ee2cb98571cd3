"""The schema cache: what the store holds, once it is told or polls, and never anything older."""

import asyncio
from pathlib import Path

import pytest

from perdure.bus.messages import VERSION, SchemaChanged, encode
from perdure.bus.subjects import Subjects
from perdure.registry import cache as cache_module
from perdure.registry.cache import SchemaCache
from perdure.registry.registrations import delete, register
from perdure.registry.schema import Schema
from perdure.store.embedded.store import open_embedded
from perdure.store.interface import Store
from perdure.store.keyspace import Keyspace
from tests.unit.admin.harness import MemoryBus
from tests.unit.registry.builders import a_deployment, a_service

KEYS = Keyspace("test")
SUBJECTS = Subjects("test")


async def registered(store: Store, number: int) -> int:
    deployment = a_deployment(f"dp_{number}", f"http://h{number}:1")
    done = await store.transact(lambda tr: register(tr, KEYS, deployment, [a_service()], is_forced=False, may_break=False))
    return done.meta_version


async def told(cache: SchemaCache, bus: MemoryBus, payload: bytes) -> Schema:
    """Send a message and return the next schema."""
    next_schema: asyncio.Future[Schema] = asyncio.get_running_loop().create_future()
    cache.on_change(lambda schema: next_schema.done() or next_schema.set_result(schema))
    bus.publish(SUBJECTS.schema, payload)
    return await next_schema


def test_a_started_cache_holds_what_the_store_holds(tmp_path: Path) -> None:
    async def run() -> None:
        store, cache = open_embedded(str(tmp_path / "db")), SchemaCache()
        await registered(store, 1)
        await cache.start(store, MemoryBus(), SUBJECTS, KEYS)
        assert cache.current.meta_version == 1
        assert list(cache.current.deployments) == ["dp_1"]
        await cache.stop()
        await store.close()

    asyncio.run(run())


@pytest.mark.parametrize("payload", [encode(SchemaChanged(VERSION, 1)), b"not a message"])
def test_a_message_makes_it_read_the_store(tmp_path: Path, payload: bytes) -> None:
    async def run() -> None:
        store, bus, cache = open_embedded(str(tmp_path / "db")), MemoryBus(), SchemaCache()
        await cache.start(store, bus, SUBJECTS, KEYS)
        await registered(store, 1)
        assert cache.current == Schema()
        schema = await told(cache, bus, payload)
        assert schema is cache.current
        assert schema.services["Greeter"].deployment_id == "dp_1"
        await cache.stop()
        await store.close()

    asyncio.run(run())


def test_whoever_asks_hears_when_the_change_is_known(tmp_path: Path) -> None:
    async def run() -> None:
        store, bus, cache = open_embedded(str(tmp_path / "db")), MemoryBus(), SchemaCache()
        await cache.start(store, bus, SUBJECTS, KEYS)
        heard: list[int] = []
        answered = asyncio.Event()

        def hear(_payload: bytes, _reply: str) -> None:
            heard.append(cache.current.meta_version)
            answered.set()

        await bus.subscribe("asker", hear)
        await registered(store, 1)
        for _ in range(2):  # the second time it is known already
            answered.clear()
            bus.publish(SUBJECTS.schema, encode(SchemaChanged(VERSION, 1)), reply="asker")
            await answered.wait()
        assert heard == [1, 1]
        await cache.stop()
        await store.close()

    asyncio.run(run())


def test_a_lost_message_is_made_up_for_by_polling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "POLL_INTERVAL_S", 0.01)

    async def run() -> None:
        store, cache = open_embedded(str(tmp_path / "db")), SchemaCache()
        await cache.start(store, MemoryBus(), SUBJECTS, KEYS)
        changed = asyncio.Event()
        cache.on_change(lambda _: changed.set())
        await registered(store, 1)
        await changed.wait()
        assert cache.current.meta_version == 1
        await cache.stop()
        await store.close()

    asyncio.run(run())


def test_refresh_sees_every_change_once(tmp_path: Path) -> None:
    async def run() -> None:
        store, cache = open_embedded(str(tmp_path / "db")), SchemaCache()
        await cache.start(store, MemoryBus(), SUBJECTS, KEYS)
        seen: list[int] = []
        cache.on_change(lambda schema: seen.append(schema.meta_version))
        await registered(store, 1)
        await asyncio.gather(cache.refresh(), cache.refresh())
        await store.transact(lambda tr: delete(tr, KEYS, "dp_1", is_forced=True))
        assert (await cache.refresh()) == Schema(meta_version=2)
        assert await cache.refresh() is cache.current
        assert seen == [1, 2]
        await cache.stop()
        await store.close()

    asyncio.run(run())


def test_a_stopped_cache_hears_no_more(tmp_path: Path) -> None:
    async def run() -> None:
        store, bus, cache = open_embedded(str(tmp_path / "db")), MemoryBus(), SchemaCache()
        await cache.start(store, bus, SUBJECTS, KEYS)
        await cache.stop()
        await store.close()
        bus.publish(SUBJECTS.schema, encode(SchemaChanged(VERSION, 9)))
        await asyncio.sleep(0)
        assert cache.current == Schema()

    asyncio.run(run())
