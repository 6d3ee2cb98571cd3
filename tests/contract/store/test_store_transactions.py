"""What a transaction is: all or nothing, alone, and aware of its own writes."""

import asyncio
from collections.abc import Callable

import pytest

from perdure.base.errors import LeaseLost, StoreError
from perdure.store.interface import ReadTransaction, Store, Transaction
from tests.contract.store.places import Place


def put(pairs: dict[bytes, bytes]) -> Callable[[Transaction], None]:
    def fn(tr: Transaction) -> None:
        for key, value in pairs.items():
            tr.set(key, value)

    return fn


def test_what_is_committed_is_read(place: Place) -> None:
    a, b = place.root + b"a", place.root + b"b"

    async def scenario(store: Store) -> None:
        await store.transact(put({a: b"1", b: b""}))
        assert await store.read(lambda tr: (tr.get(a), tr.get(b), tr.get(place.root))) == (b"1", b"", None)
        await store.transact(lambda tr: tr.clear(a))
        assert await store.read(lambda tr: tr.get(a)) is None

    place.run(scenario)


def test_what_is_committed_is_there_for_the_next_who_opens(place: Place) -> None:
    key = place.root + b"a"
    place.run(lambda store: store.transact(put({key: b"1"})))
    assert place.run(lambda store: store.read(lambda tr: tr.get(key))) == b"1"


def test_a_transaction_returns_what_its_function_returns(place: Place) -> None:
    assert place.run(lambda store: store.transact(lambda tr: 7)) == 7
    assert place.run(lambda store: store.read(lambda tr: 7)) == 7


def test_a_transaction_that_raises_writes_nothing(place: Place) -> None:
    a, b = place.root + b"a", place.root + b"b"

    def fail(tr: Transaction) -> None:
        tr.set(a, b"2")
        tr.clear(b)
        assert tr.get_range(place.root, place.root + b"\xff") == [(a, b"2")]
        raise LookupError("on purpose")

    async def scenario(store: Store) -> None:
        await store.transact(put({a: b"1", b: b"1"}))
        with pytest.raises(LookupError, match="on purpose"):
            await store.transact(fail)
        assert await store.read(lambda tr: (tr.get(a), tr.get(b))) == (b"1", b"1")
        await store.transact(put({a: b"3"}))
        assert await store.read(lambda tr: tr.get(a)) == b"3"

    place.run(scenario)


def test_a_read_that_raises_leaves_the_store_usable(place: Place) -> None:
    def fail(tr: ReadTransaction) -> None:
        tr.get(place.root)
        raise LookupError("on purpose")

    async def scenario(store: Store) -> None:
        with pytest.raises(LookupError, match="on purpose"):
            await store.read(fail)
        await store.transact(put({place.root + b"a": b"1"}))
        assert await store.read(lambda tr: tr.get(place.root + b"a")) == b"1"

    place.run(scenario)


def test_a_transaction_reads_its_own_writes(place: Place) -> None:
    a, b, c, d = (place.root + name for name in (b"a", b"b", b"c", b"d"))
    everything = (place.root, place.root + b"\xff")

    def fn(tr: Transaction) -> None:
        tr.set(b, b"new")
        assert tr.get(b) == b"new"
        tr.clear(a)
        assert tr.get(a) is None
        tr.set(d, b"d")
        assert tr.get_range(*everything) == [(b, b"new"), (c, b"old"), (d, b"d")]
        assert tr.get_range(*everything, reverse=True, limit=2) == [(d, b"d"), (c, b"old")]
        tr.clear_range(b, d)
        assert [tr.get(key) for key in (a, b, c, d)] == [None, None, None, b"d"]
        tr.set(c, b"again")
        assert tr.get_range(*everything) == [(c, b"again"), (d, b"d")]
        tr.add(b, 5)
        tr.add(b, -7)
        assert tr.get(b) == (-2).to_bytes(8, "little", signed=True)

    async def scenario(store: Store) -> None:
        await store.transact(put({a: b"old", b: b"old", c: b"old"}))
        await store.transact(fn)
        left = await store.read(lambda tr: tr.get_range(*everything))
        assert left == [(b, (-2).to_bytes(8, "little", signed=True)), (c, b"again"), (d, b"d")]

    place.run(scenario)


def test_clearing_a_range_spares_its_end_and_what_is_written_later(place: Place) -> None:
    keys = [place.root + bytes((n,)) for n in range(6)]

    def fn(tr: Transaction) -> None:
        tr.set(keys[5], b"before")
        tr.clear_range(keys[1], keys[3])
        tr.clear_range(keys[4], place.root + b"\xff")
        tr.set(keys[2], b"after")

    async def scenario(store: Store) -> None:
        await store.transact(put(dict.fromkeys(keys, b"old")))
        await store.transact(fn)
        left = await store.read(lambda tr: tr.get_range(place.root, place.root + b"\xff"))
        assert left == [(keys[0], b"old"), (keys[2], b"after"), (keys[3], b"old")]

    place.run(scenario)


def test_many_ranges_and_keys_are_cleared_at_once(place: Place) -> None:
    keys = [place.root + n.to_bytes(2, "big") for n in range(700)]

    def fn(tr: Transaction) -> None:
        for key in keys[:300]:
            tr.clear(key)
        for key in keys[300:650]:
            tr.clear_range(key, key + b"\x00")

    async def scenario(store: Store) -> None:
        await store.transact(put(dict.fromkeys(keys, b"x")))
        await store.transact(fn)
        assert [key for key, _ in await store.read(lambda tr: tr.get_range(place.root, place.root + b"\xff"))] == keys[650:]

    place.run(scenario)


