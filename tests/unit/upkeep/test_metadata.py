"""What a check finds outside the partitions."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from perdure.store.embedded.store import open_embedded
from perdure.store.format import prepare
from perdure.store.interface import Transaction
from perdure.store.keyspace import Keyspace
from perdure.store.placements import place
from perdure.upkeep.findings import Damage, Finding
from perdure.upkeep.metadata import check_metadata

KEYS = Keyspace("test")


def find(directory: Path, plant: Callable[[Transaction], None]) -> list[Finding]:
    async def run() -> list[Finding]:
        store = open_embedded(str(directory / "store.db"))
        try:
            await prepare(store, KEYS, 4)
            await store.transact(plant)
            return await store.read(lambda tr: check_metadata(tr, KEYS))
        finally:
            await store.close()

    return asyncio.run(run())


def test_wishes_for_partitions_are_sound(tmp_path: Path) -> None:
    assert find(tmp_path, lambda tr: place(tr, KEYS, 3, "invoker-1")) == []


def test_a_wish_for_a_partition_that_is_not_there_is_found(tmp_path: Path) -> None:
    (finding,) = find(tmp_path, lambda tr: place(tr, KEYS, 4, "invoker-1"))
    assert (finding.damage, finding.place) == (Damage.UNKNOWN_KEY, "cluster/placement/4")


def test_a_key_of_no_kind_is_found(tmp_path: Path) -> None:
    (finding,) = find(tmp_path, lambda tr: tr.set(KEYS.root + b"\x02who\x00", b"?"))
    assert (finding.damage, finding.place) == (Damage.UNKNOWN_KEY, "who")
