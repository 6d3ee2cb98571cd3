"""Values of any size: longer ones are cut, so that none exceeds what FoundationDB takes.

The first byte of what is stored says what it is:

    00 value                          a whole value, at its key
    01 count value                    the first piece, at its key; `count` (u32, big-endian) pieces follow it
    02 value                          piece n = 1.. of it, at key + n (tuple-packed, so that it sorts right behind its key)
    03 count writing                  at its key; all of the value is in `count` pieces, at key + writing + n

A value of the last form is written ahead: its pieces first, in as many transactions as they need, which nobody sees, and then its head.
`writing` (16 bytes) tells its pieces from those of the value before, which is there until then.

Only keys that are leaves, below which nothing else is kept, may hold such values.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import Final

from perdure.base.limits import VALUE_BYTES_MAX
from perdure.store.interface import ReadTransaction, Transaction

Pairs = list[tuple[bytes, bytes]]

WHOLE_VALUE: Final = b"\x00"
"""First byte of a value that is in one row; whoever knows that no larger one was there before may write it so himself."""
_WHOLE: Final = WHOLE_VALUE[0]
_HEAD: Final = struct.Struct(">BI")
_HEAD_OF_AHEAD: Final = struct.Struct(">BI16s")
_AHEAD: Final = 3
_PIECE: Final = b"\x02"
_END: Final = b"\xff"
_ROWS_MIN: Final = 16
_PIECE_BYTES: Final = VALUE_BYTES_MAX - _HEAD.size


def _pieces_of(key: bytes) -> tuple[bytes, bytes]:
    return key + b"\x00", key + _END


def _piece_key(key: bytes, number: int) -> bytes:
    size = (number.bit_length() + 7) // 8
    return key + bytes((0x14 + size,)) + number.to_bytes(size, "big")


def ahead_of(key: bytes, writing: bytes) -> bytes:
    """Prefix of the pieces that are written ahead for a key."""
    return key + b"\x01" + writing.replace(b"\x00", b"\x00\xff") + b"\x00"


def set_chunked(tr: Transaction, key: bytes, value: bytes, *, is_new: bool = False) -> None:
    """Write a value of any size.

    Args:
        tr: The transaction, which holds 8 MB at most.
        key: A leaf.
        value: What `get_chunked` returns.
        is_new: Nothing was ever written at `key`, or it was cleared: spares clearing the pieces of an older value.
    """
    if not is_new:
        tr.clear_range(*_pieces_of(key))
    if len(value) <= _PIECE_BYTES:
        tr.set(key, WHOLE_VALUE + value)
        return
    starts = range(_PIECE_BYTES, len(value), _PIECE_BYTES)
    tr.set(key, _HEAD.pack(1, len(starts)) + value[:_PIECE_BYTES])
    for number, start in enumerate(starts, 1):
        tr.set(_piece_key(key, number), _PIECE + value[start : start + _PIECE_BYTES])


def pieces_ahead(key: bytes, writing: bytes, value: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the rows that hold a value before it is there."""
    prefix = ahead_of(key, writing)
    for number, start in enumerate(range(0, len(value), _PIECE_BYTES), 1):
        yield _piece_key(prefix, number), _PIECE + value[start : start + _PIECE_BYTES]


def set_written_ahead(tr: Transaction, key: bytes, writing: bytes, size: int) -> None:
    """Let a value of `size` bytes be there whose pieces were written before, in place of the one that was."""
    begin, end = _pieces_of(key)
    prefix = ahead_of(key, writing)
    tr.clear_range(begin, prefix)
    tr.clear_range(prefix + _END, end)
    tr.set(key, _HEAD_OF_AHEAD.pack(_AHEAD, -(-size // _PIECE_BYTES), writing))


def clear_ahead(tr: Transaction, key: bytes, writing: bytes) -> None:
    """Clear the pieces of a value that will never be there."""
    prefix = ahead_of(key, writing)
    tr.clear_range(prefix, prefix + _END)


def get_chunked(tr: ReadTransaction, key: bytes) -> bytes | None:
    """Return the whole value at `key`, or None."""
    stored = tr.get(key)
    return None if stored is None else _complete(tr, key, stored, {})


def clear_chunked(tr: Transaction, key: bytes) -> None:
    """Clear the value at `key` with its pieces. A `clear_range` around the key does as well."""
    tr.clear(key)
    tr.clear_range(*_pieces_of(key))


def get_range_chunked(tr: ReadTransaction, begin: bytes, end: bytes, *, limit: int = 0, reverse: bool = False) -> Pairs:
    """Return the pairs with `begin` <= key < `end` and whole values, at most `limit` (0: all). `begin` and `end` are not pieces."""
    rows = more = tr.get_range(begin, end, limit=limit, reverse=reverse)
    whole = [(key, stored[1:]) for key, stored in rows if stored[0] == _WHOLE]
    if len(whole) == len(rows):
        return whole  # as nearly always: 1.0 us -> 0.2 us per pair
    asked = limit
    while limit and len(more) == asked and (missing := limit - sum(map(_is_first, rows))):
        # Pieces took the place of some pairs.
        asked = max(missing, _ROWS_MIN)
        begin, end = (begin, rows[-1][0]) if reverse else (rows[-1][0] + b"\x00", end)
        more = tr.get_range(begin, end, limit=asked, reverse=reverse)
        rows = rows + more
    pairs = _whole_of(tr, rows)
    return pairs[:limit] if limit else pairs


def get_ranges_chunked(tr: ReadTransaction, ranges: Sequence[tuple[bytes, bytes]]) -> list[Pairs]:
    """Return all pairs of each range with whole values, in their order."""
    return [_whole_of(tr, rows) for rows in tr.get_ranges(ranges)]


def get_many_chunked(tr: ReadTransaction, keys: Sequence[bytes]) -> list[bytes | None]:
    """Return the whole values at `keys`, in their order."""
    found = zip(keys, tr.get_many(keys), strict=True)
    return [None if stored is None else _complete(tr, key, stored, {}) for key, stored in found]


def _whole_of(tr: ReadTransaction, rows: Pairs) -> Pairs:
    pieces = dict(row for row in rows if not _is_first(row))
    return [(key, _complete(tr, key, stored, pieces)) for key, stored in filter(_is_first, rows)]


def _is_first(row: tuple[bytes, bytes]) -> bool:
    return row[1][0] != _PIECE[0]


def _complete(tr: ReadTransaction, key: bytes, stored: bytes, pieces: dict[bytes, bytes]) -> bytes:
    """Return the whole value that begins with `stored`; reads its pieces if they are not among `pieces`."""
    if stored[0] == _WHOLE:
        return stored[1:]
    _, count = _HEAD.unpack_from(stored)
    begin, first = key, stored[_HEAD.size :]
    if stored[0] == _AHEAD:
        begin, first = ahead_of(key, first), b""
    keys = [_piece_key(begin, number) for number in range(1, count + 1)]
    if keys[-1] not in pieces:
        pieces = dict(tr.get_range(keys[0], begin + _END))
    return first + b"".join([pieces[piece][1:] for piece in keys])
