"""A cluster in memory: versions, snapshots of the last five seconds, conflicts, limits, and errors under a seed.

It does what FoundationDB's servers do, in four calls: a read version, a read of a key or of a range at a version, and a commit.
Source: FoundationDB's documentation: Architecture, Known limitations, Error codes.
"""

import random
import struct
import threading
import time
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tests.fdb import errors
from tests.fdb.errors import FDBError

Pairs = list[tuple[bytes, bytes]]
Range = tuple[bytes, bytes]
Mutation = tuple[str, bytes, bytes]
"""Kind (`set`, `clear`, `add`, `stamp`), key or begin, value or end."""

VERSIONS_PER_S = 1_000_000
WINDOW_S = 5.0
CHUNK_BYTES = 1_000_000
"""What one read of a range returns at most; the client goes on with another."""
READS_PER_FAULT = 100


class Fault(NamedTuple):
    """An error at a stage of a transaction (`start`, `read`, `commit`); `is_applied`: the commit happens all the same."""

    stage: str
    code: int
    is_applied: bool = False


EVERY_FAULT = (
    Fault("start", errors.PROCESS_BEHIND),
    Fault("start", errors.BATCH_THROTTLED),
    Fault("start", errors.TAG_THROTTLED),
    Fault("read", errors.TOO_OLD),
    Fault("read", errors.FUTURE_VERSION),
    Fault("read", errors.PROCESS_BEHIND),
    Fault("read", errors.CLUSTER_VERSION_CHANGED),
    Fault("commit", errors.TOO_OLD),
    Fault("commit", errors.NOT_COMMITTED),
    Fault("commit", errors.PROXY_MEMORY),
    Fault("commit", errors.COMMIT_UNKNOWN),
    Fault("commit", errors.COMMIT_UNKNOWN, is_applied=True),
    Fault("commit", errors.CLUSTER_VERSION_CHANGED),
    Fault("commit", errors.CLUSTER_VERSION_CHANGED, is_applied=True),
)

UNNOTICED_FAULTS = tuple(fault for fault in EVERY_FAULT if not fault.is_applied)
"""Those that leave no trace, so that a transaction which is not idempotent may meet them."""


