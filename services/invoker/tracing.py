"""Tells of invocations, attempts and commands, from what has committed: one span each, however many owners had a part in it.

Source: docs/guides/tracing.md; shared/spec/service-protocol.md, 2.1.
"""

from typing import Final, NamedTuple, Protocol

from perdure.base.trace import TraceContext
from perdure.model.journal import AttemptError, Command, Completion, CompletionType, Input, Signal, StoredEntry
from perdure.model.result import Failure, Result, Success
from perdure.process.spans import Attributes, Span, SpanKind, Spans, attributes_of, short_name
from services.invoker.lineage import Lineage, lineage_of
from services.invoker.machine.step import Traced
from services.invoker.machine.view import Live
from services.invoker.plan import Outcome, Plan
from services.invoker.spans import attributes_of_command, completion_id_of, error_of, name_of, name_of_signal

RETOLD_MS: Final = 10_000
"""An owner tells again of the end of the journal that it finds, so much of it: the one before may have died with that untold."""

_NS: Final = 1_000_000


class _Draft(NamedTuple):
    """A span that lacks its end; payloads need not stay in memory for that."""

    context: TraceContext
    name: str
    attributes: Attributes
    since_ms: int


class _Course:
    """What is known of an unfinished invocation: commands without completion, and completions that came before their command."""

    __slots__ = ("attributes", "completions", "first_entry", "has_begun", "lineage", "name", "waiting")

    def __init__(self, live: Live, lineage: Lineage) -> None:
        self.lineage = lineage
        self.name = short_name(live.record.target)
        self.attributes = attributes_of(live.id, live.record.target) if lineage.context.is_sampled else {}
        """What all spans of the invocation say."""
        self.waiting: dict[int, _Draft] = {}
        self.completions: dict[int, tuple[int, Result]] = {}
        """Completion id -> time and result."""
        self.first_entry: int | None = None
        """Where the part of the journal begins that was written here."""
        self.has_begun = False
        """An attempt was opened here, so all commands are known."""


class EndedAttempt(Protocol):
    """What is told of an attempt that is over."""

    live: Live
    plan: Plan
    context: TraceContext | None
    outcome: Outcome
    error: AttemptError | None
    opened_at_ms: int

    @property
    def duration_s(self) -> float: ...


