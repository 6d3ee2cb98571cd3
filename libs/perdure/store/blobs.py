"""Bodies too large for the bus: one process leaves them in the store, another fetches them.

A blob is there when its length (chunk 0) is; chunks 1.. hold the bytes.
"""

from typing import Final

from perdure.base.limits import TRANSACTION_BYTES_MAX, VALUE_BYTES_MAX
from perdure.store.interface import ReadTransaction, Store, Transaction
from perdure.store.keyspace import Keyspace

_CHUNKS_PER_COMMIT: Final = TRANSACTION_BYTES_MAX // (VALUE_BYTES_MAX + 1_000)
_CHUNKS_MAX: Final = 1 << 32
_CHUNKS_PER_READ: Final = 4 * _CHUNKS_PER_COMMIT


async def put_blob(store: Store, keyspace: Keyspace, blob_id: bytes, body: bytes) -> None:
    """Write a blob of any size; when this returns it is durable. Takes several transactions beyond 5 MB.

    Args:
        store: Where to.
        keyspace: Says under which keys.
        blob_id: Unique for ever; a second blob with the same id mixes with the first.
        body: Its bytes.
    """
    chunks = [
        (keyspace.blob(blob_id, number), body[start : start + VALUE_BYTES_MAX])
        for number, start in enumerate(range(0, len(body), VALUE_BYTES_MAX), 1)
    ]

    def put_chunks(tr: Transaction, batch: list[tuple[bytes, bytes]], *, is_last: bool) -> None:
        for key, chunk in batch:
            tr.set(key, chunk)
        if is_last:
            tr.set(keyspace.blob(blob_id, 0), b"%d" % len(body))

    for start in range(0, max(len(chunks), 1), _CHUNKS_PER_COMMIT):
        batch = chunks[start : start + _CHUNKS_PER_COMMIT]
        is_last = start + _CHUNKS_PER_COMMIT >= len(chunks)
        await store.transact(lambda tr, batch=batch, is_last=is_last: put_chunks(tr, batch, is_last=is_last))


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
