"""A partition machine in memory, and short names for what is fed to it and what comes out."""

from typing import Any

import msgspec

from perdure.base import ids
from perdure.base.ids import InvocationId
from perdure.bus.messages import Invoke, OwnerReply
from perdure.model.invocation import AttemptTimings, Pin, Source, Status
from perdure.model.journal import AttemptError, Call, Command, Entry, Future, Output, RunProposal
from perdure.model.mail import Mail
from perdure.model.result import Success
from perdure.model.target import HandlerType, Target
from perdure.registry.retry import EffectiveRetryPolicy
from perdure.store.keyspace import Keyspace, unpack
from services.invoker.loading import decode_entry, decode_record
from services.invoker.machine.events import (
    AttemptEnded,
    AttemptFailed,
    AttemptProgressed,
    AttemptSuspended,
    BuiltInCalled,
    CallResolved,
    CommandSent,
    Event,
    MailReceived,
    RequestReceived,
    TimerFired,
)
from services.invoker.machine.machine import PartitionMachine, seal, seal_counts
from services.invoker.machine.step import Reply, StartAttempt, Step
from services.invoker.machine.view import CachedState, Live, PartitionView
from services.invoker.tracing import Tracer

PIN = Pin("dp_1", 6)
INGRESS = "perdure.replies.ingress.ingress-1"
DAY_MS = 86_400_000


def an_id(number: int) -> InvocationId:
    """An invocation id that is told from others by its last byte."""
    return ids.invocation_id(ids.partition_key_of_key("k"), number.to_bytes(16, "big"))


def a_target(handler_type: HandlerType = HandlerType.PLAIN, *, key: str | None = None, is_workflow: bool = False) -> Target:
    if handler_type is not HandlerType.PLAIN and key is None:
        key = "k"
    return Target("Svc", "handle", key, handler_type, is_workflow)


