"""The spans of invocations: one for each and for each command, with ids that every owner finds again."""

from types import SimpleNamespace
from typing import Any

import pytest

from perdure.base.clock import SystemRandom
from perdure.base.ids import CANCEL_SIGNAL
from perdure.base.trace import TraceContext, parse_traceparent
from perdure.bus.messages import Operate
from perdure.model.deployment import Handler, Service
from perdure.model.journal import (
    AttemptError,
    Call,
    CallTarget,
    CompletionType,
    Future,
    OneWayCall,
    Run,
    RunProposal,
    SetState,
    Sleep,
    StoredEntry,
)
from perdure.model.mail import CompletionMail, KillMail, SignalMail
from perdure.model.result import Failure, Success, Void
from perdure.model.target import HandlerType, ServiceType
from perdure.process.spans import Span
from perdure.registry.options import OptionsCache, ServerDefaults
from perdure.registry.schema import schema_of
from services.invoker.calls import CallResolver
from services.invoker.lineage import lineage_of
from services.invoker.loading import decode_entry, decode_record
from services.invoker.machine.events import BuiltInCalled, CallResolved, RequestReceived
from services.invoker.plan import Outcome
from services.invoker.tracing import RETOLD_MS, Tracer
from tests.unit.invoker.builders import INGRESS, Machine, a_target, an_id

TRACE_ID, CALLER_SPAN_ID = 0xA1, 0xB2
SAMPLED = TraceContext(TRACE_ID, CALLER_SPAN_ID, is_sampled=True)
UNSAMPLED = TraceContext(TRACE_ID, CALLER_SPAN_ID, is_sampled=False)


class Stage:
    """A traced machine and all that was told of it."""

    def __init__(self, *, sample_ratio: float = 1.0) -> None:
        self.told: list[Span] = []
        self.machine = Machine()
        self.tracer = self.machine.tracer = Tracer(self, sample_ratio)

    def add(self, span: Span) -> None:
        self.told.append(span)

    def running(self, context: TraceContext | None = SAMPLED, **options: Any) -> None:
        headers = {} if context is None else {"traceparent": context.traceparent, "tracestate": context.state}
        live = self.machine.running(1, **headers, **options)
        self.tracer.begin_attempt(live, epoch=1)

    def span(self, name: str) -> Span:
        (span,) = [span for span in self.told if span.name == name]
        return span

    def names(self) -> list[str]:
        return [span.name for span in self.told]

    def taken_over(self) -> "Stage":
        """What the next owner makes of the store: the same rows, nothing told."""
        heir = Stage()
        heir.machine.rows = dict(self.machine.rows)
        heir.machine.now_ms = self.machine.now_ms
        row = self.machine.rows[self.machine.keys.unfinished(an_id(1))]
        heir.machine.machine.load(an_id(1), decode_record(row[1:]))
        return heir

    def load_journal(self) -> None:
        """Read the journal for an attempt, as the loader does."""
        prefix = self.machine.keys.journal(an_id(1))
        rows = sorted((key, value) for key, value in self.machine.rows.items() if key.startswith(prefix))
        stored: list[StoredEntry] = [decode_entry(value[1:]) for _, value in rows]
        live = self.machine.view.lives[an_id(1)]
        self.machine.machine.journal_loaded(live, [entry.entry for entry in stored])
        self.tracer.journal_loaded(live, stored)


def test_an_invocation_is_one_span_below_its_caller_from_admission_to_result() -> None:
    stage = Stage()
    stage.running(TraceContext(TRACE_ID, CALLER_SPAN_ID, is_sampled=True, state="vendor=1"))
    stage.machine.now_ms += 500
    stage.machine.end(1)
    span = stage.span("invocation Svc/handle")
    assert (span.context.trace_id, span.parent_span_id, span.context.state) == (TRACE_ID, CALLER_SPAN_ID, "vendor=1")
    assert (span.start_ns, span.end_ns, span.error) == (1_000_000_000, 1_500_000_000, None)
    assert span.attributes["restate.invocation.result"] == "success"


def test_a_failed_invocation_says_why() -> None:
    stage = Stage()
    stage.running()
    stage.machine.receive(KillMail(an_id(1)))
    span = stage.span("invocation Svc/handle")
    assert (span.error, span.attributes["restate.invocation.error.code"]) == ("killed", 409)


def test_an_invocation_that_never_ran_is_told_when_it_is_canceled() -> None:
    stage = Stage()
    stage.machine.invoke(1, wants_result=False, execution_at_ms=5_000, traceparent=SAMPLED.traceparent)
    stage.machine.receive(SignalMail(an_id(1), CANCEL_SIGNAL, None, Void()))
    assert stage.span("invocation Svc/handle").error == "canceled"


def test_keys_are_not_in_names() -> None:
    stage = Stage()
    stage.machine.running(1, a_target(HandlerType.EXCLUSIVE, key="secret"), traceparent=SAMPLED.traceparent)
    stage.machine.end(1)
    assert stage.span("invocation Svc/{key}/handle").attributes["restate.invocation.target"] == "Svc/secret/handle"


