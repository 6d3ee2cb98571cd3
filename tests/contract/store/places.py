"""Where the data of a test is."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import TypeVar

from perdure.store.interface import Store
from perdure.store.keyspace import Keyspace

T = TypeVar("T")


class Place:
    """Where the data of one test is; each store that it opens sees the same."""

    def __init__(self, kind: str, open_one: Callable[[], Store], *, path: str = "") -> None:
        self.kind = kind
        self.open = open_one
        self.path = path
        self.keys = Keyspace(f"test-{uuid.uuid4()}")
        self.root = self.keys.root

    def run(self, scenario: Callable[[Store], Awaitable[T]]) -> T:
        """Run `scenario` on a store of its own, and close it."""

        async def main() -> T:
            store = self.open()
            try:
                return await scenario(store)
            finally:
                await store.close()

        return asyncio.run(main())
