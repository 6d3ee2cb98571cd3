"""How far behind partitions are."""

import asyncio
from pathlib import Path

from perdure.bus.messages import VERSION, Heartbeat
from perdure.store.embedded.store import open_embedded
from perdure.store.interface import Transaction
from perdure.store.keyspace import Keyspace
from services.nodectl.lag import Mailboxes, Oldest, lags_of, read_oldest

NOW_MS = 1_000_000
KEYS = Keyspace("test").partition(3)


def an_owner(*partitions: int, stalled_ms: float = 0, store_wait_ms: float = 0) -> Heartbeat:
    counters = {"stalled_ms": stalled_ms, "store_wait_ms": store_wait_ms}
    return Heartbeat(VERSION, "invoker", "invoker-1", "", "1", 0, partitions=list(partitions), counters=counters)


def test_a_timer_that_should_have_fired_is_lag_and_one_in_the_future_is_none() -> None:
    oldest = {0: Oldest(timer_at_ms=NOW_MS - 700), 1: Oldest(timer_at_ms=NOW_MS + 700), 2: Oldest()}
    assert lags_of(oldest, Mailboxes(), [], NOW_MS) == {0: 700, 1: 0, 2: 0}


def test_a_message_lags_since_it_was_first_seen_at_the_head_of_its_mailbox() -> None:
    mailboxes = Mailboxes()
    seen = [(b"a", 0), (b"a", 400), (b"b", 500), (b"b", 900), (None, 950), (b"b", 960)]
    lags = [lags_of({0: Oldest(mail=mail)}, mailboxes, [], NOW_MS + at_ms)[0] for mail, at_ms in seen]
    assert lags == [0, 400, 0, 400, 0, 0]


def test_all_partitions_of_an_owner_that_cannot_commit_lag() -> None:
    oldest = {number: Oldest() for number in range(3)}
    assert lags_of(oldest, Mailboxes(), [an_owner(0, 2, stalled_ms=1_200)], NOW_MS) == {0: 1_200, 1: 0, 2: 1_200}


def test_an_owner_that_hears_nothing_from_the_store_lags_without_anything_to_commit() -> None:
    assert lags_of({0: Oldest()}, Mailboxes(), [an_owner(0, store_wait_ms=4_000)], NOW_MS) == {0: 4_000}


def test_the_longest_wait_counts() -> None:
    oldest = {0: Oldest(timer_at_ms=NOW_MS - 700)}
    assert lags_of(oldest, Mailboxes(), [an_owner(0, stalled_ms=900)], NOW_MS) == {0: 900}


def test_the_first_message_and_the_first_timer_are_read_from_the_store(tmp_path: Path) -> None:
    def fill(tr: Transaction) -> None:
        for number in range(2):
            tr.set_versionstamped_key(KEYS.mail, bytes([number]), b"mail")
        for at_ms in (70_000, 5_000, 300):
            tr.set(KEYS.timer(at_ms, b"x" * 24, 1), b"timer")

    async def read() -> tuple[Oldest, Oldest, bytes]:
        store = open_embedded(str(tmp_path / "store.db"))
        try:
            empty = await store.read(lambda tr: read_oldest(tr, KEYS))
            await store.transact(fill)
            rows = await store.read(lambda tr: tr.get_range(KEYS.mail, KEYS.mail_end))
            return empty, await store.read(lambda tr: read_oldest(tr, KEYS)), rows[0][0]
        finally:
            await store.close()

    empty, filled, first_mail = asyncio.run(read())
    assert empty == Oldest()
    assert filled == Oldest(mail=first_mail, timer_at_ms=300)
