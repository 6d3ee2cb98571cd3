"""Suspension, retries, cancel, kill, pause, resume, purge, restart."""

import msgspec
import pytest

from perdure.base.limits import VALUE_BYTES_MAX
from perdure.bus.messages import Completed, Operate, Operated
from perdure.model import journal
from perdure.model.invocation import CallSink, Pin, Status
from perdure.model.journal import (
    AttemptError,
    Combinator,
    Completion,
    CompletionType,
    ErrorBehavior,
    EventType,
    Future,
    JournalEvent,
    RunProposal,
    Signal,
)
from perdure.model.mail import CompletionMail
from perdure.model.result import Failure, Success, Void
from perdure.model.target import HandlerType
from perdure.registry.retry import EffectiveRetryPolicy
from services.invoker.loading import decode_record
from services.invoker.machine.events import RequestReceived, RetryDue
from services.invoker.machine.step import RetryAttempt, Step, StopAttempt, SuspendAttempt
from tests.unit.invoker.builders import INGRESS, Machine, a_call, a_target, an_id, effects, replies, started
from tests.unit.invoker.test_commands import CALL


def operate(machine: Machine, action: str, number: int = 1, **options: object) -> Operated:
    request = Operate(99, an_id(number), action, **options)  # pyright: ignore
    step = machine.feed(RequestReceived(INGRESS, request, new_uuid=(77).to_bytes(16, "big")))
    (reply,) = [reply for reply in replies(step) if isinstance(reply, Operated)]
    return reply


def suspended_on_sleep(machine: Machine) -> None:
    machine.running()
    machine.send(1, journal.Sleep(5_000, 1))
    machine.suspend(1, Future(completion_ids=(1,), signal_indexes=(1,)))


def test_a_suspended_invocation_wakes_by_what_it_awaits_and_by_nothing_else() -> None:
    machine = Machine()
    suspended_on_sleep(machine)
    assert machine.status() is Status.SUSPENDED
    other = machine.receive(CompletionMail(an_id(1), CompletionType.CALL, 9, Void()))
    assert started(other) == []
    (fired,) = machine.pass_time(4_000)
    assert started(fired) == [an_id(1)]


def test_a_suspension_on_what_is_already_there_runs_again_at_once() -> None:
    machine = Machine()
    machine.running()
    machine.send(1, journal.Run(1), RunProposal(1, Success(b"v")))
    assert started(machine.suspend(1, Future(completion_ids=(1,)))) == [an_id(1)]
    assert machine.status() is Status.INVOKED


def test_a_suspension_without_a_command_pins_nothing() -> None:
    machine = Machine()
    live = machine.running()
    machine.suspend(1, Future(signal_indexes=(17,)))
    assert (machine.status(), live.record.pin) == (Status.SUSPENDED, None)


def test_all_of_a_tree_must_be_there() -> None:
    machine = Machine()
    machine.running()
    machine.send(1, journal.Sleep(2_000, 1), journal.Sleep(3_000, 2))
    machine.suspend(1, Future(completion_ids=(1, 2), combinator=Combinator.ALL_COMPLETED))
    (first,) = machine.pass_time(1_000)
    assert started(first) == []
    (second,) = machine.pass_time(1_000)
    assert started(second) == [an_id(1)]


def test_results_of_an_earlier_attempt_do_not_count() -> None:
    machine = Machine()
    live = machine.running()
    machine.fail(1)
    machine.feed(RetryDue(live.id, live.attempt))
    step = machine.feed(RetryDue(live.id, live.attempt - 1))
    assert started(step) == []


def test_a_failed_attempt_backs_off_and_is_tried_again() -> None:
    machine = Machine()
    live = machine.running()
    (retry,) = effects(machine.fail(1), RetryAttempt)
    assert retry.delay_ms == 503
    assert started(machine.feed(RetryDue(live.id, live.attempt))) == [an_id(1)]
    (retry,) = effects(machine.fail(1), RetryAttempt)
    assert retry.delay_ms == 1_003


