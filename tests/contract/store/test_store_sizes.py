"""Large values, large transactions, blobs."""

import pytest

from perdure.base.ids import ulid
from perdure.base.limits import MIB, TRANSACTION_BYTES_MAX, VALUE_BYTES_MAX
from perdure.store.blobs import ABANDONED_AFTER_MS, clear_abandoned, clear_blob, delete_blob, get_blob, put_blob
from perdure.store.chunks import (
    clear_ahead,
    clear_chunked,
    get_chunked,
    get_range_chunked,
    pieces_ahead,
    set_chunked,
    set_written_ahead,
)
from perdure.store.interface import Store, Transaction
from perdure.store.ranges import scan
from tests.contract.store.places import Place

SIZES = [
    0,
    1,
    200,
    VALUE_BYTES_MAX - 6,
    VALUE_BYTES_MAX - 5,
    VALUE_BYTES_MAX - 4,
    VALUE_BYTES_MAX,
    VALUE_BYTES_MAX + 1,
    3 * VALUE_BYTES_MAX,
    MIB,
]


def body_of(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def everything_in(place: Place) -> tuple[bytes, bytes]:
    return place.root, place.root + b"\xff"


def test_a_transaction_as_large_as_ours_are_commits_whole(place: Place) -> None:
    value = b"v" * VALUE_BYTES_MAX
    count = TRANSACTION_BYTES_MAX // VALUE_BYTES_MAX

    def fn(tr: Transaction) -> None:
        for n in range(count):
            tr.set(place.root + b"%03d" % n, value)

    async def scenario(store: Store) -> None:
        await store.transact(fn)
        rows = await store.read(lambda tr: tr.get_range(*everything_in(place)))
        assert len(rows) == count
        assert {stored for _, stored in rows} == {value}

    place.run(scenario)


def test_a_value_that_is_not_cut_is_refused(place: Place) -> None:
    async def scenario(store: Store) -> None:
        with pytest.raises(AssertionError, match="chunks"):
            await store.transact(lambda tr: tr.set(place.root, b"v" * (VALUE_BYTES_MAX + 1)))
        with pytest.raises(AssertionError, match="chunks"):
            await store.transact(lambda tr: tr.set_versionstamped_key(place.root, b"", b"v" * (VALUE_BYTES_MAX + 1)))

    place.run(scenario)


def test_chunked_values_of_all_sizes_come_back(place: Place) -> None:
    partition = place.keys.partition(1)
    keys = [partition.state("service", "key", b"%d" % size) for size in SIZES]

    def fn(tr: Transaction) -> None:
        for key, size in zip(keys, SIZES, strict=True):
            set_chunked(tr, key, body_of(size))

    async def scenario(store: Store) -> None:
        await store.transact(fn)
        expected = sorted((key, body_of(size)) for key, size in zip(keys, SIZES, strict=True))
        for key, body in expected:
            assert await store.read(lambda tr, key=key: get_chunked(tr, key)) == body
        assert await store.read(lambda tr: get_chunked(tr, keys[0] + b"x")) is None
        everything = everything_in(place)
        assert await store.read(lambda tr: get_range_chunked(tr, *everything)) == expected
        assert await store.read(lambda tr: get_range_chunked(tr, *everything, reverse=True)) == expected[::-1]
        for limit in range(1, len(SIZES) + 2):
            assert await store.read(lambda tr, limit=limit: get_range_chunked(tr, *everything, limit=limit)) == expected[:limit]
            got = await store.read(lambda tr, limit=limit: get_range_chunked(tr, *everything, limit=limit, reverse=True))
            assert got == expected[::-1][:limit]
        for page in (1, 3, 100):
            assert [pair async for pairs in scan(store, *everything, page, is_chunked=True) for pair in pairs] == expected

    place.run(scenario)


def test_no_piece_of_a_value_outlives_it(place: Place) -> None:
    entries = place.keys.partition(1)
    key, neighbour = entries.state("s", "k", b"a"), entries.state("s", "k", b"a\x00")

    async def scenario(store: Store) -> None:
        await store.transact(lambda tr: (set_chunked(tr, key, body_of(MIB)), set_chunked(tr, neighbour, body_of(MIB))))
        await store.transact(lambda tr: set_chunked(tr, key, body_of(2 * VALUE_BYTES_MAX)))
        assert await store.read(lambda tr: get_chunked(tr, key)) == body_of(2 * VALUE_BYTES_MAX)
        await store.transact(lambda tr: set_chunked(tr, key, b"small"))
        assert await store.read(lambda tr: len(tr.get_range(key, neighbour))) == 1
        await store.transact(lambda tr: set_chunked(tr, key, body_of(MIB)))
        await store.transact(lambda tr: clear_chunked(tr, key))
        assert await store.read(lambda tr: get_chunked(tr, neighbour)) == body_of(MIB)
        await store.transact(lambda tr: clear_chunked(tr, neighbour))
        assert await store.read(lambda tr: tr.get_range(*everything_in(place))) == []

    place.run(scenario)


def test_a_new_value_need_not_be_cleared_before(place: Place) -> None:
    key = place.keys.partition(1).state("s", "k", b"a")

    async def scenario(store: Store) -> None:
        await store.transact(lambda tr: set_chunked(tr, key, body_of(MIB), is_new=True))
        assert await store.transact(lambda tr: get_chunked(tr, key)) == body_of(MIB)

    place.run(scenario)


@pytest.mark.parametrize("size", [0, 1, VALUE_BYTES_MAX, VALUE_BYTES_MAX + 1, 11 * MIB])
def test_a_blob_comes_back_until_it_is_deleted(place: Place, size: int) -> None:
    async def scenario(store: Store) -> None:
        await put_blob(store, place.keys, b"id\x00", body_of(size))
        await put_blob(store, place.keys, b"id", b"another")
        assert await get_blob(store, place.keys, b"id\x00") == body_of(size)
        await store.transact(lambda tr: clear_blob(tr, place.keys, b"id\x00"))
        assert await get_blob(store, place.keys, b"id\x00") is None
        assert await get_blob(store, place.keys, b"id") == b"another"
        await delete_blob(store, place.keys, b"id")
        assert await store.read(lambda tr: tr.get_range(*everything_in(place))) == []

    place.run(scenario)


def test_blobs_that_nobody_fetched_for_a_day_are_deleted(place: Place) -> None:
    now_ms = 1_700_000_000_000
    old, recent = ulid(now_ms - ABANDONED_AFTER_MS - 1, b"\xff" * 10), ulid(now_ms - ABANDONED_AFTER_MS, bytes(10))

    async def scenario(store: Store) -> None:
        await put_blob(store, place.keys, old, body_of(MIB))
        await put_blob(store, place.keys, recent, b"on its way")
        await store.transact(lambda tr: clear_abandoned(tr, place.keys, now_ms))
        assert await get_blob(store, place.keys, recent) == b"on its way"
        await delete_blob(store, place.keys, recent)
        assert await store.read(lambda tr: tr.get_range(*everything_in(place))) == []


@pytest.mark.parametrize("before", [None, b"small", body_of(MIB)], ids=["nothing", "small", "large"])
def test_a_value_that_is_written_ahead_is_there_when_its_head_is_and_not_sooner(place: Place, before: bytes | None) -> None:
    key, neighbour, size = place.root + b"a", place.root + b"b", 12 * MIB
    rows = list(pieces_ahead(key, b"\x00w" * 8, body_of(size)))

    async def write_ahead(store: Store) -> None:
        for start in range(0, len(rows), 50):
            await store.transact(lambda tr, start=start: [tr.set(*row) for row in rows[start : start + 50]])

    async def scenario(store: Store) -> None:
        if before is not None:
            await store.transact(lambda tr: set_chunked(tr, key, before))
        await store.transact(lambda tr: set_chunked(tr, neighbour, b"n"))
        await write_ahead(store)
        assert await store.read(lambda tr: get_chunked(tr, key)) == before
        shown = [(key, before)] if before is not None else []
        assert await store.read(lambda tr: get_range_chunked(tr, *everything_in(place), limit=2)) == [*shown, (neighbour, b"n")]
        await store.transact(lambda tr: set_written_ahead(tr, key, b"\x00w" * 8, size))
        assert await store.read(lambda tr: get_chunked(tr, key)) == body_of(size)
        everything = [(key, body_of(size)), (neighbour, b"n")]
        assert await store.read(lambda tr: get_range_chunked(tr, *everything_in(place))) == everything
        assert await store.read(lambda tr: get_range_chunked(tr, *everything_in(place), limit=2, reverse=True)) == everything[::-1]
        assert len(await store.read(lambda tr: tr.get_range(*everything_in(place)))) == len(rows) + 2
        await store.transact(lambda tr: set_chunked(tr, key, b"small"))
        assert len(await store.read(lambda tr: tr.get_range(*everything_in(place)))) == 2

    place.run(scenario)


def test_what_was_written_ahead_in_vain_is_cleared_and_nothing_else(place: Place) -> None:
    key = place.root + b"a"

    async def scenario(store: Store) -> None:
        await store.transact(lambda tr: set_chunked(tr, key, body_of(MIB)))
        rows = await store.read(lambda tr: tr.get_range(*everything_in(place)))
        await store.transact(lambda tr: [tr.set(*row) for row in pieces_ahead(key, b"w" * 16, body_of(MIB))])
        await store.transact(lambda tr: clear_ahead(tr, key, b"w" * 16))
        assert await store.read(lambda tr: tr.get_range(*everything_in(place))) == rows

    place.run(scenario)
