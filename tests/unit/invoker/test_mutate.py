"""Changes of state from outside: their place in the inbox, their version, what they write."""

from perdure.base.ids import InvocationId
from perdure.bus.messages import Accepted, MutateState, Operate, Overloaded
from perdure.model.invocation import Status
from perdure.model.journal import SetState
from perdure.model.state import StateMutation
from perdure.model.target import HandlerType
from services.invoker.machine.events import RequestReceived
from services.invoker.machine.lifecycle.mutate import MUTATIONS_WAITING_MAX, version_of
from services.invoker.machine.machine import PartitionMachine
from services.invoker.machine.step import Step
from services.invoker.machine.view import CachedState, PartitionView, WaitingMutation
from tests.unit.invoker.builders import INGRESS, Machine, a_target, an_id, replies, started

EXCLUSIVE = a_target(HandlerType.EXCLUSIVE)


def mutate(machine: Machine, *, version: str | None = None, blob_prefix: bytes = b"", **entries: bytes) -> Step:
    mutation = StateMutation(tuple(sorted((name.encode(), value) for name, value in entries.items())), version)
    return machine.feed(RequestReceived(INGRESS, MutateState(7, 0, "Svc", "k", mutation), blob_prefix=blob_prefix))


def test_a_version_is_the_hash_that_clients_compute() -> None:
    assert version_of({b"name": b"bob"}) == "tDqA04Lj3_qJ-PgNPTecXDGZgpwy6jm2Ni2BYqJIthM"
    assert version_of({}) == "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
    assert version_of({b"b": b"2", b"a": b"1"}) == version_of({b"a": b"1", b"b": b"2"})


def test_a_free_object_is_changed_at_once() -> None:
    machine = Machine()
    mutate(machine, a=b"1", b=b"2")
    assert replies(mutate(machine, b=b"3", c=b"4")) == [Accepted(7)]
    assert machine.state() == {b"b": b"3", b"c": b"4"}
    assert not [row for row in machine.rows if row.startswith(machine.keys.mutations)]


def test_a_mutation_waits_for_its_place_in_the_inbox() -> None:
    machine = Machine()
    machine.running(1, EXCLUSIVE)
    machine.send(1, SetState(b"a", b"by 1"))
    machine.invoke(2, EXCLUSIVE)
    assert replies(mutate(machine, a=b"mutated")) == [Accepted(7)]
    machine.invoke(3, EXCLUSIVE)
    machine.end(1)
    assert machine.state() == {b"a": b"by 1"}
    machine.open(2)
    step = machine.end(2)
    assert started(step) == [an_id(3)]
    assert machine.state() == {b"a": b"mutated"}
    assert machine.view.inboxes == {}
    assert not [row for row in machine.rows if row.startswith(machine.keys.mutations)]


def test_one_that_waits_last_frees_the_object() -> None:
    machine = Machine()
    live = machine.running(1, EXCLUSIVE)
    mutate(machine, a=b"1")
    machine.feed(RequestReceived(INGRESS, Operate(1, live.id, "kill")))
    assert machine.state() == {b"a": b"1"}
    assert (machine.view.locks, machine.view.inboxes, machine.view.mutations_waiting) == ({}, {}, 0)


def test_a_mutation_outlives_the_invocation_before_it() -> None:
    machine = Machine()
    machine.running(1, EXCLUSIVE)
    machine.invoke(2, EXCLUSIVE)
    mutate(machine, a=b"1")
    machine.feed(RequestReceived(INGRESS, Operate(1, an_id(2), "cancel")))
    machine.end(1)
    assert machine.state() == {b"a": b"1"}


def test_the_version_counts_when_the_mutation_is_applied() -> None:
    machine = Machine()
    machine.running(1, EXCLUSIVE)
    mutate(machine, a=b"1", version=version_of({b"a": b"by 1"}))
    mutate(machine, a=b"2", version=version_of({}))
    machine.send(1, SetState(b"a", b"by 1"))
    machine.end(1)
    assert machine.state() == {b"a": b"1"}


def test_a_workflow_is_changed_while_it_runs() -> None:
    machine = Machine()
    machine.running(1, a_target(HandlerType.WORKFLOW, is_workflow=True))
    mutate(machine, a=b"1")
    assert machine.state() == {b"a": b"1"}


def test_the_state_of_a_waiting_mutation_stays_in_memory_until_it_is_applied() -> None:
    machine = Machine()
    machine.invoke(1, EXCLUSIVE)
    mutate(machine, a=b"1")
    state = machine.view.states["Svc", "k"]
    assert state.pins == 1
    machine.open(1)
    machine.end(1)
    assert state.pins == 1, "that of the attempt, which the shell takes away"


def test_no_more_wait_than_their_limit_allows() -> None:
    machine = Machine()
    machine.running(1, EXCLUSIVE)
    for _ in range(MUTATIONS_WAITING_MAX):
        mutate(machine, a=b"1")
    assert replies(mutate(machine, a=b"2")) == [Overloaded(7)]


def test_what_travelled_through_the_store_is_removed_in_the_same_step() -> None:
    assert mutate(Machine(), a=b"1", blob_prefix=b"blob").cleared == [b"blob"]


def test_a_heir_applies_what_waits_in_the_order_of_arrival() -> None:
    machine = Machine()
    machine.running(1, EXCLUSIVE)
    machine.invoke(2, EXCLUSIVE)
    mutate(machine, a=b"1")
    machine.invoke(3, EXCLUSIVE)
    waiting = machine.view.inboxes["Svc", "k"][1]
    assert isinstance(waiting, WaitingMutation)
    heir = PartitionMachine(PartitionView(0, 1, machine.keys))
    heir.load_mutation(("Svc", "k"), waiting, CachedState({}, {}))
    for number in (3, 2, 1):
        heir.load(InvocationId(an_id(number)), machine.view.lives[an_id(number)].record)
    heir.restore(2_000, Step())
    assert list(heir.view.inboxes["Svc", "k"]) == [an_id(2), waiting, an_id(3)]
    assert heir.view.inbox_sequence == 3
    assert heir.view.states["Svc", "k"].pins == 1
    assert machine.view.lives[an_id(1)].record.status is Status.INVOKED
