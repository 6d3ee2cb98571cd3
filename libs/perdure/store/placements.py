"""Which partitions an operator wants to be at which invoker. Without a word on a partition, the living invokers share it out."""

from typing import cast

from perdure.store.interface import ReadTransaction, Transaction
from perdure.store.keyspace import Keyspace, range_of, unpack


def read_placements(tr: ReadTransaction, keyspace: Keyspace) -> dict[int, str]:
    """Return partition -> process id. The process may be gone: then the word does not count."""
    return {cast("int", unpack(key)[-1]): value.decode() for key, value in tr.get_range(*range_of(keyspace.placements))}


def place(tr: Transaction, keyspace: Keyspace, partition: int, process_id: str) -> None:
    """Want a partition at a process; with an empty id, wherever the living invokers put it."""
    key = keyspace.placement(partition)
    if process_id:
        tr.set(key, process_id.encode())
    else:
        tr.clear(key)
