"""Notifications from outside the running attempt: completions, signals, timers.

Source: shared/spec/lifecycle.md, 3.3 and 5.2; shared/spec/service-protocol.md, 5.7.
"""

from perdure.base.ids import CANCEL_SIGNAL
from perdure.bus.messages import Accepted, SendSignalTo
from perdure.model.invocation import Status
from perdure.model.journal import Completion, CompletionType, Notification, Signal
from perdure.model.mail import CompletionMail, SignalMail
from perdure.model.result import Void
from perdure.model.timer import Timer, TimerKind
from services.invoker.machine import futures
from services.invoker.machine.lifecycle.admit import run_or_queue
from services.invoker.machine.lifecycle.cancel import cancel
from services.invoker.machine.lifecycle.purge import expire, expire_journal
from services.invoker.machine.turn import Turn
from services.invoker.machine.view import Live

_NOT_STARTED = (Status.SCHEDULED, Status.INBOXED)


def completion_arrived(turn: Turn, mail: CompletionMail) -> None:
    """Journal the answer to a command; one for an invocation that has ended is dropped."""
    live = turn.view.lives.get(mail.invocation_id)
    if live is not None and not live.has_ended and live.record.status not in _NOT_STARTED:
        deliver(turn, live, Completion(mail.completion_type, mail.completion_id, mail.result))


def signal_arrived(turn: Turn, mail: SignalMail) -> None:
    """Journal a signal of another invocation."""
    live = turn.view.lives.get(mail.invocation_id)
    if live is None or live.has_ended:
        return
    if mail.signal_index == CANCEL_SIGNAL:
        cancel(turn, live)
    elif live.record.status not in _NOT_STARTED:
        deliver(turn, live, Signal(mail.signal_index, mail.signal_name, mail.result))


def signal_requested(turn: Turn, reply_subject: str, request: SendSignalTo) -> None:
    """Journal a signal that came through an ingress; it is accepted whether or not somebody takes it."""
    signal_arrived(turn, SignalMail(request.invocation_id, request.signal_index, request.signal_name, request.result))
    turn.reply(reply_subject, Accepted(request.request_id))


def timer_fired(turn: Turn, timer: Timer) -> None:
    """Clear the timer and do what it was for."""
    turn.disarm(timer.at_ms, timer.invocation_id, timer.number)
    turn.step.fired.append((turn.view.number, timer))
    if timer.kind is TimerKind.EXPIRE:
        expire(turn, timer.invocation_id)
        return
    if timer.kind is TimerKind.EXPIRE_JOURNAL:
        expire_journal(turn, timer.invocation_id)
        return
    live = turn.view.lives.get(timer.invocation_id)
    if live is None or live.has_ended:
        return
    if timer.kind is TimerKind.START:
        if live.record.status is Status.SCHEDULED:
            run_or_queue(turn, live)
    else:
        deliver(turn, live, Completion(CompletionType.SLEEP, timer.number, Void()))


def deliver(turn: Turn, live: Live, notification: Notification) -> None:
    """Journal a notification; forward it to a running attempt, or wake a suspended invocation that awaits it."""
    turn.notify(live, notification)
    if live.record.status is not Status.SUSPENDED:
        return
    awaiting = live.record.awaiting
    assert awaiting is not None, "a suspended invocation awaits something"
    leaves = futures.resolved_leaves([notification])
    if futures.resolve(awaiting, leaves) is futures.Resolution.PENDING:
        live.record.awaiting = futures.shrink(awaiting, leaves)
    else:
        turn.start_attempt(live)