def test_a_command_lasts_until_its_completion() -> None:
    stage = Stage()
    stage.running()
    stage.machine.send(1, Sleep(3_000, 1, "nap"))
    assert stage.told == []
    stage.machine.pass_time(2_000)
    span = stage.span("sleep")
    assert (span.start_ns, span.end_ns) == (1_000_000_000, 3_000_000_000)
    assert span.attributes["restate.command.name"] == "nap"


def test_a_side_effect_is_named_and_tells_its_failure() -> None:
    stage = Stage()
    stage.running()
    stage.machine.send(1, Run(1, "charge"))
    stage.machine.send(1, RunProposal(1, Failure(500, "declined")))
    assert stage.span("run charge").error == "declined"


def test_commands_without_completion_take_no_time() -> None:
    stage = Stage()
    live = stage.machine.running(1, a_target(HandlerType.EXCLUSIVE), traceparent=SAMPLED.traceparent)
    stage.tracer.begin_attempt(live, epoch=1)
    stage.machine.send(1, SetState(b"name", b"value"))
    span = stage.span("set-state")
    assert span.start_ns == span.end_ns
    assert span.attributes["restate.command.index"] == 1


def test_commands_that_nobody_waited_for_end_with_their_invocation() -> None:
    stage = Stage()
    stage.running()
    stage.machine.send(1, Sleep(1_000_000, 1))
    stage.machine.now_ms += 100
    stage.machine.end(1)
    assert stage.span("sleep").end_ns == stage.span("invocation Svc/handle").end_ns


def test_all_spans_of_an_invocation_have_ids_of_their_own_below_the_invocations() -> None:
    stage = Stage()
    stage.running()
    stage.machine.send(1, Run(1), Run(2), Sleep(1_000_000, 3))
    stage.machine.send(1, RunProposal(1, Success(b"")), RunProposal(2, Success(b"")))
    stage.machine.receive(SignalMail(an_id(1), 17, None, Success(b"")))
    stage.machine.receive(SignalMail(an_id(1), 18, None, Success(b"")))
    stage.machine.end(1)
    invocation = stage.told[-1]
    assert stage.names() == ["run", "run", "awakeable", "awakeable", "output", "sleep", "invocation Svc/handle"]
    assert len({span.context.span_id for span in stage.told}) == len(stage.told)
    assert {span.parent_span_id for span in stage.told[:-1]} == {invocation.context.span_id}


def test_another_owner_finds_the_same_ids() -> None:
    stage = Stage()
    stage.running()
    stage.machine.send(1, Sleep(3_000, 1))
    stage.machine.suspend(1, Future((1,)))
    heir = stage.taken_over()
    heir.machine.receive(CompletionMail(an_id(1), CompletionType.SLEEP, 1, Void()))
    heir.load_journal()
    heir.tracer.begin_attempt(heir.machine.view.lives[an_id(1)], epoch=2)
    stage.machine.pass_time(2_000)
    assert heir.span("sleep").context == stage.span("sleep").context
    heir.machine.end(1)
    stage.machine.open(1)
    stage.machine.end(1)
    assert heir.span("invocation Svc/handle").context == stage.span("invocation Svc/handle").context


def test_another_owner_tells_again_only_what_the_last_one_may_not_have_told() -> None:
    stage = Stage()
    stage.running()
    stage.machine.send(1, Run(1, "old"))
    stage.machine.send(1, RunProposal(1, Success(b"")))
    stage.machine.now_ms += RETOLD_MS + 1
    stage.machine.send(1, Run(2, "new"))
    stage.machine.send(1, RunProposal(2, Success(b"")))
    heir = stage.taken_over()
    heir.machine.now_ms += 10 * RETOLD_MS
    heir.load_journal()
    assert heir.told == [stage.span("run new")]


def test_the_same_owner_tells_nothing_twice() -> None:
    stage = Stage()
    stage.running()
    stage.machine.send(1, Run(1, "once"), Sleep(3_000, 2))
    stage.machine.send(1, RunProposal(1, Success(b"")))
    stage.machine.suspend(1, Future((2,)))
    stage.machine.pass_time(2_000)
    stage.load_journal()
    assert stage.names() == ["run once", "sleep"]


def test_attempts_of_different_owners_are_different_spans() -> None:
    lineage = lineage_of(an_id(1), Machine().running(1).record, 1.0)
    assert len({lineage.attempt(1, 1).span_id, lineage.attempt(1, 2).span_id, lineage.attempt(2, 1).span_id}) == 3


def test_an_attempt_tells_where_it_went_and_how_it_ended() -> None:
    stage = Stage()
    live = stage.machine.running(1, traceparent=SAMPLED.traceparent)
    context = stage.tracer.begin_attempt(live, epoch=3)
    deployment = SimpleNamespace(id="dp_1", url="http://endpoint")
    ended: Any = SimpleNamespace(
        live=live,
        plan=SimpleNamespace(deployment=deployment, version=6),
        context=context,
        outcome=Outcome.FAILED,
        error=AttemptError(500, "broken", "RT0007"),
        opened_at_ms=2_000,
        duration_s=0.25,
    )
    stage.tracer.attempt(ended)
    span = stage.span("invocation-attempt Svc/handle")
    assert (span.context, span.error, span.end_ns - span.start_ns) == (context, "broken", 250_000_000)
    assert span.attributes["restate.deployment.id"] == "dp_1"
    assert span.attributes["restate.attempt.outcome"] == "failed"


