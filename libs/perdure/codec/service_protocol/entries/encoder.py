"""What the server sends during an attempt whose journal is a list of entries.

That is the start, entries with their results, completions and acknowledgements.

Source: shared/spec/service-protocol.md, section 8.
"""

from collections.abc import Sequence
from typing import Final

from perdure.base.errors import LocalProtocolError
from perdure.base.ids import AWAKEABLE_OFFSET, CANCEL_SIGNAL, InvocationId
from perdure.codec.service_protocol.entries.dialect import Dialect, Start
from perdure.codec.service_protocol.entries.kept import kept
from perdure.codec.service_protocol.entries.ledger import CASCADE_NAME, Ledger, Mark, completion_id_of, index_of, mark_of
from perdure.codec.service_protocol.entries.types import encode_entry_frame
from perdure.codec.service_protocol.entries.waits import Waits
from perdure.model.journal import Command, Completion, CompletionType, Entry, Notification, Run, SendSignal, Signal
from perdure.model.result import Failure, InvocationIdResult, Outcome, Result, Success, Void

CANCELED: Final = Failure(409, "canceled")
_Answers = list[tuple[int, Result]]


class EntryEncoder:
    """Turn what one attempt is told into frames.

    An entry carries its result, which comes later in the journal: so `start` and `entry` return nothing until the last known entry is
    there, and then everything.

    Args:
        dialect: The protocol of the attempt.
        ledger: Shared with the decoder of the attempt.
    """

    def __init__(self, dialect: Dialect, ledger: Ledger) -> None:
        self.content_type = dialect.content_type
        self._dialect = dialect
        self._ledger = ledger
        self._start: Start
        self._known: list[Entry] = []
        self._known_entries = 0
        self._waits = Waits(keeps_cancellation=dialect.keeps_cancellation)
        self._early: dict[int, Outcome] = {}
        """Results of awakeables whose entry is still on its way."""

    def start(
        self,
        *,
        invocation_id: InvocationId,
        debug_id: str,
        known_entries: int,
        state: Sequence[tuple[bytes, bytes]] = (),
        is_state_partial: bool = True,
        key: str = "",
        retry_count: int = 0,
        since_last_entry_ms: int = 0,
        random_seed: int = 0,
        idempotency_key: str | None = None,
    ) -> bytes:
        """Take the start of an attempt, which leaves with the last of `known_entries` entries of the journal.

        Later protocols tell `random_seed` and `idempotency_key`, these do not.
        """
        assert known_entries > 0, "a journal begins with the input"
        self._start = Start(
            invocation_id=invocation_id,
            debug_id=debug_id,
            state=list(state),
            is_state_partial=is_state_partial,
            key=key,
            retry_count=retry_count,
            since_last_entry_ms=since_last_entry_ms,
        )
        self._known_entries = known_entries
        return b""

    def entry(self, entry: Entry) -> bytes:
        """Take an entry of the journal; with the last known one, return the frames of start and replay."""
        self._known.append(entry)
        if len(self._known) < self._known_entries:
            return b""
        known, self._known = self._known, []
        return self._replay(known)

    def notification(self, notification: Notification) -> bytes:
        """Return the frames of what a notification means to the deployment, which may be none."""
        if isinstance(notification, Completion) and notification.completion_type is CompletionType.RUN:
            return self._run_journaled(notification)
        return self._completions(self._answers(notification))

    def command_ack(self, index: int) -> bytes:
        """Note that the command with this index among commands is durable; return what the deployment is told of it."""
        entry_index = self._ledger.entry_of(index)
        frames = self._completions(self._durable(entry_index)) if entry_index in self._ledger.waiters else b""
        return frames + self._ack(entry_index)

    def proposal_ack(self, completion_id: int) -> bytes:
        """Raise `LocalProtocolError`: only V7 has it."""
        raise LocalProtocolError(f"acknowledgement of proposal {completion_id} before V7")

    def _ack(self, index: int) -> bytes:
        wanted = self._ledger.acks_wanted
        if index not in wanted:
            return b""
        wanted.remove(index)
        return self._dialect.encode_ack(index)

    def _run_journaled(self, completion: Completion) -> bytes:
        index = index_of(completion.completion_id)
        frames = self._ack(index)
        if mark_of(completion.completion_id) == Mark.KEPT:
            answer = self._answer_of_kept(completion.result)
            frames += b"" if answer is None else self._completions([(index, answer)])
        return frames

    def _answer_of_kept(self, result: Result) -> Result | None:
        """Return the answer to a kept entry that asks for one."""
        assert isinstance(result, Success)
        call_index = self._dialect.call_asked_for(*kept(result.value))
        if call_index is None:
            return None
        callee = self._ledger.callees.get(call_index)
        return Failure(400, f"entry {call_index} is no call") if callee is None else InvocationIdResult(callee)

    # Replay and what comes after it follow one set of rules: these.

    def _durable(self, index: int) -> _Answers:
        """Note an entry that can be cancelled; return its answer, if there is one already."""
        early = self._early.pop(index, None)
        if early is not None and self._waits.answer(index):
            return [(index, early)]
        return [(index, self._cancel(index))] if self._waits.add(index) else []

    def _answers(self, notification: Notification) -> _Answers:
        """Return which entries a notification answers, and with what."""
        if isinstance(notification, Signal):
            return self._signal_answers(notification)
        index, result = index_of(notification.completion_id), notification.result
        if notification.completion_type is CompletionType.CALL_INVOCATION_ID:
            assert isinstance(result, InvocationIdResult)
            self._ledger.callees[index] = result.invocation_id
            return []
        return [(index, result)] if self._waits.answer(index) else []

    def _signal_answers(self, signal: Signal) -> _Answers:
        ledger, number = self._ledger, signal.signal_index
        if number == CANCEL_SIGNAL:
            ledger.is_cancelled = True
            return self._cancel_all()
        if number is None or number < AWAKEABLE_OFFSET:
            return []
        index = number - AWAKEABLE_OFFSET
        result = Success(b"") if isinstance(signal.result, Void) else signal.result
        if index in ledger.awakeables:
            return [(index, result)] if self._waits.answer(index) else []
        if index >= ledger.entry_count:
            self._early.setdefault(index, result)
        return []

    def _cancel_all(self) -> _Answers:
        if self._dialect.cancels_calls:
            return [(index, self._cancel(index)) for index in self._waits.cancel()]
        callees = self._ledger.callees
        self._ledger.to_cancel += [callees[index] for index in self._waits if index in callees]
        return [(index, self._cancel(index)) for index in self._waits.cancel(spared=callees)]

    def _cancel(self, index: int) -> Failure:
        ledger = self._ledger
        ledger.cancelled.add(index)
        callee = ledger.callees.get(index)
        if callee is not None:
            ledger.to_cancel.append(callee)
        return CANCELED

    # Replay.

    def _replay(self, known: list[Entry]) -> bytes:
        whole_runs = _whole_runs(known)
        entries: list[Command] = []
        results: dict[int, Result] = {}
        for position, entry in enumerate(known):
            if isinstance(entry, Signal):
                results.update(self._signal_answers(entry))
            elif not isinstance(entry, Completion):
                if self._is_entry(entry, is_whole=position in whole_runs):
                    results.update(self._replay_command(entry))
                    entries.append(entry)
            elif entry.completion_type is CompletionType.RUN:
                results[index_of(entry.completion_id)] = entry.result
            else:
                results.update(self._answers(entry))
        frames = [self._dialect.encode_start(self._start, len(entries))]
        frames += [self._encode_entry(entry, results.get(index)) for index, entry in enumerate(entries)]
        return b"".join(frames)

    def _is_entry(self, command: Command, *, is_whole: bool) -> bool:
        """Whether the deployment knows a command as an entry; note it where not."""
        ledger = self._ledger
        if isinstance(command, SendSignal) and command.name == CASCADE_NAME:
            if command.target_invocation_id in ledger.to_cancel:
                ledger.to_cancel.remove(command.target_invocation_id)
        elif not isinstance(command, Run) or mark_of(command.completion_id) == Mark.AWAKEABLE or is_whole:
            return True
        # Else a run was cut off from its proposal, as a restart from a prefix does: the deployment runs it again.
        ledger.skip()
        return False

    def _replay_command(self, command: Command) -> _Answers:
        index = self._ledger.add()
        completion_id = completion_id_of(command)
        if completion_id is None:
            return []
        if mark_of(completion_id) == Mark.AWAKEABLE:
            self._ledger.awakeables.add(index)
        return self._durable(index)

    def _encode_entry(self, command: Command, result: Result | None) -> bytes:
        if isinstance(command, Run):
            return self._encode_run(command, result)
        code, payload, is_completed = self._dialect.encode_command(command)
        if result is not None:
            payload += self._dialect.encode_result(result)
        return encode_entry_frame(code, payload, is_completed=is_completed or result is not None)

    def _encode_run(self, command: Run, result: Result | None) -> bytes:
        dialect, mark = self._dialect, mark_of(command.completion_id)
        if mark == Mark.KEPT:
            assert isinstance(result, Success)
            code, payload = kept(result.value)
            answer = self._answer_of_kept(result)
        elif mark == Mark.AWAKEABLE:
            code, payload = dialect.encode_awakeable(command.name)
            answer = result
        else:
            code, payload = dialect.encode_run(command.name, None if mark == Mark.EMPTY_RUN else result)
            answer = None
        return encode_entry_frame(
            code, payload if answer is None else payload + dialect.encode_result(answer), is_completed=answer is not None
        )

    def _completions(self, answers: _Answers) -> bytes:
        return b"".join(self._dialect.encode_completion(index, result) for index, result in answers)


def _whole_runs(known: list[Entry]) -> set[int]:
    """Return the positions of runs that a proposal follows."""
    begun: dict[int, int] = {}
    whole: set[int] = set()
    for position, entry in enumerate(known):
        if isinstance(entry, Run):
            begun[entry.completion_id] = position
        elif isinstance(entry, Completion) and entry.completion_type is CompletionType.RUN and entry.completion_id in begun:
            whole.add(begun[entry.completion_id])
    return whole
