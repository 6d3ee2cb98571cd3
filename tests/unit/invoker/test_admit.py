"""Arrival of invocations: started, queued, scheduled, repeated."""

from perdure.base.version import SOFTWARE_VERSION
from perdure.bus.messages import Accepted, Attach, Completed, GetOutput, Invoke, NotFound, NotReady
from perdure.model.invocation import AttemptTimings, Status
from perdure.model.journal import Input, Output
from perdure.model.result import Failure, Success
from perdure.model.target import HandlerType
from services.invoker.machine.events import AttemptEnded, AttemptProgressed, CommandSent, RequestReceived
from services.invoker.machine.step import Step
from tests.unit.invoker.builders import DAY_MS, INGRESS, PIN, Machine, a_target, an_id, replies, started


def test_a_call_starts_at_once_and_is_answered_only_when_it_ends() -> None:
    machine = Machine()
    step = machine.invoke(1)
    assert started(step) == [an_id(1)]
    assert replies(step) == []
    assert machine.journal(1) == [Input(b"in", ())]


def test_a_send_is_accepted_after_its_commit() -> None:
    step = Machine().invoke(1, wants_result=False)
    assert replies(step) == [Accepted(1)]


def test_an_exclusive_invocation_waits_for_the_lock_and_the_inbox_is_in_order() -> None:
    machine = Machine()
    target = a_target(HandlerType.EXCLUSIVE)
    machine.running(1, target)
    for number in (2, 3):
        assert started(machine.invoke(number, target)) == []
        assert machine.status(number) is Status.INBOXED
    assert started(machine.end(1)) == [an_id(2)]
    machine.open(2)
    assert started(machine.end(2)) == [an_id(3)]
    machine.open(3)
    machine.end(3)
    assert machine.view.locks == {}
    assert machine.view.inboxes == {}
    assert not [key for key in machine.rows if key.startswith((machine.keys.locks, machine.keys.inboxes))]


def test_a_shared_invocation_does_not_wait() -> None:
    machine = Machine()
    machine.running(1, a_target(HandlerType.EXCLUSIVE))
    assert started(machine.invoke(2, a_target(HandlerType.SHARED))) == [an_id(2)]


def test_a_scheduled_invocation_starts_when_its_time_comes() -> None:
    machine = Machine()
    step = machine.invoke(1, wants_result=False, execution_at_ms=5_000)
    assert replies(step) == [Accepted(1, 5_000)]
    assert started(step) == []
    assert machine.pass_time(3_999) == []
    (fired,) = machine.pass_time(1)
    assert started(fired) == [an_id(1)]
    assert not [key for key in machine.rows if key.startswith(machine.keys.timers)]


def test_a_repeated_send_is_told_when_it_starts_only_ahead_of_that() -> None:
    machine = Machine()
    machine.invoke(1, wants_result=False, execution_at_ms=5_000)
    assert replies(machine.invoke(1, wants_result=False)) == [Accepted(2, 5_000, is_new=False)]
    machine.pass_time(4_000)
    assert replies(machine.invoke(1, wants_result=False, request_id=3)) == [Accepted(3, None, is_new=False)]
    assert machine.view.lives[an_id(1)].record.execution_at_ms == 5_000


def test_a_repeated_call_waits_with_the_first_and_gets_the_same_result() -> None:
    machine = Machine()
    machine.running(1, idempotency_key="i")
    assert replies(machine.invoke(1, idempotency_key="i")) == []
    assert replies(machine.end(1)) == [Completed(1, Success(b"out")), Completed(2, Success(b"out"))]


def test_the_same_request_again_is_not_answered_twice() -> None:
    machine = Machine()
    machine.running(1)
    machine.invoke(1, request_id=1)
    assert replies(machine.end(1)) == [Completed(1, Success(b"out"))]


def test_a_repeated_call_after_the_end_gets_the_stored_result_with_its_expiry() -> None:
    machine = Machine()
    machine.running(1, idempotency_key="i")
    machine.end(1)
    (reply,) = replies(machine.invoke(1, idempotency_key="i"))
    assert reply == Completed(2, Success(b"out"), 1_000 + DAY_MS)


def test_a_repeated_send_is_told_that_it_is_not_new() -> None:
    machine = Machine()
    machine.invoke(1, wants_result=False)
    assert replies(machine.invoke(1, wants_result=False)) == [Accepted(2, is_new=False)]
    assert replies(machine.invoke(1, wants_result=False, request_id=1)) == [Accepted(1, is_new=True)]