def test_counters_add_up_under_contention(place: Place) -> None:
    key = place.root + b"count"

    async def scenario(store: Store) -> None:
        other = place.open()
        await asyncio.gather(*(handle.transact(lambda tr, n=n: tr.add(key, n)) for n in range(20) for handle in (store, other)))
        await other.close()
        assert await store.read(lambda tr: tr.get(key)) == (380).to_bytes(8, "little")
        await store.transact(lambda tr: tr.add(key, -381))
        assert await store.read(lambda tr: tr.get(key)) == b"\xff" * 8

    place.run(scenario)


def test_reads_before_writes_are_checked_at_the_commit(place: Place) -> None:
    key = place.root + b"count"

    def increment(tr: Transaction) -> int:
        count = int(tr.get(key) or b"0") + 1
        tr.set(key, b"%d" % count)
        return count

    async def scenario(store: Store) -> None:
        other = place.open()
        seen = await asyncio.gather(*(handle.transact(increment) for _ in range(20) for handle in (store, other)))
        await other.close()
        assert sorted(seen) == list(range(1, 41))

    place.run(scenario)


def test_two_who_read_what_the_other_writes_cannot_both_win(place: Place) -> None:
    """Write skew: two doctors go off call, each after seeing that the other is there."""

    def leave(me: bytes, other: bytes) -> Callable[[Transaction], bool]:
        def fn(tr: Transaction) -> bool:
            if tr.get(other) == b"on":
                tr.set(me, b"off")
                return True
            return False

        return fn

    async def scenario(store: Store) -> None:
        second = place.open()
        for n in range(10):
            a, b = place.root + b"a%d" % n, place.root + b"b%d" % n
            await store.transact(put({a: b"on", b: b"on"}))
            assert sorted(await asyncio.gather(store.transact(leave(a, b)), second.transact(leave(b, a)))) == [False, True]
        await second.close()

    place.run(scenario)


def test_a_snapshot_never_shows_half_a_commit(place: Place) -> None:
    keys = [place.root + b"%03d" % n for n in range(300)]

    async def scenario(store: Store) -> None:
        other = place.open()
        await store.transact(put(dict.fromkeys(keys, b"0")))
        is_writing = True

        async def write() -> None:
            nonlocal is_writing
            for n in range(1, 20):
                await other.transact(put(dict.fromkeys(keys, b"%d" % n)))
            is_writing = False

        async def read() -> None:
            last = 0
            while is_writing:
                rows = await store.read(lambda tr: [tr.get(keys[0]), *(value for _, value in tr.get_range(keys[0], keys[-1] + b"\x00"))])
                assert len(rows) == 301
                assert len(set(rows)) == 1
                assert int(rows[0] or b"-1") >= last
                last = int(rows[0] or b"-1")
                await asyncio.sleep(0)

        await asyncio.gather(write(), read())
        await other.close()

    place.run(scenario)


def test_an_owner_whose_epoch_moved_writes_nothing(place: Place) -> None:
    partition = place.keys.partition(3)
    record = partition.lock("service", "key")

    def commit(epoch: bytes, value: bytes) -> Callable[[Transaction], None]:
        def fn(tr: Transaction) -> None:
            tr.set(record, value)
            if tr.get(partition.lease) != epoch:
                raise LeaseLost("another owner holds partition 3")

        return fn

    async def scenario(store: Store) -> None:
        old, new = store, place.open()
        await old.transact(put({partition.lease: b"1"}))
        await old.transact(commit(b"1", b"by the old owner"))
        await new.transact(put({partition.lease: b"2"}))
        with pytest.raises(LeaseLost):
            await old.transact(commit(b"1", b"too late"))
        assert await new.read(lambda tr: tr.get(record)) == b"by the old owner"
        await new.transact(commit(b"2", b"by the new owner"))
        await new.close()
        assert await old.read(lambda tr: tr.get(record)) == b"by the new owner"

    place.run(scenario)


def test_of_old_and_new_owner_one_wins_in_a_race(place: Place) -> None:
    partition = place.keys.partition(3)
    record = partition.lock("service", "key")

    def commit(tr: Transaction) -> None:
        if tr.get(partition.lease) != b"1":
            raise LeaseLost("another owner holds partition 3")
        tr.set(record, b"old")

    def take_over(tr: Transaction) -> bytes | None:
        tr.set(partition.lease, b"2")
        return tr.get(record)

    async def scenario(store: Store) -> None:
        new = place.open()
        for _ in range(10):
            await store.transact(lambda tr: (tr.set(partition.lease, b"1"), tr.clear(record)))
            outcome, seen = await asyncio.gather(store.transact(commit), new.transact(take_over), return_exceptions=True)
            assert isinstance(outcome, LeaseLost) == (seen is None)
            assert await new.read(lambda tr: tr.get(record)) == seen
        await new.close()

    place.run(scenario)


def test_a_closed_store_refuses(place: Place) -> None:
    async def scenario(store: Store) -> None:
        await store.close()
        await store.close()
        with pytest.raises(StoreError, match="closed"):
            await store.transact(lambda tr: None)
        with pytest.raises(StoreError, match="closed"):
            await store.read(lambda tr: None)

    place.run(scenario)
