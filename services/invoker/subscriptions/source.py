"""What a subscription reads from, whatever the broker: partitions of numbered records, in order."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from perdure.base.errors import PerdureError


class SourceFailed(PerdureError):
    """The broker, the topic or the stream cannot be read just now; reading is tried again."""


class Record(msgspec.Struct, frozen=True, gc=False):
    """One record. `offset` grows along a partition, with gaps where the broker has removed some."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes
    attributes: tuple[tuple[str, str], ...]
    """What the handler is told of it, by name."""


class Source(Protocol):
    """One reader. Every method raises `SourceFailed`; after that nothing but `close` is called."""

    async def partitions(self) -> list[int]:
        """Return what there is to read; cheap to ask often."""
        ...

    async def first_offset(self, partition: int) -> int:
        """Return where a subscription that never read a partition begins, by its options."""
        ...

    async def read_from(self, begin: Mapping[int, int]) -> None:
        """Read these partitions and no others, each from this offset on."""
        ...

    async def take(self) -> list[Record]:
        """Return the next records, those of a partition in order and without leaving one out; after a moment without any, none.

        Some hundred may be taken before they are confirmed; a broker may hold back what comes after.
        """
        ...

    async def confirm(self, next_offsets: Mapping[int, int]) -> None:
        """Tell the broker that all records before these offsets are admitted, for its statistics and retention."""
        ...

    async def close(self) -> None: ...
