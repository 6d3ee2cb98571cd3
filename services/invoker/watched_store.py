"""The store as the parts of an invoker see it: how long it has been keeping one of them waiting is known at any time.

Neither the native client of FoundationDB nor the embedded store gives up by itself: who is cut off from the store waits without an error.
"""

import asyncio
from collections.abc import Callable
from itertools import count
from typing import TypeVar

from perdure.store.interface import ReadTransaction, Store, Transaction

T = TypeVar("T")


class WatchedStore:
    """`Store` that notes when each access began, which costs well below a microsecond. For one event loop."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._numbers = count()
        self._began_at_s: dict[int, float] = {}
        self.close = store.close

    async def transact(self, fn: Callable[[Transaction], T]) -> T:
        number = self._begin()
        try:
            return await self._store.transact(fn)
        finally:
            del self._began_at_s[number]

    async def read(self, fn: Callable[[ReadTransaction], T]) -> T:
        number = self._begin()
        try:
            return await self._store.read(fn)
        finally:
            del self._began_at_s[number]

    def wait_ms(self) -> int:
        """Return the age of the oldest access under way; 0 where there is none. The clock is that of the loop: it does not jump."""
        began_at_s = next(iter(self._began_at_s.values()), None)
        return 0 if began_at_s is None else round((asyncio.get_running_loop().time() - began_at_s) * 1_000)

    def _begin(self) -> int:
        number = next(self._numbers)
        self._began_at_s[number] = asyncio.get_running_loop().time()
        return number