class Cluster:
    """Data that any number of threads share.

    Args:
        seed: Decides on faults.
        fault_rate: Probability of a fault at the start and at the commit of a transaction, and within 100 of its reads.
        faults: Which of them happen.
        clock_s: Monotonic seconds; a test may turn it forward.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        fault_rate: float = 0.0,
        faults: Sequence[Fault] = EVERY_FAULT,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.clock_s = clock_s
        self.is_reachable = threading.Event()
        self.is_reachable.set()
        self.on_commit: Callable[[int, dict[bytes, bytes | None]], None] | None = None
        self.starts = 0
        self.starts_waiting = 0
        self.largest_commit_bytes = 0
        self.met: set[Fault] = set()
        self._dice = random.Random(seed)
        self._fault_rate = fault_rate
        self._faults = faults
        self._script: list[Fault] = []
        self._began_s = clock_s()
        self._version = 1
        self._history: dict[bytes, list[tuple[int, bytes | None]]] = {}
        self._keys: list[bytes] = []
        self._commits: deque[tuple[int, list[Range]]] = deque()
        self._lock = threading.RLock()

    def fail_next(self, *faults: Fault) -> None:
        """Let these faults happen, each at the next transaction that comes to its stage, in this order."""
        self._script.extend(faults)

    def read_version(self) -> int:
        """Return a version that shows every commit so far."""
        with self._lock:
            self.starts += 1
            self._meet("start")
            return self._advance()

    def get(self, key: bytes, version: int) -> bytes | None:
        """Return a value as of a version."""
        with self._lock:
            self._meet("read")
            self._check_version(version)
            return self._value_at(key, version)

    def get_range(self, begin: bytes, end: bytes, version: int, limit: int, reverse: bool) -> tuple[Pairs, bool]:
        """Return the first pairs of a range as of a version, at most `limit` (0: any number), and whether there may be more."""
        with self._lock:
            self._meet("read")
            self._check_version(version)
            keys = self._keys[bisect_left(self._keys, begin) : bisect_left(self._keys, end)]
            pairs: Pairs = []
            size = 0
            for key in reversed(keys) if reverse else keys:
                value = self._value_at(key, version)
                if value is not None:
                    pairs.append((key, value))
                    size += len(key) + len(value)
                    if len(pairs) == limit or size >= CHUNK_BYTES:
                        return pairs, True
            return pairs, False

    def commit(self, version: int, reads: Sequence[Range], mutations: Sequence[Mutation]) -> int:
        """Apply mutations if nothing of `reads` has changed since `version`; return the version of the commit."""
        with self._lock:
            fault = self._fault("commit")
            if fault is not None and not fault.is_applied:
                raise FDBError(fault.code)
            self._check_version(version)
            for committed, written in reversed(self._commits):
                if committed <= version:
                    break
                if conflicts := _overlaps(reads, written):
                    raise FDBError(errors.NOT_COMMITTED, conflicts)
            committed = self._apply(mutations)
            self.largest_commit_bytes = max(self.largest_commit_bytes, sum(len(key) + len(value) for _, key, value in mutations))
            if fault is not None:
                raise FDBError(fault.code)
            return committed

    def present(self, begin: bytes, end: bytes) -> Pairs:
        """Return what is in the store now."""
        keys = self._keys[bisect_left(self._keys, begin) : bisect_left(self._keys, end)]
        return [(key, value) for key in keys if (value := self._value_at(key, self._version)) is not None]

    def _apply(self, mutations: Sequence[Mutation]) -> int:
        version = self._version = max(self._version, self._advance()) + 1
        stamp = struct.pack(">QH", version, 0)
        written: list[Range] = []
        for kind, key, value in mutations:
            if kind == "clear":
                for each in self._keys[bisect_left(self._keys, key) : bisect_left(self._keys, value)]:
                    self._put(each, None, version)
                written.append((key, value))
                continue
            place = _stamped(key, stamp) if kind == "stamp" else key
            self._put(place, add(self._value_at(key, version), value) if kind == "add" else value, version)
            written.append((place, place + b"\x00"))
        if self.on_commit is not None:
            changed = [key for begin, end in written for key in self._changed(begin, end, version)]
            self.on_commit(version, {key: self._value_at(key, version) for key in changed})
        self._commits.append((version, sorted(written)))
        self._forget()
        return version

    def _changed(self, begin: bytes, end: bytes, version: int) -> list[bytes]:
        keys = self._keys[bisect_left(self._keys, begin) : bisect_left(self._keys, end)]
        return [key for key in keys if self._history[key][-1][0] == version]

    def _put(self, key: bytes, value: bytes | None, version: int) -> None:
        history = self._history.get(key)
        if history is None:
            insort(self._keys, key)
            history = self._history[key] = []
        history.append((version, value))

    def _value_at(self, key: bytes, version: int) -> bytes | None:
        for written, value in reversed(self._history.get(key, ())):
            if written <= version:
                return value
        return None

    def _forget(self) -> None:
        """Forget commits that no transaction can ask for any more, and older values of what they wrote."""
        horizon = self._version - int(WINDOW_S * VERSIONS_PER_S)
        while self._commits and self._commits[0][0] < horizon:
            for begin, end in self._commits.popleft()[1]:
                for key in self._keys[bisect_left(self._keys, begin) : bisect_left(self._keys, end)]:
                    history = self._history[key]
                    while len(history) > 1 and history[1][0] <= horizon:
                        del history[0]
                    if history[-1][1] is None and history[-1][0] <= horizon:
                        del self._history[key]
                        del self._keys[bisect_left(self._keys, key)]

    def _advance(self) -> int:
        self._version = max(self._version, int((self.clock_s() - self._began_s) * VERSIONS_PER_S))
        return self._version

    def _check_version(self, version: int) -> None:
        if version < self._advance() - WINDOW_S * VERSIONS_PER_S:
            raise FDBError(errors.TOO_OLD)
        if version > self._version:
            raise FDBError(errors.FUTURE_VERSION)

    def _meet(self, stage: str) -> None:
        if (fault := self._fault(stage)) is not None:
            raise FDBError(fault.code)

    def _fault(self, stage: str) -> Fault | None:
        fault = None
        if self._script and self._script[0].stage == stage:
            fault = self._script.pop(0)
        elif self._dice.random() < self._fault_rate / (READS_PER_FAULT if stage == "read" else 1):
            fault = self._dice.choice([each for each in self._faults if each.stage == stage])
        if fault is not None:
            self.met.add(fault)
        return fault


def add(value: bytes | None, param: bytes) -> bytes:
    """Add little-endian integers, in the width of `param`."""
    total = int.from_bytes((value or b"")[: len(param)], "little") + int.from_bytes(param, "little")
    return (total % (1 << 8 * len(param))).to_bytes(len(param), "little")


def _stamped(key: bytes, stamp: bytes) -> bytes:
    place = int.from_bytes(key[-4:], "little")
    return key[:place] + stamp + key[place + len(stamp) : -4]


def _overlaps(reads: Sequence[Range], written: Sequence[Range]) -> list[Range]:
    return [(begin, end) for begin, end in reads if any(begin < past and first < end for first, past in written)]
