"""Batches that no transaction takes whole, under faults: limits are shrunk until nearly every batch has values that are written ahead.

Reads are shrunk as well: one at a time, and one message.
"""

from collections.abc import Callable

import pytest

from perdure.sim.cluster import Faults
from perdure.sim.store import Commit, StoreFaults
from perdure.store.chunks import WHOLE_VALUE, ahead_of
from perdure.store.keyspace import Keyspace, range_of, unpack
from services.invoker import ahead, batch, loading, mailbox
from tests.simulation import world
from tests.simulation.cases import FAULTS
from tests.simulation.checkers import History
from tests.simulation.lifecycle_workloads import Mutations
from tests.simulation.suite import Everything
from tests.simulation.workloads import OrderedSends, Steps, TransferRing, Workload
from tests.simulation.world import Case, simulate

HEAD, PIECE = 3, 2
CUT = {"live", "inv", "journal", "state", "promise", "mutation"}

KILLS_OF_SLOW_COMMITS = Faults(store=StoreFaults(delay_s_min=0.01, delay_s_max=0.1), kill_every_s=1.0)


def kind_of(key: bytes) -> str | None:
    if b"\x02mail\x00" in key:
        return None
    parts = unpack(key)
    return str(parts[3]) if parts[1] == "p" else None


class WholeHistory(History):
    """Takes commits as if every value were written whole, when its head is."""

    heads = 0

    def __init__(self, keyspace: Keyspace, partitions: int) -> None:
        super().__init__(keyspace, partitions)
        self._pieces: dict[bytes, bytes] = {}
        self._under_way: set[bytes] = set()

    def conclude(self) -> list[str]:
        self.violations += [f"a batch that never came to be left {row!r} and what it names" for row in self._under_way]
        return super().conclude()

    def on_commit(self, commit: Commit) -> None:
        writes: dict[bytes, bytes | None] = {}
        for key, value in sorted(commit.writes.items()):
            kind = kind_of(key)
            if kind in CUT and (key in self._pieces or (value is not None and value[0] == PIECE)):
                self._pieces[key] = value[1:] if value is not None else b""
            elif kind in CUT and value is not None and value[0] == HEAD:
                WholeHistory.heads += 1
                begin, end = range_of(ahead_of(key, value[5:]))
                writes[key] = WHOLE_VALUE + b"".join(self._pieces[piece] for piece in sorted(self._pieces) if begin <= piece < end)
            elif kind == "writing":
                self._under_way = self._under_way - {key} if value is None else self._under_way | {key}
            elif kind != "mailbody":
                writes[key] = value
        super().on_commit(Commit(commit.client, commit.version, writes))


@pytest.fixture
def small_transactions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "COMMIT_BYTES_MAX", 400)
    monkeypatch.setattr(batch, "TRANSACTION_BYTES_MAX", 100)
    monkeypatch.setattr(ahead, "TRANSACTION_BYTES_MAX", 200)
    monkeypatch.setattr(loading, "READS_MAX", 1)
    monkeypatch.setattr(mailbox, "PAGE_BYTES_MAX", 1)
    monkeypatch.setattr(world, "History", WholeHistory)
    monkeypatch.setattr(WholeHistory, "heads", 0)


@pytest.mark.usefixtures("small_transactions")
@pytest.mark.parametrize("workload", [TransferRing, OrderedSends, Steps, Mutations, Everything])
@pytest.mark.parametrize("faults", ["no faults", "kills", "kills of slow commits", "cut off", "bad store", "failing store", "everything"])
def test_every_rule_holds_when_values_are_written_ahead(workload: Callable[[], Workload], faults: str) -> None:
    verdict = simulate(Case(7, workload, faults, FAULTS.get(faults, KILLS_OF_SLOW_COMMITS)))
    assert verdict.violations == []
    assert WholeHistory.heads > 0


@pytest.mark.usefixtures("small_transactions")
def test_who_takes_a_partition_without_clearing_what_was_left_over_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def leave(*_: object) -> None: ...

    monkeypatch.setattr(loading, "clear_left_over", leave)
    verdicts = [simulate(Case(seed, TransferRing, "kills of slow commits", KILLS_OF_SLOW_COMMITS)) for seed in range(8)]
    assert any("never came to be" in violation for verdict in verdicts for violation in verdict.violations)
