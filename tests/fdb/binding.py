"""The official binding as `perdure.store.fdb` uses it, over a simulated cluster: what its native client does, in Python.

A transaction reads its own writes, notes what it read for the commit, and checks the client's limits.
"""

import functools
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from tests.fdb import errors
from tests.fdb.cluster import Mutation, Pairs, Range, add
from tests.fdb.errors import RETRYABLE, FDBError

KEY_BYTES_MAX = 10_000
VALUE_BYTES_MAX = 100_000
TRANSACTION_BYTES_MAX = 10_000_000
BACKOFF_S_MAX = 0.002
"""The real client waits longer."""
KEPT_OPTIONS = frozenset({"timeout", "retry_limit", "max_retry_delay", "size_limit", "report_conflicting_keys"})
"""What a transaction still has after `on_error`."""
STAMP_BYTES = 10


CONFLICTING_KEYS = b"\xff\xff/transaction/conflicting_keys/"
REACHES_S = 0.005
"""How often a client tries to reach servers."""
T = TypeVar("T")


class Servers(Protocol):
    """A `Cluster`, here or in another process; `OSError` where that cannot be reached."""

    is_reachable: threading.Event

    def read_version(self) -> int: ...

    def get(self, key: bytes, version: int) -> bytes | None: ...

    def get_range(self, begin: bytes, end: bytes, version: int, limit: int, reverse: bool) -> tuple[Pairs, bool]: ...

    def commit(self, version: int, reads: list[Range], mutations: list[Mutation]) -> int: ...


class Options:
    """Notes each option that is set: `options.set_tag("a")` becomes `values["tag"] == "a"`."""

    def __init__(self, values: dict[str, object]) -> None:
        self.values = values

    def __getattr__(self, name: str) -> Callable[..., None]:
        def note(param: object = True) -> None:
            self.values[name.removeprefix("set_")] = param

        return note


class Future:
    def __init__(self, act: Callable[[], Any]) -> None:
        self._act = act

    def wait(self) -> Any:
        return self._act()

    @property
    def value(self) -> Any:
        return self._act()


class KeyValue(NamedTuple):
    key: bytes
    value: bytes


class Rows:
    """`fdb.impl.FDBRange`"""

    def __init__(self, read: Callable[[], Pairs]) -> None:
        self._read = read

    def to_list(self) -> list[KeyValue]:
        return [KeyValue(key, value) for key, value in self._read()]


