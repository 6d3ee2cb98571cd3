"""What operators do to an invocation: cancel, kill, pause, resume, purge, restart as new.

Source: shared/spec/lifecycle.md, 3.3 and 5.6 to 5.10. Refusals are outcomes with a name; admin makes the answers.
"""

from collections.abc import Callable
from typing import Final

from perdure.base.ids import InvocationId
from perdure.bus.messages import Operate, Operated
from perdure.model.invocation import InvocationRecord, Pin, Source, Status
from perdure.model.journal import Call, Command, Completion, Entry, OneWayCall, Signal
from perdure.model.mail import KillMail
from perdure.model.result import Failure
from perdure.model.target import HandlerType
from services.invoker.machine.lifecycle.admit import run_or_queue
from services.invoker.machine.lifecycle.attempt import pause
from services.invoker.machine.lifecycle.cancel import cancel, end_unstarted
from services.invoker.machine.lifecycle.complete import complete
from services.invoker.machine.lifecycle.output import find
from services.invoker.machine.lifecycle.purge import purge, purge_journal
from services.invoker.machine.step import SuspendAttempt
from services.invoker.machine.turn import Turn
from services.invoker.machine.view import Live

KILLED = Failure(409, "killed")
DONE: Final = "done"
_NOT_STARTED = (Status.SCHEDULED, Status.INBOXED)
_PREFIX_VERSION_MIN: Final = 6


def operate(turn: Turn, reply_subject: str, request: Operate, new_uuid: bytes) -> None:
    """Carry out an operation and tell how it went."""
    existing = find(turn, request.invocation_id)
    if existing is None:
        turn.reply(reply_subject, Operated(request.request_id, "not_found"))
        return
    record = existing.record if isinstance(existing, Live) else existing
    if request.action == "restart_as_new":
        outcome, new_id = _restart_as_new(turn, request, record, new_uuid)
        turn.reply(reply_subject, Operated(request.request_id, outcome, new_id))
    else:
        turn.reply(reply_subject, Operated(request.request_id, act(turn, existing, request)))


def act(turn: Turn, existing: Live | InvocationRecord, request: Operate) -> str:
    """Carry out any action that makes no new invocation; return its outcome."""
    record = existing.record if isinstance(existing, Live) else existing
    if request.action in PURGE_ACTIONS:
        return _purge(turn, request, existing, record)
    if record.status is Status.COMPLETED or not isinstance(existing, Live):
        return "already_completed"
    return LIVE_ACTIONS[request.action](turn, existing, request)


def kill_child(turn: Turn, mail: KillMail) -> None:
    """Kill an invocation because its caller was killed."""
    live = turn.view.lives.get(mail.invocation_id)
    if live is not None and not live.has_ended:
        kill(turn, live)


def kill(turn: Turn, live: Live) -> str:
    """End an invocation at once, and everything that it called; no code of the user runs."""
    if live.record.status in _NOT_STARTED:
        end_unstarted(turn, live, KILLED)
        return DONE
    journal = live.journal if live.journal is not None else turn.view.journals.get(live.id, [])
    for entry in journal:
        if isinstance(entry, Call | OneWayCall) and entry.callee_id:
            callee_id = InvocationId(entry.callee_id)
            turn.send(callee_id, KillMail(callee_id))
    turn.stop_attempt(live)
    complete(turn, live, KILLED)
    return DONE


def _cancel(turn: Turn, live: Live, _request: Operate) -> str:
    return cancel(turn, live)


def _kill(turn: Turn, live: Live, _request: Operate) -> str:
    return kill(turn, live)


def _pause(turn: Turn, live: Live, _request: Operate) -> str:
    status = live.record.status
    if status in _NOT_STARTED:
        return "not_running"
    if status is not Status.INVOKED:
        return "already_paused"
    if live.next_retry_at_ms is not None:
        turn.stop_attempt(live)
        pause(turn, live, live.last_failure)
        return DONE
    live.pause_requested = True
    turn.step.touched.add(turn.view.number)
    turn.step.after_commit.append(SuspendAttempt(live.id, live.attempt))
    return "appended"