class Tracer:
    """Makes the spans of one invoker."""

    def __init__(self, spans: Spans, sample_ratio: float) -> None:
        self._spans = spans
        self._sample_ratio = sample_ratio

    # What goes into requests and calls.

    def begin_attempt(self, live: Live, epoch: int) -> TraceContext:
        """Return the context of an attempt that is about to open."""
        course = self._course(live)
        course.has_begun = True
        course.completions.clear()
        return course.lineage.attempt(epoch, live.attempt)

    def command(self, live: Live, index: int) -> TraceContext:
        """Return the context of a command that is about to be journaled."""
        return self._course(live).lineage.command(index)

    # What is told.

    def attempt(self, ended: EndedAttempt) -> None:
        """Tell of an attempt that is over."""
        context, deployment = ended.context, ended.plan.deployment
        if context is None or not context.is_sampled:
            return
        course = self._course(ended.live)
        attributes: Attributes = {
            "restate.deployment.id": deployment.id,
            "restate.deployment.address": deployment.url,
            "restate.deployment.service_protocol_version": ended.plan.version,
            "restate.attempt.outcome": str(ended.outcome),
        }
        start_ns = ended.opened_at_ms * _NS
        self._spans.add(
            Span(
                name=f"invocation-attempt {course.name}",
                context=context,
                parent_span_id=course.lineage.context.span_id,
                start_ns=start_ns,
                end_ns=start_ns + round(ended.duration_s * 1e9),
                attributes=course.attributes | attributes,
                kind=SpanKind.CLIENT,
                error=None if ended.error is None else ended.error.message,
            )
        )

    def committed(self, happened: list[Traced]) -> None:
        """Tell of what a commit made durable."""
        for one in happened:
            course = self._course(one.live)
            if not course.lineage.context.is_sampled:
                continue
            if course.first_entry is None:
                course.first_entry = one.entry_index
            what = one.what
            if isinstance(what, Completion):
                self._complete(course, what, one.at_ms)
            elif isinstance(what, Signal):
                self._signal(course, what, one.entry_index, one.at_ms)
            elif isinstance(what, Success | Failure):
                self._end(one.live, course, what, one.at_ms)
            else:
                self._begin(course, what, one.command_index, one.at_ms)

    def journal_loaded(self, live: Live, entries: list[StoredEntry]) -> None:
        """Take what earlier owners journaled; tell what the last one may not have told."""
        course = self._course(live)
        if course.has_begun or not course.lineage.context.is_sampled:
            return
        found = entries[: course.first_entry]
        retold_from_ms = found[-1].appended_at_ms - RETOLD_MS if found else 0
        command_index = 0
        for entry_index, stored in enumerate(found):
            entry, at_ms = stored.entry, stored.appended_at_ms
            is_recent = at_ms >= retold_from_ms
            if isinstance(entry, Signal):
                if is_recent:
                    self._signal(course, entry, entry_index, at_ms)
            elif isinstance(entry, Completion):
                if is_recent:
                    self._complete(course, entry, at_ms)
                else:
                    course.waiting.pop(entry.completion_id, None)
            else:
                if is_recent or completion_id_of(entry) is not None:
                    self._begin(course, entry, command_index, at_ms)
                command_index += 1

    def _course(self, live: Live) -> _Course:
        course = live.traced
        if not isinstance(course, _Course):
            course = live.traced = _Course(live, lineage_of(live.id, live.record, self._sample_ratio))
        return course

    def _begin(self, course: _Course, command: Command, index: int, at_ms: int) -> None:
        if isinstance(command, Input):
            return
        draft = _Draft(course.lineage.command(index), name_of(command), attributes_of_command(command, index), at_ms)
        completion_id = completion_id_of(command)
        if completion_id is None:
            self._finish(course, draft, at_ms)
        elif completion_id in course.completions:
            until_ms, result = course.completions.pop(completion_id)
            self._finish(course, draft, until_ms, error_of(result))
        else:
            course.waiting[completion_id] = draft

    def _complete(self, course: _Course, completion: Completion, at_ms: int) -> None:
        if completion.completion_type is CompletionType.CALL_INVOCATION_ID:
            return
        draft = course.waiting.pop(completion.completion_id, None)
        if draft is not None:
            self._finish(course, draft, at_ms, error_of(completion.result))
        elif not course.has_begun:
            course.completions[completion.completion_id] = (at_ms, completion.result)

    def _finish(self, course: _Course, draft: _Draft, until_ms: int, error: str | None = None) -> None:
        context, name, attributes, since_ms = draft
        parent_span_id = course.lineage.context.span_id
        self._spans.add(Span(name, context, parent_span_id, since_ms * _NS, until_ms * _NS, course.attributes | attributes, error=error))

    def _signal(self, course: _Course, signal: Signal, entry_index: int, at_ms: int) -> None:
        draft = _Draft(course.lineage.signal(entry_index), name_of_signal(signal), {}, at_ms)
        self._finish(course, draft, at_ms, error_of(signal.result))

    def _end(self, live: Live, course: _Course, result: Success | Failure, at_ms: int) -> None:
        for draft in course.waiting.values():
            self._finish(course, draft, at_ms)
        lineage = course.lineage
        attributes = course.attributes | {"restate.invocation.result": "success" if isinstance(result, Success) else "failure"}
        if isinstance(result, Failure):
            attributes["restate.invocation.error.code"] = result.code
        self._spans.add(
            Span(
                name=f"invocation {course.name}",
                context=lineage.context,
                parent_span_id=lineage.parent_span_id,
                start_ns=live.record.created_at_ms * _NS,
                end_ns=at_ms * _NS,
                attributes=attributes,
                link=lineage.link,
                error=error_of(result),
            )
        )
        live.traced = None