def test_a_delay_of_the_sdk_does_not_use_up_an_attempt() -> None:
    machine = Machine()
    live = machine.running()
    error = AttemptError(500, "later", "RT0007", next_retry_delay_ms=7)
    (retry,) = effects(machine.fail(1, error, EffectiveRetryPolicy(max_attempts=1)), RetryAttempt)
    assert retry.delay_ms == 7
    assert live.failures == 0


@pytest.mark.parametrize(("pauses", "status"), [(True, Status.PAUSED), (False, Status.COMPLETED)])
def test_a_policy_that_is_used_up_pauses_or_ends(pauses: bool, status: Status) -> None:
    machine = Machine()
    machine.running()
    step = machine.fail(1, policy=EffectiveRetryPolicy(max_attempts=1, pauses_on_max_attempts=pauses))
    assert machine.status() is status
    assert replies(step) == ([] if pauses else [Completed(1, Failure(500, "broken"))])


def test_an_error_can_ask_for_a_pause() -> None:
    machine = Machine()
    machine.running()
    machine.fail(1, AttemptError(500, "stop", "RT0007", behavior=ErrorBehavior.PAUSE))
    assert machine.status() is Status.PAUSED


def test_cancel_signals_what_runs_and_wakes_what_is_suspended() -> None:
    machine = Machine()
    suspended_on_sleep(machine)
    assert operate(machine, "cancel").outcome == "appended"
    assert machine.journal()[-1] == Signal(1, None, Void())
    assert machine.status() is Status.INVOKED


def test_cancel_ends_what_has_not_begun_and_leaves_no_row() -> None:
    machine = Machine()
    target = a_target(HandlerType.EXCLUSIVE)
    machine.running(1, target)
    machine.invoke(2, target)
    machine.invoke(3, wants_result=False, execution_at_ms=9_000)
    assert [operate(machine, "cancel", number).outcome for number in (2, 3)] == ["done", "done"]
    assert [machine.status(number) for number in (2, 3)] == [None, None]
    assert machine.view.inboxes == {}
    machine.end(1)
    assert machine.view.locks == {}


def test_kill_ends_at_once_with_all_children() -> None:
    machine = Machine()
    machine.running(1)
    machine.send(1, a_call(an_id(2), CALL))
    request = Operate(99, an_id(1), "kill")
    step = machine.feed(RequestReceived(INGRESS, request))
    killed = Failure(409, "killed")
    assert Completed(1, killed) in replies(step)
    assert {effect.invocation_id for effect in effects(step, StopAttempt)} == {an_id(1), an_id(2)}
    assert (machine.status(1), machine.status(2)) == (Status.COMPLETED, Status.COMPLETED)


def test_kill_of_a_suspended_invocation_reaches_its_children() -> None:
    machine = Machine()
    machine.running(1)
    machine.send(1, a_call(an_id(2), CALL))
    machine.suspend(1, Future(completion_ids=(2,)))
    operate(machine, "kill")
    assert machine.status(2) is Status.COMPLETED


def test_kill_passes_the_lock_on() -> None:
    machine = Machine()
    target = a_target(HandlerType.EXCLUSIVE)
    machine.running(1, target)
    machine.invoke(2, target)
    step = machine.feed(RequestReceived(INGRESS, Operate(99, an_id(1), "kill")))
    assert started(step) == [an_id(2)]


def test_pause_asks_a_running_attempt_to_suspend_and_resume_starts_it() -> None:
    machine = Machine()
    machine.running()
    step = machine.feed(RequestReceived(INGRESS, Operate(99, an_id(1), "pause")))
    assert len(effects(step, SuspendAttempt)) == 1
    machine.suspend(1, Future(signal_indexes=(1,)))
    assert machine.status() is Status.PAUSED
    assert operate(machine, "resume").outcome == "done"
    assert machine.status() is Status.INVOKED