def _resume(turn: Turn, live: Live, request: Operate) -> str:
    status = live.record.status
    if status in _NOT_STARTED:
        return "not_started"
    if status is Status.INVOKED:
        if request.deployment not in {None, "keep"}:
            return "cannot_change_deployment"
        if live.next_retry_at_ms is not None:
            turn.start_attempt(live)
        return DONE
    if request.deployment not in {None, "keep"} and live.record.pin is not None:
        assert request.deployment is not None
        live.record.pin = Pin(request.deployment, live.record.pin.protocol_version)
    live.failures = 0
    turn.start_attempt(live)
    return DONE


LIVE_ACTIONS: Final[dict[str, Callable[[Turn, Live, Operate], str]]] = {
    "cancel": _cancel,
    "kill": _kill,
    "pause": _pause,
    "resume": _resume,
}


PURGE_ACTIONS: Final = frozenset({"purge", "purge_journal"})


def _purge(turn: Turn, request: Operate, existing: Live | InvocationRecord, record: InvocationRecord) -> str:
    if record.status is not Status.COMPLETED:
        return "not_completed"
    if request.action == "purge":
        purge(turn, request.invocation_id, existing)
    else:
        purge_journal(turn, request.invocation_id, record)
    return DONE


def _restart_as_new(turn: Turn, request: Operate, record: InvocationRecord, new_uuid: bytes) -> tuple[str, InvocationId | None]:
    if record.status in _NOT_STARTED:
        return "not_started", None
    if record.status is not Status.COMPLETED:
        return "still_running", None
    if record.target.handler_type is HandlerType.WORKFLOW:
        return "unsupported", None
    journal = turn.view.journals.get(request.invocation_id, [])
    if not journal:
        return "no_journal", None
    if request.from_entry > 0 and not _keeps_prefixes(record):
        return "unsupported", None
    kept = _prefix(journal, request.from_entry)
    if kept is None:
        return "open_prefix", None
    new_id = InvocationId(request.invocation_id[:8] + new_uuid)
    _create_restarted(turn, request, record, new_id, kept)
    return DONE, new_id


def _keeps_prefixes(record: InvocationRecord) -> bool:
    """Tell whether a journal can go on in another invocation: before version 6, SDKs draw random values from the id."""
    return record.pin is None or record.pin.protocol_version >= _PREFIX_VERSION_MIN


def _create_restarted(turn: Turn, request: Operate, record: InvocationRecord, new_id: InvocationId, kept: list[Entry]) -> None:
    pin = record.pin
    if pin is not None and request.deployment not in {None, "keep"}:
        assert request.deployment is not None
        pin = Pin(request.deployment, pin.protocol_version)
    restarted = InvocationRecord(
        target=record.target,
        status=Status.INVOKED,
        created_at_ms=turn.now_ms,
        modified_at_ms=turn.now_ms,
        source=Source(kind="restart_as_new", restarted_from=request.invocation_id),
        completion_retention_ms=record.completion_retention_ms,
        journal_retention_ms=record.journal_retention_ms,
        pin=pin,
        command_count=sum(1 for entry in kept if not isinstance(entry, Completion | Signal)),
        traceparent=record.traceparent,
        tracestate=record.tracestate,
        starts_trace=True,
    )
    run_or_queue(turn, turn.create(new_id, restarted, kept))


def _prefix(journal: list[Entry], from_entry: int) -> list[Entry] | None:
    """Return entries 0 to `from_entry` and the later completions of their commands; None where one is missing."""
    if from_entry >= len(journal):
        return None
    prefix = journal[: from_entry + 1]
    wanted = {number for entry in prefix for number in completion_ids(entry)}
    there = {entry.completion_id for entry in prefix if isinstance(entry, Completion)}
    later = [entry for entry in journal[from_entry + 1 :] if isinstance(entry, Completion) and entry.completion_id in wanted - there]
    if wanted - there - {entry.completion_id for entry in later}:
        return None
    return prefix + list[Entry](later)


def completion_ids(entry: Entry | Command) -> list[int]:
    """Return the completion ids that a command announces."""
    if isinstance(entry, Completion | Signal):
        return []
    numbers = [getattr(entry, "completion_id", None), getattr(entry, "invocation_id_completion_id", None)]
    return [number for number in numbers if number is not None]
