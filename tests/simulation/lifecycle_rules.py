"""Rules for what operators do, for promises, for results that travel, for retention and for changes of state from outside.

They look at whole commits, after `History` has taken in their rows, and at what clients were told.
"""

from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec

from perdure.base.ids import CANCEL_SIGNAL, InvocationId, format_invocation_id, idempotent_invocation_id
from perdure.model.invocation import InvocationRecord, Status
from perdure.model.journal import (
    AttachInvocation,
    Call,
    Combinator,
    Completion,
    CompletionType,
    Entry,
    Future,
    GetInvocationOutput,
    GetPromise,
    IdempotentTarget,
    Input,
    SetState,
    Signal,
)
from perdure.model.promise import PromiseRecord
from perdure.model.result import Failure, Outcome, Result, Void
from perdure.model.state import StateMutation
from services.invoker.machine.lifecycle.mutate import version_of

KILLED: Final = Failure(409, "killed")
ENDED_UNSTARTED: Final = (Failure(409, "canceled"), KILLED)
ALREADY_INVOKED: Final = "the workflow method was already invoked"
NOT_FOUND: Final = Failure(404, "not found")
_EXPIRE_INDEX: Final = 1 << 40
_decode_promise: Final = msgspec.msgpack.Decoder(PromiseRecord).decode
_TRAVELLING: Final = {CompletionType.CALL, CompletionType.ATTACH_INVOCATION, CompletionType.GET_INVOCATION_OUTPUT}


class Rows(Protocol):
    """What the history knows after a commit."""

    journals: dict[InvocationId, Any]
    unfinished: dict[InvocationId, InvocationRecord]
    completed: dict[InvocationId, InvocationRecord]
    timers: set[tuple[Any, ...]]

    def violate(self, what: str) -> None: ...