class Binding:
    """The module `fdb`, whose every cluster file leads to one cluster."""

    FDBError = FDBError

    def __init__(
        self,
        servers: Servers,
        *,
        seed: int = 0,
        clock_s: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self.servers = servers
        self.clock_s = clock_s
        self.wait = wait
        self.dice = random.Random(seed)
        self.tries: list[dict[str, object]] = []
        """Options of each try that asked the cluster for something."""

    def open(self, cluster_file: str) -> "Database":
        return Database(self)


class Database:
    def __init__(self, binding: Binding) -> None:
        self.binding = binding
        self.options = Options({})

    def create_transaction(self) -> "Transaction":
        return Transaction(self)


class Reads:
    """`fdb.impl.TransactionRead`: a transaction's reads, noted for the commit or not."""

    def __init__(self, transaction: "Transaction", *, is_snapshot: bool) -> None:
        self._transaction = transaction
        self._is_snapshot = is_snapshot

    def get(self, key: bytes) -> Future:
        return Future(lambda: self._transaction.read(key, is_snapshot=self._is_snapshot))

    def get_range(self, begin: bytes, end: bytes, limit: int = 0, reverse: bool = False, streaming_mode: int = -1) -> Rows:
        return Rows(lambda: self._transaction.read_range(begin, end, limit, reverse, is_snapshot=self._is_snapshot))


class _Written(NamedTuple):
    """What a transaction did to a key: `value` takes its place, or `added` are added to what the cluster has."""

    value: bytes | None = None
    added: tuple[bytes, ...] = ()


class Transaction(Reads):
    """`fdb.impl.Transaction`"""

    def __init__(self, database: Database) -> None:
        super().__init__(self, is_snapshot=False)
        self.snapshot = Reads(self, is_snapshot=True)
        self._binding = database.binding
        self._servers = database.binding.servers
        self._defaults = {name.removeprefix("transaction_"): value for name, value in database.options.values.items()}
        self._began_s = self._binding.clock_s()
        self._failures = 0
        self._is_cancelled = False
        self.options = Options(dict(self._defaults))
        self._begin()

    def _begin(self) -> None:
        self._version: int | None = None
        self._committed = -1
        self._written: dict[bytes, _Written] = {}
        self._cleared: list[Range] = []
        self._unreadable: list[Range] = []
        self._mutations: list[Mutation] = []
        self._reads: list[Range] = []
        self._error: FDBError | None = None
        self._conflicts: Sequence[Range] = ()

    # What the binding offers.

    def set(self, key: bytes, value: bytes) -> None:
        self._mutate("set", key, value)
        self._written[key] = _Written(value)

    def clear(self, key: bytes) -> None:
        self.clear_range(key, key + b"\x00")

    def clear_range(self, begin: bytes, end: bytes) -> None:
        if begin > end:
            self._error = FDBError(errors.INVERTED_RANGE)
        self._mutations.append(("clear", begin, end))
        self._cleared.append((begin, end))
        for key in self._written:
            if begin <= key < end:
                self._written[key] = _Written()

    def add(self, key: bytes, param: bytes) -> None:
        self._mutate("add", key, param)
        before = self._written.get(key)
        if before is None and self._is_cleared(key):
            before = _Written()
        if before is None or before.added:
            self._written[key] = _Written(added=(*(before.added if before else ()), param))
        else:
            self._written[key] = _Written(add(before.value, param))

    def set_versionstamped_key(self, key: bytes, param: bytes) -> None:
        self._mutate("stamp", key, param)
        place = int.from_bytes(key[-4:], "little")
        assert place + STAMP_BYTES <= len(key) - 4, "the stamp lies within the key"
        self._unreadable.append((key[:place], key[:place] + b"\xff" * STAMP_BYTES))

    def commit(self) -> Future:
        return Future(self._commit)

    def on_error(self, code: int) -> Future:
        return Future(lambda: self._recover(code))

    def reset(self) -> None:
        self.options = Options(dict(self._defaults))
        self._begin()

    def cancel(self) -> None:
        self._is_cancelled = True

    def set_read_version(self, version: int) -> None:
        assert self._version is None, "a version is set before the first read"
        self._version = version

    def get_committed_version(self) -> int:
        return self._committed

    # What the client does behind it.

    def read(self, key: bytes, *, is_snapshot: bool) -> bytes | None:
        self._check(key, key + b"\x00")
        written = self._written.get(key)
        if written is not None and not written.added:
            return written.value
        if written is None and self._is_cleared(key):
            return None
        version = self._start()
        value = self._once_reached(lambda: self._servers.get(key, version))
        if not is_snapshot:
            self._reads.append((key, key + b"\x00"))
        for param in written.added if written else ():
            value = add(value, param)
        return value

    def read_range(self, begin: bytes, end: bytes, limit: int, reverse: bool, *, is_snapshot: bool) -> Pairs:
        if begin > end:
            raise FDBError(errors.INVERTED_RANGE)
        if begin.startswith(CONFLICTING_KEYS):
            assert self.options.values.get("report_conflicting_keys"), "only who asked for it is told"
            return [(CONFLICTING_KEYS + bound, flag) for each in self._conflicts for bound, flag in zip(each, (b"1", b"0"), strict=True)]
        self._check(begin, end)
        pairs: Pairs = []
        for pair in self._merged(begin, end, reverse):
            pairs.append(pair)
            if len(pairs) == limit:
                begin, end = (pair[0], end) if reverse else (begin, pair[0] + b"\x00")
                break
        if not is_snapshot:
            self._reads.append((begin, end))
        return pairs

    def _merged(self, begin: bytes, end: bytes, reverse: bool) -> Iterator[tuple[bytes, bytes]]:
        """Yield the pairs of a range with our own writes among them."""
        own = sorted((key for key in self._written if begin <= key < end), reverse=not reverse)
        for key, value in self._stored(begin, end, reverse):
            while own and (own[-1] > key if reverse else own[-1] < key):
                yield from self._own(own.pop(), None)
            if own and own[-1] == key:
                yield from self._own(own.pop(), value)
            elif not self._is_cleared(key):
                yield key, value
        while own:
            yield from self._own(own.pop(), None)

    def _own(self, key: bytes, stored: bytes | None) -> Iterator[tuple[bytes, bytes]]:
        written = self._written[key]
        value = written.value
        if written.added:
            value = stored
            for param in written.added:
                value = add(value, param)
        if value is not None:
            yield key, value

    def _stored(self, begin: bytes, end: bytes, reverse: bool) -> Iterator[tuple[bytes, bytes]]:
        has_more = True
        version = self._start()
        while has_more:
            read = functools.partial(self._servers.get_range, begin, end, version, 0, reverse)
            pairs, has_more = self._once_reached(read)
            yield from pairs
            if pairs and reverse:
                end = pairs[-1][0]
            elif pairs:
                begin = pairs[-1][0] + b"\x00"

    def _mutate(self, kind: str, key: bytes, value: bytes) -> None:
        if len(key) > KEY_BYTES_MAX:
            self._error = FDBError(errors.KEY_TOO_LARGE)
        elif len(value) > VALUE_BYTES_MAX:
            self._error = FDBError(errors.VALUE_TOO_LARGE)
        elif key >= b"\xff":
            self._error = FDBError(errors.OUTSIDE_LEGAL_RANGE)
        self._mutations.append((kind, key, value))

    def _is_cleared(self, key: bytes) -> bool:
        return any(begin <= key < end for begin, end in self._cleared)

    def _check(self, begin: bytes, end: bytes) -> None:
        self._check_time()
        if begin > b"\xff" or end > b"\xff\x00":
            raise FDBError(errors.OUTSIDE_LEGAL_RANGE)
        if any(begin < past and first < end for first, past in self._unreadable):
            raise FDBError(errors.ACCESSED_UNREADABLE)

    def _check_time(self) -> None:
        if self._is_cancelled:
            raise FDBError(errors.TRANSACTION_CANCELLED)
        timeout_ms = int(str(self.options.values.get("timeout", 0)))
        if timeout_ms and (self._binding.clock_s() - self._began_s) * 1_000 > timeout_ms:
            raise FDBError(errors.TIMED_OUT)

    def _start(self) -> int:
        if self._version is None:
            while not self._servers.is_reachable.wait(REACHES_S):
                self._check_time()
            self._binding.tries.append(dict(self.options.values))
            self._version = self._once_reached(self._servers.read_version)
        return self._version

    def _once_reached(self, ask: Callable[[], T]) -> T:
        """Ask the servers, as often as it takes to reach them: the client never gives up by itself."""
        while True:
            try:
                return ask()
            except OSError:
                self._binding.wait(REACHES_S)
                self._check_time()

    def _commit(self) -> None:
        self._check_time()
        if self._error is not None:
            raise self._error
        if not self._mutations:
            return
        changed = sum(len(key) + len(value) for _, key, value in self._mutations)
        conflicts = sum(len(begin) + len(end) for begin, end in self._reads) + sum(2 * len(key) for _, key, _ in self._mutations)
        if changed + conflicts > min(TRANSACTION_BYTES_MAX, int(str(self.options.values.get("size_limit", TRANSACTION_BYTES_MAX)))):
            raise FDBError(errors.TOO_LARGE)
        version = self._start()
        try:
            self._committed = self._servers.commit(version, self._reads, self._mutations)
        except FDBError as error:
            self._conflicts = error.conflicts
            raise
        except OSError:
            raise FDBError(errors.COMMIT_UNKNOWN) from None

    def _recover(self, code: int) -> None:
        self._failures += 1
        limit = int(str(self.options.values.get("retry_limit", -1)))
        if code not in RETRYABLE or 0 <= limit < self._failures:
            raise FDBError(code)
        self._binding.wait(self._binding.dice.random() * BACKOFF_S_MAX)
        self.options = Options({name: value for name, value in self.options.values.items() if name in KEPT_OPTIONS})
        self._begin()
