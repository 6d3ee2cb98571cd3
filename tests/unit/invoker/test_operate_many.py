"""Actions on all invocations that match a filter."""

from perdure.bus.messages import InvocationFilter, Operated, OperateMany
from perdure.model.invocation import Status
from services.invoker.machine.events import OperationAdvanced, RequestReceived
from services.invoker.machine.lifecycle.operate_many import CHUNK, next_live
from services.invoker.machine.step import ContinueOperation, Step
from tests.unit.invoker.builders import INGRESS, Machine, an_id, effects, replies

OPERATION = b"operation-1"


def begin(machine: Machine, action: str, wanted: InvocationFilter) -> Step:
    return machine.feed(RequestReceived(INGRESS, OperateMany(5, 0, action, wanted), OPERATION))


def go_on(machine: Machine) -> Step:
    """Feed the next chunk, as the shell does."""
    ids, is_last = next_live(machine.view.operations[OPERATION], machine.view.lives)
    return machine.feed(OperationAdvanced(OPERATION, ids, is_last))


def test_an_operation_is_accepted_once_it_is_a_row() -> None:
    machine = Machine()
    step = begin(machine, "kill", InvocationFilter())
    assert replies(step) == [Operated(5, "accepted")]
    assert machine.keys.operation(OPERATION) in machine.rows


def test_all_that_match_are_dealt_with_in_bounded_chunks() -> None:
    machine = Machine()
    count = 2 * CHUNK + 1
    for number in range(count):
        machine.running(number)
    begin(machine, "kill", InvocationFilter(services=("Svc",), statuses=("invoked",)))
    steps = [go_on(machine) for _ in range(3)]
    assert [len(effects(step, ContinueOperation)) for step in steps] == [1, 1, 0]
    assert {machine.status(number) for number in range(count)} == {Status.COMPLETED}
    assert machine.keys.operation(OPERATION) not in machine.rows


def test_what_does_not_match_is_left_alone() -> None:
    machine = Machine()
    machine.running(1)
    begin(machine, "kill", InvocationFilter(services=("Other",)))
    go_on(machine)
    assert machine.status(1) is Status.INVOKED


def test_completed_invocations_are_purged() -> None:
    machine = Machine()
    machine.running(1)
    machine.end(1)
    begin(machine, "purge", InvocationFilter(statuses=("completed",)))
    machine.feed(OperationAdvanced(OPERATION, (an_id(1),), True))
    assert machine.status(1) is None
    assert machine.counts() == {}


def test_a_heir_goes_on_with_what_was_not_done() -> None:
    machine = Machine()
    begin(machine, "cancel", InvocationFilter())
    step = Step()
    machine.machine.restore(2_000, step)
    assert [effect.operation_id for effect in effects(step, ContinueOperation)] == [OPERATION]


def test_an_action_that_many_cannot_take_is_refused() -> None:
    machine = Machine()
    assert replies(begin(machine, "restart_as_new", InvocationFilter())) == [Operated(5, "unsupported")]
    assert machine.view.operations == {}
