"""Values that are too much for one transaction: their pieces are written ahead, and the batch that they belong to makes them be there.

A row of the partition names them until then. Whoever takes the partition clears what such rows name: the batch never came to be.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

import msgspec
import xxhash

from perdure.base.errors import LeaseLost
from perdure.base.limits import TRANSACTION_BYTES_MAX
from perdure.store.chunks import clear_ahead, clear_chunked, pieces_ahead, set_chunked, set_written_ahead
from perdure.store.interface import Store, Transaction
from perdure.store.keyspace import Keyspace, PartitionKeys, range_of, unpack
from perdure.store.ranges import scan

_encode: Final = msgspec.msgpack.Encoder().encode
_decode_keys: Final = msgspec.msgpack.Decoder(list[bytes]).decode


class Ahead:
    """What one batch writes ahead.

    Args:
        number: Told from that of every other batch.
        keyspace: All keys.
        partition: It keeps the row.
        values: Key -> value.
    """

    def __init__(self, number: bytes, keyspace: Keyspace, partition: int, values: dict[bytes, bytes]) -> None:
        self._id = xxhash.xxh3_128_digest(number)
        self._values = values
        self._row = keyspace.partition(partition).writing(self._id)

    def parts(self) -> Iterator[list[tuple[bytes, bytes]]]:
        """Yield rows to write, as many at a time as one transaction takes."""
        part: list[tuple[bytes, bytes]] = []
        size_bytes = 0
        for row in chain.from_iterable(pieces_ahead(key, self._id, value) for key, value in self._values.items()):
            if size_bytes > TRANSACTION_BYTES_MAX:
                yield part
                part, size_bytes = [], 0
            part.append(row)
            size_bytes += len(row[1])
        yield part

    def write(self, tr: Transaction, part: Iterable[tuple[bytes, bytes]]) -> None:
        """Write a part, and the row that names all of them."""
        set_chunked(tr, self._row, _encode(list(self._values)))
        for key, value in part:
            tr.set(key, value)

    def finish(self, tr: Transaction) -> None:
        """Let all values be there, once all parts have committed."""
        clear_chunked(tr, self._row)
        for key, value in self._values.items():
            set_written_ahead(tr, key, self._id, len(value))


async def clear_left_over(store: Store, keys: PartitionKeys, lease_value: bytes) -> None:
    """Clear what earlier owners of a partition wrote ahead for batches that never came to be.

    Raises:
        LeaseLost: The partition has another owner by now.
    """

    def clear(tr: Transaction, row: bytes, named: bytes) -> None:
        if tr.get(keys.lease) != lease_value:
            raise LeaseLost(f"the lease at {keys.lease!r} is no longer ours")
        writing = unpack(row)[-1]
        assert isinstance(writing, bytes)
        for key in _decode_keys(named):
            clear_ahead(tr, key, writing)
        clear_chunked(tr, row)

    async for page in scan(store, *range_of(keys.writings), is_chunked=True):
        for row, named in page:
            await store.transact(lambda tr, row=row, named=named: clear(tr, row, named))
