"""Read the metadata again before a service counts as unknown: whoever registers one may call it at once."""

import asyncio
from collections.abc import Awaitable, Callable


class Freshness:
    """Repeat a read on demand, one at a time, shared by all that ask before it begins."""

    def __init__(self, read: Callable[[], Awaitable[object]]) -> None:
        self._read = read
        self._begun = 0
        self._lock = asyncio.Lock()

    async def renew(self) -> None:
        """Return after a read that began after this call."""
        wanted = self._begun + 1
        async with self._lock:
            if self._begun < wanted:
                self._begun += 1
                await self._read()
