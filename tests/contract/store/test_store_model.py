"""Any sequence of transactions leaves the store as it would leave a dictionary."""

import asyncio
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perdure.sim.store import SimStore, StoreFaults
from perdure.store.fdb.store import FdbStore
from perdure.store.interface import ReadTransaction, Store, Transaction
from perdure.store.opening import open_store
from tests.fdb.binding import Binding
from tests.fdb.cluster import UNNOTICED_FAULTS, Cluster

Data = dict[bytes, bytes]
Operation = tuple[str, bytes, bytes, int]

KEYS = st.binary(max_size=3).map(lambda tail: b"k" + tail.replace(b"\xff", b"\xfe"))
OPERATIONS = st.tuples(
    st.sampled_from(["set", "set", "set", "clear", "clear_range", "add", "get", "get_many", "range", "get_ranges", "reverse"]),
    KEYS,
    KEYS,
    st.integers(0, 5),
)
TRANSACTIONS = st.lists(st.tuples(st.lists(OPERATIONS, max_size=12), st.booleans()), max_size=8)


class Abandoned(Exception):
    """Raised by a transaction of the test that shall not happen."""


class Model:
    """The same transaction on a dictionary."""

    def __init__(self, data: Data) -> None:
        self.data = dict(data)

    def get(self, key: bytes) -> bytes | None:
        return self.data.get(key)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self.data.get(key) for key in keys]

    def get_range(self, begin: bytes, end: bytes, *, limit: int = 0, reverse: bool = False) -> list[tuple[bytes, bytes]]:
        pairs = sorted(((key, value) for key, value in self.data.items() if begin <= key < end), reverse=reverse)
        return pairs[:limit] if limit else pairs

    def get_ranges(self, ranges: Sequence[tuple[bytes, bytes]]) -> list[list[tuple[bytes, bytes]]]:
        return [self.get_range(begin, end) for begin, end in ranges]

    def set(self, key: bytes, value: bytes) -> None:
        self.data[key] = value

    def clear(self, key: bytes) -> None:
        self.data.pop(key, None)

    def clear_range(self, begin: bytes, end: bytes) -> None:
        self.data = {key: value for key, value in self.data.items() if not begin <= key < end}

    def add(self, key: bytes, delta: int) -> None:
        count = int.from_bytes(self.data.get(key, b""), "little", signed=True) + delta
        self.data[key] = count.to_bytes(8, "little", signed=True)

    def set_versionstamped_key(self, prefix: bytes, suffix: bytes, value: bytes) -> None:
        raise NotImplementedError


def read(tr: ReadTransaction, operation: Operation) -> object:
    name, key, other, limit = operation
    if name == "get":
        return tr.get(key)
    if name == "get_many":
        return tr.get_many([other, key])
    if name == "get_ranges":
        return tr.get_ranges([(b"k", key), (key, key + other)])
    return tr.get_range(key, other, limit=limit, reverse=name == "reverse")


def apply(operations: list[Operation], *, is_abandoned: bool) -> Callable[[Transaction], list[object]]:
    def fn(tr: Transaction) -> list[object]:
        results: list[object] = []
        for operation in operations:
            name, key, other, number = operation
            if name == "set":
                tr.set(key, other)
            elif name == "clear":
                tr.clear(key)
            elif name == "clear_range":
                tr.clear_range(key, other)
            elif name == "add":
                # Counters live apart: a value of another kind is no counter.
                tr.add(b"n" + key, number - 3)
            else:
                results.append(read(tr, operation))
        if is_abandoned:
            raise Abandoned
        return results

    return fn


@contextmanager
def a_store(kind: str) -> Iterator[Callable[[], Store]]:
    if kind == "sim":
        shared = SimStore(random=random.Random(1), faults=StoreFaults(conflict=0.2, unknown_lost=0.1))
        yield lambda: shared.client("test")
        return
    if kind == "fdb-simulated":
        binding = Binding(Cluster(seed=1, fault_rate=0.05, faults=UNNOTICED_FAULTS))
        yield lambda: FdbStore(binding, binding.open(""))
        return
    with tempfile.TemporaryDirectory() as directory:
        path = str(Path(directory) / "perdure.db")
        yield lambda: open_store(path=path, fdb_cluster_file=None, root="test")


@pytest.mark.parametrize("kind", ["embedded", "fdb-simulated", "sim"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(transactions=TRANSACTIONS)
def test_a_store_does_what_a_dictionary_does(kind: str, transactions: list[tuple[list[Operation], bool]]) -> None:
    async def main(open_one: Callable[[], Store]) -> None:
        store = open_one()
        data: Data = {}
        for operations, is_abandoned in transactions:
            fn = apply(operations, is_abandoned=is_abandoned)
            model = Model(data)
            if is_abandoned:
                with pytest.raises(Abandoned):
                    await store.transact(fn)
            else:
                assert await store.transact(fn) == fn(model)
                data = model.data
            assert await store.read(lambda tr: tr.get_range(b"", b"\xff")) == sorted(data.items())
            for operation in operations:
                if operation[0] in ("get", "get_many", "range", "get_ranges", "reverse"):
                    expected = read(Model(data), operation)
                    assert await store.read(lambda tr, operation=operation: read(tr, operation)) == expected
        await store.close()

    with a_store(kind) as open_one:
        asyncio.run(main(open_one))
