"""Our transaction on a native one; each read blocks its thread until the cluster has answered."""

import struct
from collections.abc import Sequence
from typing import Final

from perdure.base.limits import VALUE_BYTES_MAX
from perdure.store.fdb.binding import WANT_ALL, NativeRange, NativeReads, NativeTransaction

_COUNTER: Final = struct.Struct("<q")
_POSITION: Final = struct.Struct("<I")
_STAMP_PLACE: Final = b"\xff" * 10


class FdbSnapshot:
    """Reads, with or without read conflicts: as `native` does."""

    def __init__(self, native: NativeReads) -> None:
        self._reads = native

    def get(self, key: bytes) -> bytes | None:
        return self._reads.get(key).value

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        asked = [self._reads.get(key) for key in keys]
        return [each.value for each in asked]

    def get_range(self, begin: bytes, end: bytes, *, limit: int = 0, reverse: bool = False) -> list[tuple[bytes, bytes]]:
        if begin >= end:
            return []  # The cluster refuses inverted ranges.
        return _pairs_of(self._reads.get_range(begin, end, limit, reverse, WANT_ALL))

    def get_ranges(self, ranges: Sequence[tuple[bytes, bytes]]) -> list[list[tuple[bytes, bytes]]]:
        assert all(begin <= end for begin, end in ranges)
        asked = [self._reads.get_range(begin, end, 0, False, WANT_ALL) for begin, end in ranges]
        return [_pairs_of(each) for each in asked]


def _pairs_of(found: NativeRange) -> list[tuple[bytes, bytes]]:
    return [(pair.key, pair.value) for pair in found.to_list()]


class FdbTransaction(FdbSnapshot):
    """Reads and writes; what it read conflicts with what others commit meanwhile."""

    def __init__(self, native: NativeTransaction) -> None:
        super().__init__(native)
        self._native = native

    def set(self, key: bytes, value: bytes) -> None:
        assert len(value) <= VALUE_BYTES_MAX, "longer values are cut into chunks"
        self._native.set(key, value)

    def clear(self, key: bytes) -> None:
        self._native.clear(key)

    def clear_range(self, begin: bytes, end: bytes) -> None:
        if begin < end:
            self._native.clear_range(begin, end)

    def add(self, key: bytes, delta: int) -> None:
        self._native.add(key, _COUNTER.pack(delta))

    def set_versionstamped_key(self, prefix: bytes, suffix: bytes, value: bytes) -> None:
        assert len(value) <= VALUE_BYTES_MAX, "longer values are cut into chunks"
        # The native client cuts the last four bytes off the key and puts the stamp where they point.
        self._native.set_versionstamped_key(prefix + _STAMP_PLACE + suffix + _POSITION.pack(len(prefix)), value)
