"""Versionstamped keys: they grow with each commit, whoever commits."""

import asyncio
from collections.abc import Callable

from perdure.store.interface import Store, Transaction
from tests.contract.store.places import Place


def append(place: Place, *texts: bytes) -> Callable[[Transaction], None]:
    def fn(tr: Transaction) -> None:
        for number, text in enumerate(texts):
            tr.set_versionstamped_key(place.root + b"mail", bytes((number,)), text)

    return fn


async def texts_in(store: Store, place: Place) -> list[bytes]:
    rows = await store.read(lambda tr: tr.get_range(place.root + b"mail", place.root + b"mail\xff\xff"))
    assert {len(key) for key, _ in rows} <= {len(place.root) + 4 + 10 + 1}
    return [text for _, text in rows]


def test_stamps_grow_with_each_commit_of_any_client(place: Place) -> None:
    async def scenario(store: Store) -> None:
        other = place.open()
        for n in range(20):
            await (store, other)[n % 3 == 0].transact(append(place, b"%d" % n))
        await other.close()
        assert await texts_in(store, place) == [b"%d" % n for n in range(20)]

    place.run(scenario)
    place.run(lambda store: store.transact(append(place, b"later")))
    assert place.run(lambda store: texts_in(store, place))[-1] == b"later"


def test_stamps_of_one_commit_are_ordered_by_suffix(place: Place) -> None:
    async def scenario(store: Store) -> None:
        await store.transact(append(place, b"a", b"b", b"c"))
        await store.transact(append(place, b"d", b"e"))
        rows = await store.read(lambda tr: tr.get_range(place.root, place.root + b"\xff"))
        assert [text for _, text in rows] == [b"a", b"b", b"c", b"d", b"e"]
        stamps = [key[-11:-1] for key, _ in rows]
        assert stamps[0] == stamps[1] == stamps[2] < stamps[3] == stamps[4]

    place.run(scenario)


def test_concurrent_appends_lose_nothing(place: Place) -> None:
    texts = [b"%02d" % n for n in range(30)]

    async def scenario(store: Store) -> None:
        await asyncio.gather(*(store.transact(append(place, text)) for text in texts))
        assert sorted(await texts_in(store, place)) == texts

    place.run(scenario)


def test_a_function_that_raises_appends_nothing(place: Place) -> None:
    def fail(tr: Transaction) -> None:
        append(place, b"a")(tr)
        raise LookupError

    async def scenario(store: Store) -> None:
        await asyncio.gather(store.transact(fail), return_exceptions=True)
        assert await texts_in(store, place) == []

    place.run(scenario)