def test_a_second_run_of_a_workflow_is_refused() -> None:
    machine = Machine()
    target = a_target(HandlerType.WORKFLOW, is_workflow=True)
    machine.running(1, target)
    (refusal,) = replies(machine.invoke(1, target))
    assert isinstance(refusal, Completed)
    assert isinstance(refusal.result, Failure)
    assert refusal.result.code == 409


def test_attach_waits_and_output_does_not() -> None:
    machine = Machine()
    machine.running(1)
    assert replies(machine.feed(RequestReceived(INGRESS, GetOutput(7, an_id(1))))) == [NotReady(7)]
    assert replies(machine.feed(RequestReceived(INGRESS, Attach(8, an_id(1))))) == []
    assert [reply.request_id for reply in replies(machine.end(1))] == [1, 8]


def test_a_call_that_attaches_again_is_answered_once() -> None:
    machine = Machine()
    machine.running(1)
    machine.feed(RequestReceived(INGRESS, Attach(1, an_id(1))))
    assert replies(machine.end(1)) == [Completed(1, Success(b"out"))]


def test_an_answer_to_attach_says_whose_result_it_is() -> None:
    machine = Machine()
    machine.running(1)
    machine.feed(RequestReceived(INGRESS, Attach(8, an_id(1))))
    assert replies(machine.end(1))[1] == Completed(8, Success(b"out"), target=a_target())


def test_what_is_unknown_is_not_found() -> None:
    machine = Machine()
    assert replies(machine.feed(RequestReceived(INGRESS, GetOutput(7, an_id(9))))) == [NotFound(7)]
    assert replies(machine.feed(RequestReceived(INGRESS, Attach(8, an_id(9))))) == [NotFound(8)]


def test_nothing_is_kept_without_retention() -> None:
    machine = Machine()
    machine.running(1, completion_retention_ms=0, journal_retention_ms=0)
    machine.end(1)
    assert [key for key in machine.rows if not key.startswith(machine.keys.prefix + b"\x02batch")] == []
    assert machine.view.lives == {}


def test_a_completion_expires_with_its_retention() -> None:
    machine = Machine()
    machine.running(1, completion_retention_ms=100, journal_retention_ms=50)
    machine.end(1)
    machine.pass_time(50)
    assert machine.journal(1) == []
    assert machine.status(1) is Status.COMPLETED
    machine.pass_time(50)
    assert machine.status(1) is None
    assert machine.rows == {}


def test_counters_follow_the_status() -> None:
    machine = Machine()
    target = a_target(HandlerType.EXCLUSIVE)
    machine.running(1, target)
    machine.invoke(2, target)
    machine.invoke(3, a_target(HandlerType.SHARED), wants_result=False, execution_at_ms=9_000)
    assert machine.counts() == {"invoked": 1, "inboxed": 1, "scheduled": 1}
    machine.end(1)
    assert machine.counts() == {"invoked": 1, "completed": 1, "scheduled": 1}


def test_what_has_ended_stays_in_memory_until_that_has_committed() -> None:
    machine = Machine()
    live = machine.running(1)
    in_flight = Step()
    machine.machine.apply(RequestReceived(INGRESS, GetOutput(7, an_id(1))), machine.now_ms, in_flight)
    output = CommandSent(Output(Success(b"out")))
    machine.machine.apply(AttemptProgressed(live.id, live.attempt, PIN, [output]), machine.now_ms, in_flight)
    gathering = Step()
    machine.machine.apply(AttemptEnded(live.id, live.attempt, AttemptTimings()), machine.now_ms, gathering)
    live.pending_writes -= 1  # the batch in flight has committed
    machine.view.forget(live)
    assert machine.view.lives[live.id] is live


def test_a_request_that_claims_to_be_new_is_looked_up_if_it_has_ended_lately() -> None:
    machine = Machine()
    machine.running(1, is_fresh=True)
    machine.end(1)
    assert machine.view.lives == {}
    (reply,) = replies(machine.invoke(1, is_fresh=True))
    assert isinstance(reply, Completed)
    assert reply.result == Success(b"out")


def test_a_request_that_claims_to_be_new_costs_no_look_up() -> None:
    machine = Machine()
    invoke = Invoke(1, an_id(1), a_target(), b"", (), True, is_fresh=True)
    assert not machine.machine.needs_reads(RequestReceived(INGRESS, invoke))


def test_it_is_noted_which_version_admitted_an_invocation() -> None:
    machine = Machine()
    machine.invoke()
    assert machine.view.lives[an_id(1)].record.created_by == SOFTWARE_VERSION
