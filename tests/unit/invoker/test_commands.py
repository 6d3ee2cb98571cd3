"""What a running attempt can ask for."""

import pytest

from perdure.base.ids import format_awakeable_id, format_invocation_id
from perdure.base.limits import ROW_KEY_BYTES_MAX
from perdure.model import journal
from perdure.model.invocation import Status
from perdure.model.journal import Completion, CompletionType, Future, RunProposal, Signal
from perdure.model.result import Failure, InvocationIdResult, StateKeys, Success, Void
from perdure.model.target import HandlerType, Target
from services.invoker.machine.step import AckCommand, FailAttempt, Forward
from tests.unit.invoker.builders import Machine, a_call, a_target, an_id, effects, started

OBJECT = a_target(HandlerType.EXCLUSIVE)
WORKFLOW = a_target(HandlerType.WORKFLOW, is_workflow=True)
CALL = journal.Call(journal.CallTarget("Svc", "handle", ""), b"p", (), 1, 2)


def completions(machine: Machine, number: int = 1) -> list[Completion]:
    return [entry for entry in machine.journal(number) if isinstance(entry, Completion)]


def test_a_sleep_arms_a_timer_and_is_completed_when_it_fires() -> None:
    machine = Machine()
    machine.running()
    machine.send(1, journal.Sleep(1_500, 1))
    (step,) = machine.pass_time(500)
    assert completions(machine) == [Completion(CompletionType.SLEEP, 1, Void())]
    assert [forward.index for forward in effects(step, Forward)] == [2]


def test_a_command_is_acknowledged_if_asked_with_its_index_among_commands() -> None:
    machine = Machine()
    live = machine.running()
    step = machine.send(1, journal.Run(1), journal.Run(2), wants_ack=True)
    assert effects(step, AckCommand) == [AckCommand(live.id, 1, 1), AckCommand(live.id, 1, 2)]


def test_a_proposal_is_journaled_as_the_completion_of_its_run() -> None:
    machine = Machine()
    machine.running()
    step = machine.send(1, journal.Run(1, "charge"), RunProposal(1, Success(b"v")))
    assert machine.journal()[1:] == [journal.Run(1, "charge"), Completion(CompletionType.RUN, 1, Success(b"v"))]
    (forward,) = effects(step, Forward)
    assert (forward.index, forward.as_ack) == (2, False)


def test_state_is_written_when_the_command_is_journaled() -> None:
    machine = Machine()
    machine.running(1, OBJECT)
    machine.send(1, journal.SetState(b"a", b"1"), journal.SetState(b"b", b"2"), journal.ClearState(b"a"))
    assert machine.rows[machine.keys.state("Svc", "k", b"b")] == b"\x002"
    assert machine.keys.state("Svc", "k", b"a") not in machine.rows
    machine.send(1, journal.ClearAllState())
    assert not [key for key in machine.rows if key.startswith(machine.keys.states)]


def test_a_lazy_read_is_answered_in_the_same_step() -> None:
    machine = Machine()
    machine.running(1, OBJECT)
    machine.send(1, journal.SetState(b"b", b"2"), journal.SetState(b"a", b"1"))
    machine.send(1, journal.GetLazyState(b"a", 1), journal.GetLazyState(b"z", 2), journal.GetLazyStateKeys(3))
    assert completions(machine) == [
        Completion(CompletionType.GET_LAZY_STATE, 1, Success(b"1")),
        Completion(CompletionType.GET_LAZY_STATE, 2, Void()),
        Completion(CompletionType.GET_LAZY_STATE_KEYS, 3, StateKeys((b"a", b"b"))),
    ]