def test_pause_ends_a_back_off() -> None:
    machine = Machine()
    machine.running()
    machine.fail(1)
    assert operate(machine, "pause").outcome == "done"
    assert machine.status() is Status.PAUSED


def test_a_paused_invocation_stores_what_arrives_and_stays() -> None:
    machine = Machine()
    machine.running()
    machine.fail(1, AttemptError(500, "stop", "RT0007", behavior=ErrorBehavior.PAUSE))
    machine.receive(CompletionMail(an_id(1), CompletionType.CALL, 4, Void()))
    assert machine.status() is Status.PAUSED
    assert machine.journal()[-1] == Completion(CompletionType.CALL, 4, Void())


def test_purge_removes_what_has_ended_and_nothing_else() -> None:
    machine = Machine()
    machine.running()
    assert operate(machine, "purge").outcome == "not_completed"
    machine.end(1)
    assert operate(machine, "purge_journal").outcome == "done"
    assert machine.journal() == []
    assert machine.status() is Status.COMPLETED
    assert operate(machine, "purge").outcome == "done"
    assert machine.status() is None
    assert operate(machine, "purge").outcome == "not_found"


def test_purging_a_workflow_removes_its_state_and_promises() -> None:
    machine = Machine()
    machine.running(1, a_target(HandlerType.WORKFLOW, is_workflow=True))
    machine.send(1, journal.SetState(b"s", b"1"), journal.CompletePromise("p", Success(b"v"), 1))
    machine.end(1)
    operate(machine, "purge")
    assert not [key for key in machine.rows if key.startswith((machine.keys.states, machine.keys.promises))]


def test_restart_as_new_keeps_a_prefix_of_the_journal() -> None:
    machine = Machine()
    machine.running()
    machine.send(1, journal.Run(1), RunProposal(1, Success(b"v")), journal.Run(2), RunProposal(2, Success(b"w")))
    machine.end(1)
    reply = operate(machine, "restart_as_new", from_entry=1)
    assert reply.new_invocation_id == an_id(77)
    assert machine.journal(77) == machine.journal(1)[:3]
    assert machine.status(77) is Status.INVOKED


def test_a_prefix_of_a_journal_before_version_6_is_not_restarted() -> None:
    machine = Machine()
    machine.running().record.pin = Pin("dp_1", 5)
    machine.send(1, journal.Run(1), RunProposal(1, Success(b"v")))
    machine.end(1)
    assert operate(machine, "restart_as_new", from_entry=1).outcome == "unsupported"
    assert operate(machine, "restart_as_new").outcome == "done"
    operate(machine, "purge_journal")
    assert operate(machine, "restart_as_new", from_entry=1).outcome == "no_journal"


def test_a_restart_from_a_prefix_with_an_open_command_is_refused() -> None:
    machine = Machine()
    machine.running()
    machine.send(1, journal.Sleep(99_000, 1))
    machine.end(1)
    assert operate(machine, "restart_as_new", from_entry=1).outcome == "open_prefix"


def test_restore_starts_what_ran_and_rebuilds_inboxes() -> None:
    from services.invoker.machine.step import Step

    machine = Machine()
    target = a_target(HandlerType.EXCLUSIVE)
    machine.running(1, target)
    for number in (2, 3):
        machine.invoke(number, target)
    heir = Machine()
    heir.rows = machine.rows
    for live in machine.view.lives.values():
        heir.machine.load(live.id, live.record)
    step = Step()
    heir.machine.restore(2_000, step)
    assert started(step) == [an_id(1)]
    assert heir.view.locks == {("Svc", "k"): an_id(1)}
    assert list(heir.view.inboxes["Svc", "k"]) == [an_id(2), an_id(3)]


