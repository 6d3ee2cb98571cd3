"""Bugs planted into the real code: the checkers must find each of them within a few seeds."""

from collections.abc import Callable

import pytest

from perdure.bus.messages import Accepted, MutateState
from perdure.model.invocation import Status
from perdure.model.journal import CompletePromise, Input, Notification
from perdure.model.result import Success
from perdure.model.state import StateMutation
from perdure.model.timer import Timer
from perdure.sim.cluster import Faults
from perdure.sim.store import StoreFaults
from services.invoker.batch import Batch
from services.invoker.machine.commands import promise as promises
from services.invoker.machine.commands.table import COMMANDS
from services.invoker.machine.events import Event, MailReceived
from services.invoker.machine.lifecycle import complete, mutate, notify, operate, output, purge
from services.invoker.machine.step import Forward, Reply
from services.invoker.machine.turn import Turn
from services.invoker.machine.view import Live
from services.invoker.owner import Owner
from tests.simulation.cases import FAULTS
from tests.simulation.lifecycle_workloads import Attaching, Expiry, Mutations, Operations, Promises
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


@pytest.mark.parametrize("action", ["cancel", "kill"])
def test_an_operation_that_is_only_acknowledged_is_found(monkeypatch: pytest.MonkeyPatch, action: str) -> None:
    outcome = "appended" if action == "cancel" else "done"
    monkeypatch.setitem(operate.LIVE_ACTIONS, action, lambda _turn, _live, _request: outcome)
    assert f"an operator was told that {action}" in found(Operations, Faults())


def test_a_pause_that_lasts_no_longer_than_a_notification_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    deliver = notify.deliver

    def wake_what_is_paused(turn: Turn, live: Live, notification: Notification) -> None:
        deliver(turn, live, notification)
        if live.record.status is Status.PAUSED:
            turn.start_attempt(live)

    monkeypatch.setattr(notify, "deliver", wake_what_is_paused)
    assert "was paused and runs" in found(Operations, Faults())


def test_a_restart_with_another_input_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    prefix = operate._prefix
    monkeypatch.setattr(operate, "_prefix", lambda journal, from_entry: [*(prefix(journal, from_entry) or [])[1:], Input(b"other", ())])
    assert "with another input" in found(Operations, Faults())


def test_a_purge_that_leaves_the_journal_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Turn, "drop_journal", lambda _turn, _invocation, _record: None)
    assert "was left behind" in found(Operations, Faults())


def test_a_promise_that_is_completed_twice_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    apply = promises.apply_complete_promise

    def forget_the_first(turn: Turn, live: Live, command: CompletePromise) -> None:
        promises._promise(turn, live, command.key).result = None
        apply(turn, live, command)

    monkeypatch.setitem(COMMANDS, CompletePromise, forget_the_first)
    assert "the promise" in found(Promises, Faults())


def test_an_attached_caller_that_is_told_something_else_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "attach_mail", lambda turn, mail: turn.answer(mail.sink, Success(b"something else")))
    assert "and it is not so" in found(Attaching, Faults())


def test_a_completion_that_is_kept_too_short_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    retain = complete._retain

    def retain_half(turn: Turn, live: Live) -> None:
        whole_ms = live.record.completion_retention_ms
        live.record.completion_retention_ms = whole_ms // 2
        retain(turn, live)
        live.record.completion_retention_ms = whole_ms

    monkeypatch.setattr(complete, "_retain", retain_half)
    assert "nothing will end the retention" in found(Expiry, Faults())


def test_a_completion_that_is_kept_for_good_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purge, "purge", lambda _turn, _invocation, _existing: None)
    assert "nothing will remove it when its retention ends" in found(Expiry, Faults())


def test_a_change_of_state_beside_the_inbox_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def mutate_at_once(turn: Turn, reply_subject: str, request: MutateState) -> None:
        mutate.apply_mutation(turn, (request.service, request.key), request.mutation)
        turn.reply(reply_subject, Accepted(request.request_id))

    monkeypatch.setattr(mutate, "mutate", mutate_at_once)
    assert "holds the object" in found(Mutations, SLOW)


def test_a_change_of_state_of_another_version_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    apply = mutate.apply_mutation

    def apply_anyway(turn: Turn, object_key: tuple[str, str], mutation: StateMutation) -> None:
        apply(turn, object_key, StateMutation(mutation.entries))

    monkeypatch.setattr(mutate, "apply_mutation", apply_anyway)
    assert "without a command that says so" in found(Mutations, Faults())


def test_a_suspended_caller_that_is_not_woken_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "deliver", lambda turn, live, notification: turn.notify(live, notification))
    assert "is suspended on" in found(SleepStorm, Faults())
