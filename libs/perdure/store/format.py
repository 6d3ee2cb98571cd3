"""What is fixed when a store is first used: the version of its format, and the number of partitions."""

from typing import Final

from perdure.base.errors import StoreFormatError
from perdure.store.interface import Store, Transaction
from perdure.store.keyspace import Keyspace

FORMAT_VERSION: Final = 1
"""Raised by each change that makes an older server misread the store, or makes this one misread an older store."""


async def prepare(store: Store, keyspace: Keyspace, partitions: int) -> int:
    """Mark a new store as ours, or check that this server can read it.

    Args:
        partitions: Number of partitions of a new store; a used one keeps its own.

    Returns:
        The number of partitions in force.

    Raises:
        StoreFormatError: Another version of the server wrote the store.
    """
    assert partitions > 0

    def prepare_in(tr: Transaction) -> int:
        found = tr.get(keyspace.format_version)
        if found is None:
            tr.set(keyspace.format_version, b"%d" % FORMAT_VERSION)
            tr.set(keyspace.partition_count, b"%d" % partitions)
            return partitions
        _check(found)
        count = tr.get(keyspace.partition_count)
        assert count is not None, "written together with the format version"
        return int(count)

    return await store.transact(prepare_in)


def _check(found: bytes) -> None:
    if found == b"%d" % FORMAT_VERSION:
        return
    if not found.isdigit():
        raise StoreFormatError(
            f"the store's format version is {found!r}, which is not a number: was it written by Perdure? Choose another root"
        )
    if int(found) > FORMAT_VERSION:
        raise StoreFormatError(
            f"the store has format {int(found)}, and this server reads format {FORMAT_VERSION}: "
            "start the newer version that wrote it, or use another base directory or root"
        )
    raise StoreFormatError(
        f"the store has format {int(found)}, and this server reads format {FORMAT_VERSION}: "
        "let the older version finish what is in flight, then start this one with a new base directory or root"
    )
