"""A store in memory with seeded faults, for many simulated processes on one virtual-time event loop.

`fn` runs in one piece at the moment of its commit, which is what strict serializability promises. Around that moment lie what a real
store does to its clients: delay, conflict, a commit whose outcome is unknown, failure, and the death of the process.
"""

import asyncio
import random
import struct
from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import msgspec

from perdure.base.errors import StoreError
from perdure.base.limits import VALUE_BYTES_MAX
from perdure.store.interface import ReadTransaction, Transaction

T = TypeVar("T")
Pairs = list[tuple[bytes, bytes]]

_COUNTER: Final = struct.Struct("<q")
_STAMP: Final = struct.Struct(">QH")
_STAMP_BYTES: Final = 10
_WRAP: Final = 1 << 64
_COMMIT_BYTES_MAX: Final = 10_000_000
"""What FoundationDB refuses; the layer above splits long before."""
_FAULTS_IN_A_ROW_MAX: Final = 20


class StoreFaults(msgspec.Struct, frozen=True, kw_only=True):
    """What goes wrong: probabilities per try of a transaction, and the bounds of delays in seconds."""

    conflict: float = 0.0
    """`fn` runs, nothing is written, `fn` runs again"""
    unknown_applied: float = 0.0
    """the commit happens, its answer is lost, `fn` runs again"""
    unknown_lost: float = 0.0
    """the commit does not happen, the client cannot know, `fn` runs again"""
    failure: float = 0.0
    """`StoreError`, nothing is written"""
    applied_in_death: float = 0.5
    """a commit that is on its way when its process dies still happens"""
    delay_s_min: float = 0.0
    delay_s_max: float = 0.0
    """each way of a commit, and each read, takes a time between these"""


class Commit(msgspec.Struct, frozen=True):
    """One commit that happened, for those who judge the history."""

    client: str
    version: int
    writes: dict[bytes, bytes | None]
    """key -> value, or None where it was cleared"""


class _View:
    """The data at one moment, with the writes of one transaction over it."""

    def __init__(self, data: dict[bytes, bytes], keys: list[bytes]) -> None:
        self._data = data
        self._keys = keys
        self.writes: dict[bytes, bytes | None] = {}
        self.stamped: list[tuple[bytes, bytes, bytes]] = []

    def get(self, key: bytes) -> bytes | None:
        if key in self.writes:
            return self.writes[key]
        return self._data.get(key)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self.get(key) for key in keys]

    def get_range(self, begin: bytes, end: bytes, *, limit: int = 0, reverse: bool = False) -> Pairs:
        assert limit >= 0
        assert not any(prefix < end and prefix + b"\xff" * _STAMP_BYTES >= begin for prefix, _, _ in self.stamped), (
            "FoundationDB does not let a transaction read where its own versionstamped keys will be"
        )
        keys = self._keys[bisect_left(self._keys, begin) : bisect_left(self._keys, end)]
        if self.writes:
            keys = sorted({*keys, *(key for key in self.writes if begin <= key < end)})
        if reverse:
            keys.reverse()
        pairs: Pairs = []
        for key in keys:
            value = self.get(key)
            if value is not None:
                pairs.append((key, value))
                if len(pairs) == limit:
                    break
        return pairs

    def get_ranges(self, ranges: Sequence[tuple[bytes, bytes]]) -> list[Pairs]:
        return [self.get_range(begin, end) for begin, end in ranges]

    def set(self, key: bytes, value: bytes) -> None:
        assert len(value) <= VALUE_BYTES_MAX, "longer values are cut into chunks"
        self.writes[key] = value

    def clear(self, key: bytes) -> None:
        self.writes[key] = None

    def clear_range(self, begin: bytes, end: bytes) -> None:
        for key in self._keys[bisect_left(self._keys, begin) : bisect_left(self._keys, end)]:
            self.writes[key] = None
        for key in self.writes:
            if begin <= key < end:
                self.writes[key] = None

    def add(self, key: bytes, delta: int) -> None:
        value = self.get(key)
        total = (_COUNTER.unpack(value)[0] if value is not None else 0) + delta
        self.writes[key] = (total % _WRAP).to_bytes(8, "little")

    def set_versionstamped_key(self, prefix: bytes, suffix: bytes, value: bytes) -> None:
        assert len(value) <= VALUE_BYTES_MAX, "longer values are cut into chunks"
        self.stamped.append((prefix, suffix, value))


