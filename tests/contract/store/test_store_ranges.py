"""Ranges: ends, limits, direction, and more than one transaction reads."""

import pytest

from perdure.base.limits import SCAN_ROWS_MAX
from perdure.store.interface import Store, Transaction
from perdure.store.ranges import scan
from tests.contract.store.places import Place


def rows_of(place: Place, count: int) -> list[tuple[bytes, bytes]]:
    return [(place.root + b"%05d" % n, b"%d" % n) for n in range(count)]


async def fill(store: Store, rows: list[tuple[bytes, bytes]]) -> None:
    def fn(tr: Transaction) -> None:
        for key, value in reversed(rows):
            tr.set(key, value)

    await store.transact(fn)


@pytest.mark.parametrize(
    ("first", "past", "limit", "reverse"),
    [
        (0, 10, 0, False),
        (2, 7, 0, False),
        (2, 7, 3, False),
        (2, 7, 0, True),
        (2, 7, 3, True),
        (2, 7, 5, True),
        (4, 4, 0, False),
        (0, 10, 99, False),
    ],
)
def test_a_range_has_its_begin_and_not_its_end(place: Place, first: int, past: int, limit: int, reverse: bool) -> None:
    rows = rows_of(place, 11)

    async def scenario(store: Store) -> None:
        await fill(store, rows)
        expected = rows[first:past][::-1] if reverse else rows[first:past]
        got = await store.read(lambda tr: tr.get_range(rows[first][0], rows[past][0], limit=limit, reverse=reverse))
        assert got == (expected[:limit] if limit else expected)

    place.run(scenario)


def test_keys_are_ordered_bytewise(place: Place) -> None:
    tails = [b"", b"\x00", b"\x00\xff", b"\x01", b"a", b"a\x00", b"aa", b"b", b"\x7f", b"\x80", b"\xfe"]
    rows = [(place.root + tail, b"%d" % n) for n, tail in enumerate(tails)]

    async def scenario(store: Store) -> None:
        await fill(store, rows)
        assert await store.read(lambda tr: tr.get_range(place.root, place.root + b"\xff")) == sorted(rows)

    place.run(scenario)


def test_a_scan_pages_past_limits(place: Place) -> None:
    rows = rows_of(place, 2 * SCAN_ROWS_MAX + 1)

    async def scenario(store: Store) -> None:
        await fill(store, rows)
        pages = [page async for page in scan(store, place.root, place.root + b"\xff")]
        assert [len(page) for page in pages] == [SCAN_ROWS_MAX, SCAN_ROWS_MAX, 1]
        assert [row for page in pages for row in page] == rows
        assert [len(page) async for page in scan(store, rows[0][0], rows[100][0], 50)] == [50, 50]
        assert [page async for page in scan(store, place.root + b"x", place.root + b"y")] == []

    place.run(scenario)


def test_long_reads_agree_with_short_ones(place: Place) -> None:
    rows = rows_of(place, 3_000)

    async def scenario(store: Store) -> None:
        await fill(store, rows)
        assert await store.read(lambda tr: tr.get_range(place.root, place.root + b"\xff")) == rows
        assert await store.read(lambda tr: [tr.get(key) for key, _ in rows]) == [value for _, value in rows]

    place.run(scenario)
