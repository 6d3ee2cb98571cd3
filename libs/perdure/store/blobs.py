"""Bodies too large for the bus: one process leaves them in the store, another fetches them.

A blob is there when its length (chunk 0) is; chunks 1.. hold the bytes. Its id is a ULID, so blobs lie in the order of their age.
"""

from typing import Final

from perdure.base.ids import ulid
from perdure.base.limits import TRANSACTION_BYTES_MAX, VALUE_BYTES_MAX
from perdure.store.interface import ReadTransaction, Store, Transaction
from perdure.store.keyspace import Keyspace

_CHUNKS_PER_COMMIT: Final = TRANSACTION_BYTES_MAX // (VALUE_BYTES_MAX + 1_000)
_COMMIT_BYTES: Final = _CHUNKS_PER_COMMIT * VALUE_BYTES_MAX
_CHUNKS_MAX: Final = 1 << 32
_CHUNKS_PER_READ: Final = 4 * _CHUNKS_PER_COMMIT
ABANDONED_AFTER_MS: Final = 86_400_000
"""Whoever is to fetch a blob does so within seconds, or never: a process ended between the two."""


class BlobWriter:
    """Writes a blob as its bytes come, and holds no more of it than one transaction takes.

    Args:
        store: Where to.
        keyspace: Says under which keys.
        blob_id: A ULID: unique for ever; a second blob with the same id mixes with the first.
    """

    def __init__(self, store: Store, keyspace: Keyspace, blob_id: bytes) -> None:
        self.blob_id = blob_id
        self._store = store
        self._keyspace = keyspace
        self._pending = bytearray()
        self._chunks = 0
        self._size = 0

    async def write(self, part: bytes) -> None:
        """Add bytes; those that fill a transaction are durable when this returns."""
        self._pending += part
        while len(self._pending) > _COMMIT_BYTES:
            await self._commit(bytes(self._pending[:_COMMIT_BYTES]), is_last=False)
            del self._pending[:_COMMIT_BYTES]

    async def finish(self) -> None:
        """Write what is left and the length: when this returns the blob is there."""
        await self._commit(bytes(self._pending), is_last=True)
        self._pending.clear()

    async def _commit(self, data: bytes, *, is_last: bool) -> None:
        self._size += len(data)
        first, size = self._chunks + 1, self._size
        parts = [data[start : start + VALUE_BYTES_MAX] for start in range(0, len(data), VALUE_BYTES_MAX)]
        self._chunks += len(parts)

        def put_chunks(tr: Transaction) -> None:
            for number, part in enumerate(parts, first):
                tr.set(self._keyspace.blob(self.blob_id, number), part)
            if is_last:
                tr.set(self._keyspace.blob(self.blob_id, 0), b"%d" % size)

        await self._store.transact(put_chunks)


async def put_blob(store: Store, keyspace: Keyspace, blob_id: bytes, body: bytes) -> None:
    """Write a blob of any size; when this returns it is durable. Takes several transactions beyond 4 MB."""
    writer = BlobWriter(store, keyspace, blob_id)
    await writer.write(body)
    await writer.finish()


async def get_blob(store: Store, keyspace: Keyspace, blob_id: bytes) -> bytes | None:
    """Return a blob, or None where it is missing, unfinished or deleted."""
    size = await store.read(lambda tr: tr.get(keyspace.blob(blob_id, 0)))
    if size is None:
        return None
    count = -(-int(size) // VALUE_BYTES_MAX)
    parts: list[bytes] = []

    def get_chunks(tr: ReadTransaction, first: int) -> list[tuple[bytes, bytes]]:
        past = min(first + _CHUNKS_PER_READ, count + 1)
        return tr.get_range(keyspace.blob(blob_id, first), keyspace.blob(blob_id, past))

    for first in range(1, count + 1, _CHUNKS_PER_READ):
        parts += [chunk for _, chunk in await store.read(lambda tr, first=first: get_chunks(tr, first))]
    body = b"".join(parts)
    # Shorter: it was deleted while it was read.
    return body if len(body) == int(size) else None


async def delete_blob(store: Store, keyspace: Keyspace, blob_id: bytes) -> None:
    """Delete a blob; one that is missing does not matter."""
    await store.transact(lambda tr: clear_blob(tr, keyspace, blob_id))


def clear_blob(tr: Transaction, keyspace: Keyspace, blob_id: bytes) -> None:
    """Delete a blob within a transaction, for instance the one that writes its content elsewhere."""
    tr.clear_range(keyspace.blob(blob_id, 0), keyspace.blob(blob_id, _CHUNKS_MAX))


def clear_abandoned(tr: Transaction, keyspace: Keyspace, now_ms: int) -> None:
    """Delete the blobs that nobody will fetch any more."""
    tr.clear_range(keyspace.blobs, keyspace.blob_of(ulid(max(0, now_ms - ABANDONED_AFTER_MS), bytes(10))))
