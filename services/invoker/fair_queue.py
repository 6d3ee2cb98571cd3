"""A queue of queues: whoever waits under one key waits for those before it there, and no key waits for another's backlog."""

from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class FairQueue(Generic[K, T]):
    """Items by key, first come first served under each key; the keys that have items take turns. All operations are O(1)."""

    def __init__(self) -> None:
        self._queues: dict[K, deque[T]] = {}
        self._turns: deque[K] = deque()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def push(self, key: K, item: T) -> None:
        """Put an item behind those of its key; a key that had none gets the last turn."""
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = deque()
            self._turns.append(key)
        queue.append(item)
        self._length += 1

    def pop(self) -> T:
        """Take the first item of the key whose turn it is.

        Raises:
            IndexError: There is none.
        """
        key = self._turns.popleft()
        queue = self._queues[key]
        item = queue.popleft()
        self._length -= 1
        if queue:
            self._turns.append(key)
        else:
            del self._queues[key]
        return item
