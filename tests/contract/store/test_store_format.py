"""What is fixed at first use."""

import asyncio

import pytest

from perdure.base.errors import StoreFormatError
from perdure.store.format import FORMAT_VERSION, prepare
from perdure.store.interface import Store
from tests.contract.store.places import Place


def test_the_first_who_uses_a_store_fixes_the_number_of_partitions(place: Place) -> None:
    async def scenario(store: Store) -> None:
        assert await prepare(store, place.keys, 24) == 24
        assert await prepare(store, place.keys, 7) == 24

    place.run(scenario)


def test_all_who_start_at_once_agree(place: Place) -> None:
    async def scenario(store: Store) -> None:
        other = place.open()
        counts = await asyncio.gather(*(prepare((store, other)[n % 2], place.keys, n + 1) for n in range(6)))
        await other.close()
        assert len(set(counts)) == 1

    place.run(scenario)


@pytest.mark.parametrize(
    ("found", "advice"),
    [(b"%d" % (FORMAT_VERSION + 1), "newer version"), (b"0", "older version"), (b"?", "another root")],
)
def test_another_format_is_refused_with_advice(place: Place, found: bytes, advice: str) -> None:
    async def scenario(store: Store) -> None:
        await store.transact(lambda tr: tr.set(place.keys.format_version, found))
        with pytest.raises(StoreFormatError, match=advice):
            await prepare(store, place.keys, 24)

    place.run(scenario)