@pytest.mark.parametrize(("context", "ratio"), [(UNSAMPLED, 1.0), (None, 0.0)])
def test_what_is_not_sampled_is_not_told(context: TraceContext | None, ratio: float) -> None:
    stage = Stage(sample_ratio=ratio)
    stage.running(context)
    stage.machine.send(1, Run(1))
    stage.machine.end(1)
    assert stage.told == []


def test_what_nobody_traced_begins_a_trace_with_its_own_id() -> None:
    stage = Stage()
    stage.running(None)
    stage.machine.end(1)
    span = stage.span("invocation Svc/handle")
    assert (span.context.trace_id, span.parent_span_id) == (1, 0)


def test_an_id_that_comes_again_is_another_span() -> None:
    record = Machine().running(1).record
    first = lineage_of(an_id(1), record, 1.0)
    record.created_at_ms += 1
    assert lineage_of(an_id(1), record, 1.0).context.span_id != first.context.span_id


def a_resolver(tracer: Tracer | None) -> CallResolver:
    clock: Any = SimpleNamespace(now_ms=lambda: 1_000)
    return CallResolver(OptionsCache(ServerDefaults()), clock, SystemRandom(), tracer)


def resolved(stage: Stage, command: Call | OneWayCall, tracer: Tracer | None) -> CallResolved:
    handlers = {"handle": Handler("handle", HandlerType.PLAIN)}
    schema = schema_of(1, [], [Service("Svc", ServiceType.SERVICE, 1, "dp_1", handlers)])
    live = stage.machine.view.lives[an_id(1)]
    result = a_resolver(tracer).resolve(schema, live, command, wants_ack=False, command_index=1)
    assert isinstance(result, CallResolved)
    return result


CALL = Call(CallTarget("Svc", "handle", ""), b"", (), 2, 1)
SEND = OneWayCall(CallTarget("Svc", "handle", ""), b"", (), 0, 1)


def test_a_callee_is_below_the_call() -> None:
    stage = Stage()
    stage.running()
    call = resolved(stage, CALL, stage.tracer)
    stage.machine.send(1, call)
    callee = next(live for live in stage.machine.view.lives.values() if live.id != an_id(1))
    stage.machine.receive(CompletionMail(an_id(1), CompletionType.CALL, 1, Success(b"")))
    span = stage.span("call Svc/handle")
    lineage = lineage_of(callee.id, callee.record, 1.0)
    assert (lineage.context.trace_id, lineage.parent_span_id, lineage.link) == (TRACE_ID, span.context.span_id, None)


def test_what_is_sent_begins_a_trace_that_is_linked_to_the_sender() -> None:
    stage = Stage()
    stage.running()
    stage.machine.send(1, resolved(stage, SEND, stage.tracer))
    callee = next(live for live in stage.machine.view.lives.values() if live.id != an_id(1))
    lineage = lineage_of(callee.id, callee.record, 0.0)
    assert lineage.link == stage.span("send Svc/handle").context
    assert lineage.context.trace_id == int.from_bytes(callee.id[8:], "big")
    assert lineage.context.is_sampled


def test_what_is_restarted_begins_a_trace_that_is_linked_to_the_first_ones_caller() -> None:
    stage = Stage()
    stage.running()
    stage.machine.end(1)
    operate = Operate(9, an_id(1), "restart_as_new")
    stage.machine.feed(RequestReceived(INGRESS, operate, new_uuid=(7).to_bytes(16, "big")))
    (restarted,) = stage.machine.view.lives.values()
    lineage = lineage_of(restarted.id, restarted.record, 0.0)
    assert (lineage.context.trace_id, lineage.parent_span_id, lineage.link) == (7, 0, SAMPLED)
    assert lineage.context.is_sampled


def test_without_tracing_callees_get_the_context_of_the_caller_as_it_came() -> None:
    stage = Stage()
    stage.running()
    for command in (CALL, SEND):
        call = resolved(stage, command, None)
        assert call.traceparent is not None
        assert parse_traceparent(call.traceparent) == SAMPLED
        assert not call.starts_trace


def test_a_call_without_callee_is_told_without_one() -> None:
    stage = Stage()
    stage.running()
    stage.machine.send(1, BuiltInCalled(CALL, None, Success(b"")))
    assert "restate.callee.invocation.id" not in stage.span("call Svc/handle").attributes


def test_a_completion_of_no_command_is_not_told() -> None:
    stage = Stage()
    stage.running()
    stage.machine.receive(CompletionMail(an_id(1), CompletionType.CALL, 9, Success(b"")))
    assert stage.told == []