class SimStore:
    """The data that all simulated processes share.

    Args:
        random: Decides on faults and delays; the same seed under the same event loop gives the same run.
        on_commit: Called with each commit that happens, also one that nobody will hear of.
    """

    def __init__(
        self,
        *,
        random: random.Random,
        faults: StoreFaults | None = None,
        on_commit: Callable[[Commit], None] | None = None,
    ) -> None:
        self.random = random
        self.faults = faults or StoreFaults()
        self._on_commit = on_commit
        self._data: dict[bytes, bytes] = {}
        self._keys: list[bytes] = []
        self._version = 0
        self._clients: dict[str, list[SimClient]] = {}

    def client(self, name: str) -> "SimClient":
        """Return a store for the process `name`; one that was killed gets a new one when it starts again."""
        client = SimClient(self, name)
        self._clients.setdefault(name, []).append(client)
        return client

    def kill(self, name: str) -> None:
        """Let no call of the clients of process `name` return any more.

        A transaction in flight happens wholly or not at all. The callers wait for good: whoever simulates the process cancels its tasks.
        """
        for client in self._clients.pop(name, []):
            client.is_dead = True

    def pairs(self, begin: bytes = b"", end: bytes = b"\xff") -> Pairs:
        """Return what is in the store now, in key order; for checkers."""
        return _View(self._data, self._keys).get_range(begin, end)

    def view(self) -> _View:
        """Return a view of the present data."""
        return _View(self._data, self._keys)

    def apply(self, view: _View, client: str) -> None:
        """Commit the writes of a view.

        Raises:
            StoreError: They are more than one transaction may hold.
        """
        if not view.writes and not view.stamped:
            return
        self._version += 1
        stamp = _STAMP.pack(self._version, 0)
        for prefix, suffix, value in view.stamped:
            view.writes[prefix + stamp + suffix] = value
        size = sum(len(key) + len(value or b"") for key, value in view.writes.items())
        if size > _COMMIT_BYTES_MAX:
            raise StoreError(f"a transaction of {size} bytes, limit {_COMMIT_BYTES_MAX}")
        for key, value in view.writes.items():
            self._put(key, value)
        if self._on_commit is not None:
            self._on_commit(Commit(client, self._version, view.writes))

    def _put(self, key: bytes, value: bytes | None) -> None:
        if value is not None:
            if key not in self._data:
                insort(self._keys, key)
            self._data[key] = value
        elif self._data.pop(key, None) is not None:
            del self._keys[bisect_left(self._keys, key)]


class SimClient:
    """`Store` of one simulated process."""

    def __init__(self, store: SimStore, name: str) -> None:
        self._store = store
        self._name = name
        self.is_dead = False
        self._is_closed = False

    async def transact(self, fn: Callable[[Transaction], T]) -> T:
        self._check_open()
        # Any: the result of `fn`, whatever its type.
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if not self.is_dead:
            self._later(self._receive, fn, answer, _FAULTS_IN_A_ROW_MAX)
        return await answer

    async def read(self, fn: Callable[[ReadTransaction], T]) -> T:
        self._check_open()
        await asyncio.sleep(self._delay_s())
        return await _never() if self.is_dead else fn(self._store.view())

    async def close(self) -> None:
        self._is_closed = True

    def _receive(self, fn: Callable[[Transaction], object], answer: "asyncio.Future[Any]", tries_left: int) -> None:
        """Treat a transaction that has reached the store; its caller may be cancelled or dead meanwhile."""
        if self.is_dead and self._store.random.random() >= self._store.faults.applied_in_death:
            return
        try:
            if tries_left > 0 and not self.is_dead and self._meets_fault(fn):
                self._later(self._receive, fn, answer, tries_left - 1)
                return
            value = self._commit(fn)
        except BaseException as error:
            self._later(self._answer, answer, answer.set_exception, error)
        else:
            self._later(self._answer, answer, answer.set_result, value)

    def _answer(self, answer: "asyncio.Future[Any]", give: Callable[..., None], outcome: object) -> None:
        if not self.is_dead and not answer.done():
            give(outcome)

    def _meets_fault(self, fn: Callable[[Transaction], object]) -> bool:
        """Try to commit `fn` under faults; return whether one came in the way, so that `fn` must run again."""
        faults = self._store.faults
        dice = self._store.random.random()
        for probability, act in (
            (faults.conflict, self._discard),
            (faults.unknown_lost, self._discard),
            (faults.unknown_applied, self._commit),
            (faults.failure, self._fail),
        ):
            if dice < probability:
                act(fn)
                return True
            dice -= probability
        return False

    def _commit(self, fn: Callable[[Transaction], T]) -> T:
        view = self._store.view()
        value = fn(view)
        self._store.apply(view, self._name)
        return value

    def _discard(self, fn: Callable[[Transaction], object]) -> None:
        fn(self._store.view())

    def _fail(self, fn: Callable[[Transaction], object]) -> None:
        self._discard(fn)
        raise StoreError("the store failed the transaction (simulated)")

    def _later(self, callback: Callable[..., None], *arguments: object) -> None:
        loop = asyncio.get_running_loop()
        if delay_s := self._delay_s():
            loop.call_later(delay_s, callback, *arguments)
        else:
            loop.call_soon(callback, *arguments)

    def _delay_s(self) -> float:
        faults = self._store.faults
        return self._store.random.uniform(faults.delay_s_min, faults.delay_s_max) if faults.delay_s_max else 0.0

    def _check_open(self) -> None:
        if self._is_closed:
            raise StoreError("the store is closed")


async def _never() -> Any:  # Any: stands for a result of any type, which never comes.
    """Wait until cancelled."""
    return await asyncio.get_running_loop().create_future()
