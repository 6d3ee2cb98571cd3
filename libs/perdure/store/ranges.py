"""Ranges larger than one transaction can read."""

from collections.abc import AsyncIterator

from perdure.base.limits import SCAN_ROWS_MAX
from perdure.store.chunks import get_range_chunked
from perdure.store.interface import ReadTransaction, Store

Pairs = list[tuple[bytes, bytes]]


async def scan(store: Store, begin: bytes, end: bytes, page: int = SCAN_ROWS_MAX, *, is_chunked: bool = False) -> AsyncIterator[Pairs]:
    """Yield the pairs with `begin` <= key < `end` in key order, in pages of at most `page` pairs; no page is empty.

    Each page is a transaction of its own: what others write meanwhile is seen or not, page by page.

    Args:
        store: Where from.
        begin: First key, included.
        end: Last key, not included.
        page: Pairs in a page; smaller ones hold memory and transactions small where values are large.
        is_chunked: The values were written by `set_chunked` and come whole.
    """
    assert page > 0

    def read_page(tr: ReadTransaction, begin: bytes) -> Pairs:
        if is_chunked:
            return get_range_chunked(tr, begin, end, limit=page)
        return tr.get_range(begin, end, limit=page)

    while pairs := await store.read(lambda tr, begin=begin: read_page(tr, begin)):
        yield pairs
        if len(pairs) < page:
            return
        # The pieces of a chunked value lie between its key and this one.
        begin = pairs[-1][0] + (b"\xff" if is_chunked else b"\x00")
