"""`perdure check`: reads a whole store, of a suite that runs or not, and changes nothing."""

from typing import Final

from perdure.store.interface import Store
from perdure.store.keyspace import Keyspace, range_of
from perdure.store.ranges import scan
from perdure.upkeep.findings import Damage, Finding, in_both
from perdure.upkeep.metadata import check_metadata
from perdure.upkeep.rows import PartitionRows
from perdure.upkeep.rules import judge

PASSES_MAX: Final = 3
"""What a running suite changes between two reads looks like damage; it is damage if it is there each time."""


async def check(store: Store, keyspace: Keyspace) -> list[Finding]:
    """Return every place where the store breaks a rule; none in a sound one. Reads everything, one partition after another.

    Raises:
        StoreError: The store could not be read.
    """
    count = await store.read(lambda tr: tr.get(keyspace.partition_count))
    if count is None or not count.isdigit():
        return [Finding(Damage.UNREADABLE, "cluster/partitions", "no number of partitions: no server ever used this store and root")]
    findings = await store.read(lambda tr: check_metadata(tr, keyspace))
    for number in range(int(count)):
        findings += await _check_partition(store, keyspace, number, int(count))
    return findings


async def _check_partition(store: Store, keyspace: Keyspace, number: int, partitions: int) -> list[Finding]:
    findings = await _read_partition(store, keyspace, number, partitions)
    for _ in range(1, PASSES_MAX):
        if findings:
            findings = in_both(findings, await _read_partition(store, keyspace, number, partitions))
    return findings


async def _read_partition(store: Store, keyspace: Keyspace, number: int, partitions: int) -> list[Finding]:
    rows = PartitionRows(number, partitions, keyspace)
    async for page in scan(store, *range_of(keyspace.partition(number).prefix)):
        for key, value in page:
            rows.take(key, value)
    rows.finish()
    return judge(rows)
