"""A running result on its way to a client: rows encoded page by page, counted against the limits."""

import struct
from collections.abc import AsyncIterator, Sequence

import msgspec

from perdure.codec.pgwire.backend import Column, data_row
from perdure.codec.pgwire.copy import CopyEncoder
from perdure.codec.pgwire.values import encoder
from perdure.query.errors import FEATURE_NOT_SUPPORTED, LIMIT_EXCEEDED, QueryError


class ResultLimits(msgspec.Struct, frozen=True):
    """What one statement may return."""

    rows_max: int
    bytes_max: int


class RowStream:
    """Encoded rows of one result.

    Args:
        columns: As the client was told; values are encoded by them.
        formats: One code per column.
    """

    def __init__(
        self, pages: AsyncIterator[list[tuple[object, ...]]], columns: Sequence[Column], formats: Sequence[int], limits: ResultLimits
    ) -> None:
        self._pages = pages
        self._columns = columns
        self._limits = limits
        self.encode_as(formats)
        self._waiting: list[tuple[object, ...]] = []
        self._bytes = 0
        self.rows = 0
        self.is_exhausted = False

    def encode_as(self, formats: Sequence[int]) -> None:
        """Send rows from here on in these formats."""
        self._encoders = [encoder(column.oid, code) for column, code in zip(self._columns, formats, strict=True)]

    async def take(self, rows_max: int) -> bytes:
        """Return the messages of the next rows, at most `rows_max` and at most a page; empty once there are no more.

        Raises:
            QueryError: The query failed, or its result exceeds the limits.
        """
        while not self._waiting and not self.is_exhausted:
            page = await anext(self._pages, None)
            if page is None:
                self.is_exhausted = True
            else:
                self._waiting = page
        taken, self._waiting = self._waiting[:rows_max], self._waiting[rows_max:]
        encoded = b"".join(map(self._encode, taken))
        self.rows += len(taken)
        self._bytes += len(encoded)
        _check(self.rows, self._bytes, self._limits)
        return encoded

    def _encode(self, row: tuple[object, ...]) -> bytes:
        try:
            return data_row([None if value is None else encode(value) for encode, value in zip(self._encoders, row, strict=True)])
        except (struct.error, TypeError, AttributeError):
            raise QueryError(FEATURE_NOT_SUPPORTED, "the result is not of the type that was described: cast the parameter") from None


class CopyStream:
    """Rows of one result as COPY sends them, a page at a time."""

    def __init__(self, pages: AsyncIterator[list[tuple[object, ...]]], encode: CopyEncoder, limits: ResultLimits) -> None:
        self._pages = pages
        self._encode = encode
        self._limits = limits
        self._bytes = 0
        self.rows = 0
        self.begin = encode.begin
        self.end = encode.end

    async def take(self) -> bytes:
        """Return the next rows; empty once there are no more.

        Raises:
            QueryError: The query failed, or its result exceeds the limits.
        """
        async for page in self._pages:
            if page:
                encoded = b"".join(map(self._encode.row, page))
                self.rows += len(page)
                self._bytes += len(encoded)
                _check(self.rows, self._bytes, self._limits)
                return encoded
        return b""


def _check(rows: int, size_bytes: int, limits: ResultLimits) -> None:
    if rows > limits.rows_max or size_bytes > limits.bytes_max:
        text = f"the result exceeds the limit of {limits.rows_max} rows and {limits.bytes_max} bytes: add a LIMIT, or aggregate"
        raise QueryError(LIMIT_EXCEEDED, text)


def spread(formats: Sequence[int], count: int) -> list[int]:
    """Return one format code per column, from none (text), one for all, or one each.

    Raises:
        QueryError: It is another number.
    """
    if len(formats) <= 1:
        return [formats[0] if formats else 0] * count
    if len(formats) != count:
        raise QueryError("08P01", f"{len(formats)} result formats for {count} columns")
    return list(formats)