def test_a_record_too_large_for_a_row_is_cleared_with_its_pieces() -> None:
    machine = Machine()
    live = machine.running(1)
    row = machine.keys.unfinished(live.id)
    live.record.sinks = [CallSink(an_id(2), number) for number in range(5_000)]
    assert len(machine.send(1, journal.Run(1)).wide[row] or b"") > VALUE_BYTES_MAX
    assert machine.end(1).wide[row] is None


def test_a_record_that_becomes_small_again_replaces_the_pieces_of_the_large_one() -> None:
    machine = Machine()
    live = machine.running(1)
    machine.machine.load(live.id, live.record, is_wide=True)
    machine.view.lives[live.id].journal = machine.journal()
    row = machine.keys.unfinished(live.id)
    assert row in machine.feed(RequestReceived(INGRESS, Operate(1, live.id, "cancel"))).wide


def events(machine: Machine, number: int = 1) -> list[JournalEvent]:
    prefix = machine.keys.events_of(an_id(number))
    rows = [value for key, value in sorted(machine.rows.items()) if key.startswith(prefix)]
    return [msgspec.msgpack.decode(row[1:], type=JournalEvent) for row in rows]


def test_an_error_that_repeats_is_noted_once_until_there_is_progress() -> None:
    machine = Machine()
    live = machine.running()
    for _ in range(2):
        machine.fail(1)
        machine.feed(RetryDue(live.id, live.attempt))
    assert [event.event_type for event in events(machine)] == [EventType.TRANSIENT_ERROR]
    machine.open(1)
    machine.send(1, journal.Run(1))
    machine.fail(1)
    assert [event.after_entry_index for event in events(machine)] == [0, 1]


@pytest.mark.parametrize("progress", [(journal.Run(2),), (RunProposal(1, Success(b"v")),)], ids=["command", "proposal"])
def test_a_failure_is_told_until_there_is_progress(progress: tuple[journal.Command | RunProposal, ...]) -> None:
    machine = Machine()
    live = machine.running()
    machine.send(1, journal.Run(1))
    machine.fail(1, AttemptError(500, "broken", "RT0007", next_retry_delay_ms=10))
    assert (live.failures, live.failed_attempts, live.failures_since_entry) == (0, 1, 1), "its own delay is not held against it"
    machine.feed(RetryDue(live.id, live.attempt))
    machine.send(1, *progress)
    assert (live.last_failure, live.failed_attempts, live.failures_since_entry) == (None, 1, 0)


def test_a_pause_is_noted_with_its_error_and_one_by_hand_without() -> None:
    machine = Machine()
    machine.running(1)
    machine.fail(1, policy=EffectiveRetryPolicy(max_attempts=1))
    (paused,) = events(machine, 1)
    assert paused.event_type is EventType.PAUSED
    assert paused.error is not None
    machine.running(2)
    operate(machine, "pause", 2)
    machine.suspend(2, Future(signal_indexes=(1,)))
    (by_hand,) = events(machine, 2)
    assert by_hand.error is None


def test_events_go_with_the_journal() -> None:
    machine = Machine()
    live = machine.running()
    machine.fail(1)
    machine.feed(RetryDue(live.id, live.attempt))
    machine.open(1)
    machine.end(1)
    operate(machine, "purge_journal")
    assert events(machine) == []


def test_a_second_purge_before_the_first_has_committed_finds_nothing() -> None:
    machine = Machine()
    machine.running()
    machine.end(1)
    record = decode_record(machine.rows[machine.keys.invocation(an_id(1))][1:])
    step = Step()
    for request_id in (1, 2):
        if an_id(1) in machine.machine.lookups_of(RequestReceived(INGRESS, Operate(request_id, an_id(1), "purge"))):
            machine.view.found[an_id(1)] = record
        machine.machine.apply(RequestReceived(INGRESS, Operate(request_id, an_id(1), "purge")), machine.now_ms, step)
    assert replies(step) == [Operated(1, "done"), Operated(2, "not_found")]
    assert sum(step.counts.values()) == -1
    assert an_id(1) not in machine.view.found
