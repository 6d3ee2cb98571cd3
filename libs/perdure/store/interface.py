"""The store as everything else sees it: a subset of the official FoundationDB binding's transaction.

Strictly serializable; keys and values are bytes; keys are ordered bytewise. Source: architecture, The store.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")


class ReadTransaction(Protocol):
    """One consistent view of the store."""

    def get(self, key: bytes) -> bytes | None:
        """Return the value at `key`, or None."""
        ...

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the values at `keys`, in their order; FoundationDB is asked for all at once."""
        ...

    def get_range(self, begin: bytes, end: bytes, *, limit: int = 0, reverse: bool = False) -> list[tuple[bytes, bytes]]:
        """Return the pairs with `begin` <= key < `end`, in key order (`reverse`: backwards), at most `limit` (0: all).

        A range that ends before it begins is empty.
        """
        ...

    def get_ranges(self, ranges: Sequence[tuple[bytes, bytes]]) -> list[list[tuple[bytes, bytes]]]:
        """Return all pairs of each range, in their order; FoundationDB is asked for all at once."""
        ...


class Transaction(ReadTransaction, Protocol):
    """A read-write transaction that sees its own writes. What it read is part of its conflict set."""

    def set(self, key: bytes, value: bytes) -> None: ...

    def clear(self, key: bytes) -> None: ...

    def clear_range(self, begin: bytes, end: bytes) -> None:
        """Clear `begin` <= key < `end`."""
        ...

    def add(self, key: bytes, delta: int) -> None:
        """Add to a signed 64-bit little-endian counter without reading it into the conflict set; absent counts as 0."""
        ...

    def set_versionstamped_key(self, prefix: bytes, suffix: bytes, value: bytes) -> None:
        """Write `prefix + versionstamp + suffix` -> value, where the 10-byte versionstamp grows with each commit.

        Several of one transaction share the versionstamp: `suffix` tells them apart and orders them.
        """
        ...


class Store(Protocol):
    """Transactions over one key space. `fn` runs outside the event loop and may run several times: it must not have side effects."""

    async def transact(self, fn: Callable[[Transaction], T]) -> T:
        """Run `fn` and commit; repeat both on conflict.

        A commit whose outcome is unknown runs `fn` again as well, so a write that is not idempotent must check in `fn`
        whether it is already there (owners do so with their batch number).

        Raises:
            StoreError: The transaction failed for good; nothing was written.
            CommitUnknown: It was given up, and may have been written. FoundationDB only.
        """
        ...

    async def read(self, fn: Callable[[ReadTransaction], T]) -> T:
        """Run `fn` on a snapshot; nothing is written and nothing conflicts."""
        ...

    async def close(self) -> None: ...
