"""The faults of the simulated store, and that a seed repeats them."""

import asyncio
import random
from collections.abc import Callable

import pytest

from perdure.base.errors import StoreError
from perdure.sim.store import Commit, SimClient, SimStore, StoreFaults
from perdure.store.interface import Transaction


def a_store(seed: int = 1, on_commit: Callable[[Commit], None] | None = None, **faults: float) -> SimStore:
    return SimStore(random=random.Random(seed), faults=StoreFaults(**faults), on_commit=on_commit)


def increment(tr: Transaction) -> int:
    count = int(tr.get(b"count") or b"0") + 1
    tr.set(b"count", b"%d" % count)
    return count


def increment_once(number: int) -> Callable[[Transaction], None]:
    def fn(tr: Transaction) -> None:
        if int(tr.get(b"batch") or b"0") < number:
            tr.set(b"batch", b"%d" % number)
            increment(tr)

    return fn


async def batches(client: SimClient, count: int) -> None:
    for number in range(1, count + 1):
        await client.transact(increment_once(number))


@pytest.mark.parametrize("fault", ["conflict", "unknown_lost", "unknown_applied"])
def test_a_function_runs_again_after_a_fault(fault: str) -> None:
    runs = 0

    def fn(tr: Transaction) -> int:
        nonlocal runs
        runs += 1
        return increment(tr)

    store = a_store(**{fault: 0.5})

    async def main() -> int:
        client = store.client("a")
        return [await client.transact(fn) for _ in range(50)][-1]

    count = asyncio.run(main())
    assert runs > 60
    # Who does not check whether he was there already counts too often after a commit that happened.
    assert (count > 50) == (fault == "unknown_applied")
    assert count == (runs if fault == "unknown_applied" else 50)


def test_a_batch_that_checks_its_number_counts_once_under_all_faults() -> None:
    store = a_store(conflict=0.2, unknown_lost=0.2, unknown_applied=0.2)
    asyncio.run(batches(store.client("a"), 50))
    assert store.pairs() == [(b"batch", b"50"), (b"count", b"50")]


def test_a_failure_is_an_error_and_writes_nothing() -> None:
    store = a_store(failure=0.5)

    async def main() -> int:
        client = store.client("a")
        outcomes = await asyncio.gather(*(client.transact(increment) for _ in range(40)), return_exceptions=True)
        return sum(not isinstance(outcome, StoreError) for outcome in outcomes)

    succeeded = asyncio.run(main())
    assert 5 < succeeded < 35
    assert store.pairs() == [(b"count", b"%d" % succeeded)]


def test_more_than_foundationdb_takes_is_refused() -> None:
    def fn(tr: Transaction) -> None:
        for n in range(120):
            tr.set(b"%d" % n, b"v" * 90_000)

    store = a_store()
    with pytest.raises(StoreError, match="limit"):
        asyncio.run(store.client("a").transact(fn))
    assert store.pairs() == []


def test_a_commit_of_a_killed_process_happens_wholly_or_not() -> None:
    def fn(tr: Transaction) -> None:
        tr.set(b"x", b"1")
        tr.set(b"y", b"1")

    outcomes: set[int] = set()

    async def main(store: SimStore) -> None:
        task = asyncio.create_task(store.client("a").transact(fn))
        await asyncio.sleep(0)
        store.kill("a")
        task.cancel()
        for _ in range(10):
            await asyncio.sleep(0)
        assert task.cancelled()
        outcomes.add(len(store.pairs()))

    for seed in range(20):
        asyncio.run(main(a_store(seed)))
    assert outcomes == {0, 2}


def test_a_killed_process_never_hears_of_its_commit_nor_commits_again() -> None:
    commits: list[Commit] = []
    store = a_store(on_commit=commits.append, applied_in_death=1.0)

    async def main() -> None:
        old = store.client("a")
        task = asyncio.create_task(old.transact(increment))
        while not commits:
            await asyncio.sleep(0)
        store.kill("a")
        late = [asyncio.create_task(old.transact(increment)), asyncio.create_task(old.read(lambda tr: tr.get(b"count")))]
        assert await store.client("a").transact(increment) == 2
        for _ in range(10):
            await asyncio.sleep(0)
        for waiting in (task, *late):
            assert not waiting.done()
            waiting.cancel()

    asyncio.run(main())
    assert [(commit.client, commit.version, commit.writes) for commit in commits] == [
        ("a", 1, {b"count": b"1"}),
        ("a", 2, {b"count": b"2"}),
    ]


def test_one_who_is_killed_does_not_disturb_others() -> None:
    store = a_store()

    async def main() -> int:
        store.client("a")
        other = store.client("b")
        store.kill("a")
        return await other.transact(increment)

    assert asyncio.run(main()) == 1


def test_a_seed_repeats_the_run() -> None:
    def history(seed: int) -> list[tuple[str, int, dict[bytes, bytes | None]]]:
        commits: list[Commit] = []
        store = a_store(seed, commits.append, conflict=0.2, unknown_applied=0.2, unknown_lost=0.1)

        async def main() -> None:
            await asyncio.gather(*(store.client(name).transact(increment) for name in "abcdefgh" for _ in range(3)))

        asyncio.run(main())
        return [(commit.client, commit.version, commit.writes) for commit in commits]

    assert history(5) == history(5)
    assert history(5) != history(6)