class LifecycleRules:
    """Judge commits and what clients were told of their operations."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._asked: dict[InvocationId, set[str]] = {}
        self._inputs: dict[InvocationId, Entry] = {}
        self._results: dict[InvocationId, list[Outcome]] = {}
        self._ended: set[InvocationId] = set()
        self._cancelled: set[InvocationId] = set()
        self._paused: set[InvocationId] = set()
        self._restarted: set[InvocationId] = set()
        self._status: dict[InvocationId, Status] = {}
        self._promises: dict[tuple[str, str, str], PromiseRecord] = {}
        self._mutations: dict[tuple[str, str], list[StateMutation]] = {}
        self._versions: set[str] = {version_of({})}
        self.expired: set[InvocationId] = set()
        """Completions that were removed when their retention ended, or by hand."""
        self.on_expired: Callable[[InvocationId], None] = lambda _: None

    # What clients do.

    def ask(self, invocation: InvocationId, action: str) -> None:
        """Note that an operator is about to ask for something."""
        self._asked.setdefault(invocation, set()).add(action)

    def on_operated(self, invocation: InvocationId, action: str, outcome: str) -> None:
        """Check that what an operator was told is durable."""
        rows = self._rows
        if action == "cancel" and outcome == "appended":
            is_so = invocation in self._cancelled
        elif action in {"cancel", "kill"} and outcome == "done":
            is_so = invocation in self._ended
        elif action == "pause" and outcome == "done":
            is_so = invocation in self._paused
        elif action == "restart_as_new" and outcome == "done":
            is_so = invocation in self._restarted
        elif action == "purge" and outcome == "done":
            is_so = invocation not in rows.completed and invocation not in rows.journals
        elif action == "purge_journal" and outcome == "done":
            is_so = invocation not in rows.journals
        else:
            return
        if not is_so:
            rows.violate(f"an operator was told that {action} of {format_invocation_id(invocation)} is {outcome}, and it is not")

    def ask_mutation(self, service: str, key: str, mutation: StateMutation) -> None:
        """Note a change of state that somebody is about to ask for. Objects that are changed so have one name of state."""
        self._mutations.setdefault((service, key), []).append(mutation)
        self._versions.add(version_of(dict(mutation.entries)))

    # Commits.

    def on_entry(self, invocation: InvocationId, entry: Entry) -> None:
        """Take in an entry."""
        if isinstance(entry, Input):
            self._inputs[invocation] = entry
        elif isinstance(entry, Signal) and entry.signal_index == CANCEL_SIGNAL:
            self._cancelled.add(invocation)
        elif isinstance(entry, SetState):
            self._versions.add(version_of({entry.key: entry.value}))

    def on_promise(self, service: str, key: str, name: str, raw: bytes | None) -> None:
        """Check that a promise is completed once."""
        if raw is None:
            self._promises.pop((service, key, name), None)
            return
        promise = _decode_promise(raw)
        before = self._promises.get((service, key, name))
        if before is not None and before.result is not None and promise.result != before.result:
            self._rows.violate(f"the promise {service}/{key}/{name} changed from {before.result} to {promise.result}")
        self._promises[service, key, name] = promise

    def on_ended(self, invocation: InvocationId) -> None:
        """Take in that an invocation is no longer among the unfinished ones."""
        self._ended.add(invocation)
        self._status.pop(invocation, None)

    def on_completed(self, invocation: InvocationId, record: InvocationRecord) -> None:
        """Take in the result of an invocation."""
        assert record.result is not None
        self._results.setdefault(invocation, []).append(record.result)

    def had_result(self, invocation: InvocationId, outcome: Outcome) -> bool:
        """Whether an invocation that was removed since had that result."""
        return invocation in self.expired and outcome in self._results.get(invocation, ())

    def conclude_commit(
        self,
        journaled: list[tuple[InvocationId, Entry]],
        changed: list[InvocationId],
        retained: list[tuple[InvocationId, InvocationRecord]],
    ) -> None:
        """Check all that a commit did together; `retained` are completions that it wrote or removed, as they were."""
        for invocation, entry in journaled:
            if isinstance(entry, Completion):
                self._check_answer(invocation, entry)
        for invocation in changed:
            record = self._rows.unfinished.get(invocation)
            if record is not None:
                self._check_record(invocation, record)
        for invocation, record in retained:
            self._check_retention(invocation, record)

    def _check_record(self, invocation: InvocationId, record: InvocationRecord) -> None:
        name = format_invocation_id(invocation)
        before = self._status.get(invocation)
        self._status[invocation] = record.status
        if record.status is Status.PAUSED:
            self._paused.add(invocation)
        may_run = "resume" in self._asked.get(invocation, ()) or invocation in self._cancelled
        if before is Status.PAUSED and record.status is not before and not may_run:
            self._rows.violate(f"{name} was paused and runs, and nobody resumed or cancelled it")
        original = record.source.restarted_from
        if before is None and original is not None:
            self._restarted.add(original)
            if self._inputs.get(invocation) != self._inputs.get(original):
                self._rows.violate(f"{name} was restarted from {format_invocation_id(original)} with another input")
        if record.status is Status.SUSPENDED and _is_resolved(record.awaiting, self._rows.journals[invocation].entries):
            self._rows.violate(f"{name} is suspended on {record.awaiting}, which is there")

    def _check_answer(self, invocation: InvocationId, entry: Completion) -> None:
        journal = self._rows.journals.get(invocation)
        if journal is None:
            return
        command = next((one for one in journal.entries if getattr(one, "completion_id", None) == entry.completion_id), None)
        if isinstance(command, GetPromise):
            record = self._rows.unfinished.get(invocation)
            promise = None if record is None else self._promises.get((record.target.service, record.target.key or "", command.key))
            is_right = promise is None or promise.result == entry.result
        elif entry.completion_type in _TRAVELLING:
            is_right = self._is_result_of(_callee_of(command), entry.result)
        else:
            return
        if not is_right:
            self._rows.violate(f"{format_invocation_id(invocation)} was told {entry.result} for {command}, and it is not so")

    def _is_result_of(self, callee: InvocationId | None, result: Result) -> bool:
        if callee is None or result in self._results.get(callee, ()):
            return True
        if isinstance(result, Failure) and (result in (*ENDED_UNSTARTED, NOT_FOUND) or result.message == ALREADY_INVOKED):
            return True
        return isinstance(result, Void)

    def _check_retention(self, invocation: InvocationId, record: InvocationRecord) -> None:
        assert record.completed_at_ms is not None
        timer = (record.completed_at_ms + record.completion_retention_ms, invocation, _EXPIRE_INDEX)
        if invocation in self._rows.completed:
            if timer not in self._rows.timers:
                self._rows.violate(f"nothing will end the retention of {format_invocation_id(invocation)} when it is over")
        elif timer in self._rows.timers and "purge" not in self._asked.get(invocation, ()):
            self._rows.violate(f"{format_invocation_id(invocation)} was removed before its retention ended, and nobody purged it")
        else:
            self.expired.add(invocation)
            self.on_expired(invocation)

    # State.

    def explains_state(self, service: str, key: str, name: bytes, value: bytes | None) -> bool:
        """Whether somebody asked for this, of a version that the object had at some time."""
        for mutation in self._mutations.get((service, key), ()):
            entries = dict(mutation.entries)
            if entries.get(name) == value and (mutation.version is None or mutation.version in self._versions):
                return True
        return False

    # At the end.

    def conclude(self) -> None:
        """Check what must be so once all is at rest."""
        for invocation in self._rows.journals:
            if invocation not in self._rows.completed and invocation not in self._rows.unfinished:
                self._rows.violate(f"the journal of {format_invocation_id(invocation)} was left behind")


def _callee_of(command: Entry | None) -> InvocationId | None:
    if isinstance(command, Call):
        return InvocationId(command.callee_id)
    if isinstance(command, AttachInvocation | GetInvocationOutput) and isinstance(command.target, IdempotentTarget):
        target = command.target
        return idempotent_invocation_id(target.service, target.key, target.handler, target.idempotency_key)
    return None


def _is_resolved(future: Future | None, entries: list[Entry]) -> bool:
    """Whether what a suspended invocation awaits is in its journal; failures are not told from successes."""
    if future is None:
        return True
    completions = {entry.completion_id for entry in entries if isinstance(entry, Completion)}
    signals = {entry.signal_index for entry in entries if isinstance(entry, Signal)}
    return _resolves(future, completions, signals)


def _resolves(future: Future, completions: set[int], signals: set[int | None]) -> bool:
    children = [number in completions for number in future.completion_ids] + [index in signals for index in future.signal_indexes]
    children += [_resolves(nested, completions, signals) for nested in future.nested]
    wants_all = future.combinator in {Combinator.ALL_COMPLETED, Combinator.ALL_SUCCEEDED_OR_FIRST_FAILED}
    return all(children) if wants_all else any(children)