@pytest.mark.parametrize(
    ("target", "command", "doc_code"),
    [
        (a_target(), journal.SetState(b"a", b"1"), "RT0017"),
        (a_target(), journal.GetLazyState(b"a", 1), "RT0017"),
        (a_target(HandlerType.SHARED), journal.SetState(b"a", b"1"), "RT0017"),
        (OBJECT, journal.GetPromise("p", 1), "RT0017"),
        (OBJECT, journal.SetState(b"a" * ROW_KEY_BYTES_MAX, b"1"), "RT0017"),
        (WORKFLOW, journal.GetPromise("p" * ROW_KEY_BYTES_MAX, 1), "RT0017"),
        (a_target(), journal.SendSignal("inv_nonsense", 1, None, Void()), "RT0017"),
        (a_target(), journal.CompleteAwakeable("sign_nonsense", Success(b"")), "RT0012"),
        (a_target(), journal.Input(b""), "RT0012"),
    ],
)
def test_a_command_that_breaks_a_rule_fails_the_attempt_and_drops_what_follows(
    target: Target, command: journal.Command, doc_code: str
) -> None:
    machine = Machine()
    machine.running(1, target)
    step = machine.send(1, command, journal.Run(1))
    (failure,) = effects(step, FailAttempt)
    assert failure.error.doc_code == doc_code
    assert failure.error.related_command_index == 1
    assert len(machine.journal()) == 1


def test_a_call_tells_its_callee_at_once_and_its_result_later() -> None:
    machine = Machine()
    machine.running()
    step = machine.send(1, a_call(an_id(2), CALL))
    assert started(step) == [an_id(2)]
    id_result = InvocationIdResult(format_invocation_id(an_id(2)))
    assert completions(machine) == [Completion(CompletionType.CALL_INVOCATION_ID, 1, id_result)]
    machine.open(2)
    machine.end(2, b"answer")
    assert completions(machine)[-1] == Completion(CompletionType.CALL, 2, Success(b"answer"))


def test_a_delayed_one_way_call_is_scheduled() -> None:
    machine = Machine()
    machine.running()
    command = journal.OneWayCall(journal.CallTarget("Svc", "handle", ""), b"p", (), 4_000, 1)
    machine.send(1, a_call(an_id(2), command))
    assert machine.status(2) is Status.SCHEDULED
    machine.pass_time(3_000)
    assert machine.status(2) is Status.INVOKED


def test_a_one_way_call_whose_time_has_passed_is_scheduled_and_starts_at_once() -> None:
    machine = Machine()
    machine.running()
    machine.send(1, a_call(an_id(2), journal.OneWayCall(journal.CallTarget("Svc", "handle", ""), b"p", (), 1, 1)))
    assert machine.view.lives[an_id(2)].record.execution_at_ms == 1
    machine.pass_time(0)
    assert machine.status(2) is Status.INVOKED


def test_an_awakeable_is_completed_by_another_invocation() -> None:
    machine = Machine()
    machine.running(1)
    machine.running(2)
    machine.suspend(1, Future(signal_indexes=(1, 17)))
    step = machine.send(2, journal.CompleteAwakeable(format_awakeable_id(an_id(1), 17), Success(b"v")))
    assert machine.journal(1)[-1] == Signal(17, None, Success(b"v"))
    assert started(step) == [an_id(1)]


def test_attach_gets_the_result_and_a_stranger_is_not_found() -> None:
    machine = Machine()
    machine.running(1)
    machine.running(2)
    target = journal.InvocationTarget(format_invocation_id(an_id(2)))
    stranger = journal.InvocationTarget(format_invocation_id(an_id(9)))
    machine.send(1, journal.AttachInvocation(target, 1), journal.AttachInvocation(stranger, 2), journal.GetInvocationOutput(target, 3))
    assert completions(machine) == [
        Completion(CompletionType.ATTACH_INVOCATION, 2, Failure(404, "not found")),
        Completion(CompletionType.GET_INVOCATION_OUTPUT, 3, Void()),
    ]
    machine.end(2)
    assert completions(machine)[-1] == Completion(CompletionType.ATTACH_INVOCATION, 1, Success(b"out"))


def test_a_promise_is_completed_once_and_answers_all_that_wait() -> None:
    machine = Machine()
    machine.running(1, WORKFLOW)
    machine.send(1, journal.PeekPromise("p", 1), journal.GetPromise("p", 2))
    machine.send(1, journal.CompletePromise("p", Success(b"v"), 3), journal.CompletePromise("p", Success(b"w"), 4))
    results = {entry.completion_id: entry.result for entry in completions(machine)}
    assert results == {1: Void(), 2: Success(b"v"), 3: Void(), 4: Failure(409, "promise was already completed")}
