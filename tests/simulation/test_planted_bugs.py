"""Bugs planted into the real code: the checkers must find each of them within a few seeds."""

from collections.abc import Callable

import pytest

from perdure.model.timer import Timer
from perdure.sim.cluster import Faults
from perdure.sim.store import StoreFaults
from services.invoker.batch import Batch
from services.invoker.machine.events import Event, MailReceived
from services.invoker.machine.lifecycle import complete
from services.invoker.machine.step import Forward, Reply
from services.invoker.machine.turn import Turn
from services.invoker.machine.view import Live
from services.invoker.owner import Owner
from tests.simulation.cases import FAULTS
from tests.simulation.workloads import Counters, OrderedSends, SleepStorm, Steps, TransferRing, Workload
from tests.simulation.world import Case, simulate

SEEDS = range(8)
SLOW = Faults(store=StoreFaults(delay_s_min=0.01, delay_s_max=0.1))


def found(workload: Callable[[], Workload], faults: Faults) -> str:
    """Return the violations of the first seed that has some."""
    for seed in SEEDS:
        verdict = simulate(Case(seed, workload, "planted", faults))
        if verdict.violations:
            return "\n".join(verdict.violations)
    return ""


def test_a_dropped_lease_check_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    write = Batch.write

    def write_without_check(batch: Batch, tr: object) -> None:
        batch.leases = {}
        write(batch, tr)

    monkeypatch.setattr(Batch, "write", write_without_check)
    assert "whose lease is" in found(Counters, FAULTS["cut off"])


@pytest.mark.parametrize(
    ("effect", "workload", "symptom"), [(Reply, Counters, "a client was told"), (Forward, Steps, "a handler was told")]
)
def test_an_effect_before_its_commit_is_found(
    monkeypatch: pytest.MonkeyPatch, effect: type[Reply | Forward], workload: Callable[[], Workload], symptom: str
) -> None:
    commit = Owner._commit

    async def release_and_commit(owner: Owner, batch: Batch) -> None:
        owner.outlet.release([one for one in batch.step.after_commit if isinstance(one, effect)])
        await commit(owner, batch)

    monkeypatch.setattr(Owner, "_commit", release_and_commit)
    assert symptom in found(workload, SLOW)


def test_mail_that_is_applied_twice_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    feed = Owner.feed

    def feed_mail_twice(owner: Owner, partition: int, event: Event) -> bool:
        if isinstance(event, MailReceived):
            feed(owner, partition, event)
        return feed(owner, partition, event)

    monkeypatch.setattr(Owner, "feed", feed_mail_twice)
    assert "twice" in found(TransferRing, Faults())


def test_an_inbox_out_of_order_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    release = complete.release_lock

    def release_to_the_last(turn: Turn, live: Live) -> None:
        for inbox in turn.view.inboxes.values():
            inbox.rotate(1)
        release(turn, live)

    monkeypatch.setattr(complete, "release_lock", release_to_the_last)
    assert "before" in found(OrderedSends, Faults())


def test_a_forgotten_timer_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    arm = Turn.arm

    def arm_most(turn: Turn, timer: Timer) -> None:
        if timer.at_ms % 10:
            arm(turn, timer)

    monkeypatch.setattr(Turn, "arm", arm_most)
    assert "the run broke: TimeoutError" in found(SleepStorm, Faults())