class Machine:
    """A machine of the only partition, with time in the test's hand; what would be in the store is in `rows`."""

    def __init__(self) -> None:
        self.keys = Keyspace().partition(0)
        self.view = PartitionView(0, 1, self.keys)
        self.view.timer_horizon_ms = 1 << 50
        self.machine = PartitionMachine(self.view)
        self.now_ms = 1_000
        self.rows: dict[bytes, bytes] = {}
        self._requests = 0
        self.tracer: Tracer | None = None

    def feed(self, event: Event) -> Step:
        """Apply an event and what it sends to other invocations, and commit."""
        step = Step(is_traced=self.tracer is not None)
        if event.__class__ is not TimerFired:
            self._look_up(event)
        self.machine.apply(event, self.now_ms, step)
        while step.outbox:
            outbox, step.outbox = step.outbox, []
            for _, mail in outbox:
                self.machine.apply(MailReceived(mail), self.now_ms, step)
        self._commit(step)
        if self.tracer is not None:
            self.tracer.committed(step.traced or [])
        return step

    def invoke(self, number: int = 1, target: Target | None = None, *, wants_result: bool = True, **options: Any) -> Step:
        """Admit an invocation as an ingress asks for it."""
        self._requests += 1
        settings = {"completion_retention_ms": DAY_MS, "journal_retention_ms": DAY_MS, **options}
        request_id = settings.pop("request_id", self._requests)
        invoke = Invoke(request_id, an_id(number), target or a_target(), b"in", (), wants_result, **settings)
        return self.feed(RequestReceived(INGRESS, invoke))

    def running(self, number: int = 1, target: Target | None = None, **options: Any) -> Live:
        """An invocation whose first attempt is open."""
        self.invoke(number, target, **options)
        return self.open(number)

    def open(self, number: int = 1) -> Live:
        """Open the present attempt of an invocation, as the shell does: with its journal and state in memory."""
        live = self.view.lives[an_id(number)]
        assert live.record.status is Status.INVOKED
        if live.journal is None:
            self.machine.journal_loaded(live, self.journal(number)[: live.record.journal_length - len(live.tail)])
        target = live.record.target
        if target.key is not None:
            state = self.view.states.setdefault((target.service, target.key), CachedState({}, {}))
            state.pins += 1
        live.is_open = True
        return live

    def send(self, number: int, *commands: Command | RunProposal | CallResolved | BuiltInCalled, wants_ack: bool = False) -> Step:
        """Let the running attempt send commands and proposals."""
        live = self.view.lives[an_id(number)]
        whole = RunProposal | CallResolved | BuiltInCalled
        items = [command if isinstance(command, whole) else CommandSent(command, wants_ack) for command in commands]
        return self.feed(AttemptProgressed(live.id, live.attempt, PIN, list(items)))

    def suspend(self, number: int, awaiting: Future) -> Step:
        live = self.view.lives[an_id(number)]
        return self.feed(AttemptSuspended(live.id, live.attempt, awaiting, AttemptTimings()))

    def end(self, number: int, value: bytes = b"out") -> Step:
        """Let the handler return a value."""
        live = self.view.lives[an_id(number)]
        self.send(number, Output(Success(value)))
        return self.feed(AttemptEnded(live.id, live.attempt, AttemptTimings()))

    def fail(self, number: int, error: AttemptError | None = None, policy: EffectiveRetryPolicy | None = None) -> Step:
        live = self.view.lives[an_id(number)]
        error = error or AttemptError(500, "broken", "RT0007")
        return self.feed(AttemptFailed(live.id, live.attempt, error, policy or EffectiveRetryPolicy(), 0.0, AttemptTimings()))

    def receive(self, mail: Mail) -> Step:
        return self.feed(MailReceived(mail))

    def pass_time(self, ms: int) -> list[Step]:
        """Let time pass and fire what falls due."""
        self.now_ms += ms
        return [self.feed_timer(timer) for timer in self.view.due(self.now_ms)]

    def feed_timer(self, timer: Any) -> Step:
        event = TimerFired(timer)
        self._look_up(event)
        return self.feed(event)

    def status(self, number: int = 1) -> Status | None:
        live = self.view.lives.get(an_id(number))
        if live is None or live.is_removed:
            return Status.COMPLETED if self.keys.invocation(an_id(number)) in self.rows else None
        return live.record.status

    def journal(self, number: int = 1) -> list[Entry]:
        """The journal as it is in the store."""
        prefix = self.keys.journal(an_id(number))
        return [decode_entry(value[1:]).entry for key, value in sorted(self.rows.items()) if key.startswith(prefix)]

    def state(self, service: str = "Svc", key: str = "k") -> dict[bytes, bytes]:
        """The state of an object as it is in the store."""
        prefix = self.keys.state_of(service, key)
        return {unpack(row)[-1]: value[1:] for row, value in self.rows.items() if row.startswith(prefix)}  # type: ignore[misc]

    def counts(self) -> dict[str, int]:
        """Invocations by status, as the counters tell."""
        return {str(unpack(key)[-1]): value for key, value in self.view.counts.items() if value}

    def _look_up(self, event: Event) -> None:
        for wanted in self.machine.lookups_of(event):
            row = self.rows.get(self.keys.invocation(wanted))
            if row is not None:
                self.view.found[wanted] = decode_record(row[1:])
        for wanted in self.machine.journals_of(event):
            self.view.journals[wanted] = self.journal(wanted[-1])
        for service, key in self.machine.states_of(event):
            self.view.states[service, key] = CachedState(self.state(service, key), {})

    def _commit(self, step: Step) -> None:
        for live in step.dirty.values():
            seal(self.view, live, step)
        seal_counts({0: self.view}, step)
        for prefix in step.cleared:
            for key in [key for key in self.rows if key.startswith(prefix)]:
                del self.rows[key]
        wide = {key: None if value is None else b"\x00" + value for key, value in step.wide.items()}
        for key, value in {**step.writes, **wide}.items():
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value
        for live in step.dirty.values():
            live.durable_length = live.record.journal_length
            live.pending_writes -= 1
            if live.has_ended:
                self.view.forget(live)
        self.view.found.clear()
        self.view.journals.clear()


def a_call(callee: InvocationId, command: Call | Any, target: Target | None = None) -> CallResolved:
    """A call as the shell resolves it."""
    resolved = msgspec.structs.replace(command, callee_id=bytes(callee), completion_retention_ms=DAY_MS, journal_retention_ms=DAY_MS)
    return CallResolved(resolved, target or a_target(), Source("service"))


def replies(step: Step) -> list[OwnerReply]:
    return [effect.reply for effect in step.after_commit if isinstance(effect, Reply)]


def started(step: Step) -> list[InvocationId]:
    return [effect.invocation_id for effect in step.after_commit if isinstance(effect, StartAttempt)]


def effects(step: Step, kind: type) -> list[Any]:
    return [effect for effect in step.after_commit if isinstance(effect, kind)]
