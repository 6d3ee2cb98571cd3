"""A service endpoint in miniature: handlers as coroutines over a journal, suspension, steps, calls, awakeables.

It speaks the real wire format (versions 5 to 7), and notes which steps it executed, so that a checker can tell whether one ran again
after its result was acknowledged. Source: shared/spec/service-protocol.md, sections 5 and 6.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from google.protobuf.message import Message

from perdure.base.clock import Clock
from perdure.base.ids import CANCEL_SIGNAL, InvocationId
from perdure.codec.service_protocol import messages_pb2 as pb
from perdure.sim import wire
from perdure.sim.context import Awaited, Context, Handler, RetryableError, TerminalError
from perdure.sim.loop import VirtualProcess, within
from perdure.sim.steps import StepLog

_FIRST_COMPLETED: Final = 1
_ALL_SUCCEEDED: Final = 4


class _Suspended(Exception):
    """The handler waits for something that this attempt cannot bring."""


class Observer:
    """Sees what reaches handlers; checkers override what they care for."""

    def on_start(self, target: str, start: pb.Start) -> None:
        """An attempt of `service/handler` begins."""

    def on_notification(self, invocation: InvocationId, notification: pb.Notification) -> None:
        """A notification arrives, replayed ones included."""


_CANCEL: Final = Awaited(signal=CANCEL_SIGNAL)


class EndpointAttempt:
    """One attempt at the endpoint: request bytes in, response frames out through `send`, and `finish` at the end.

    Args:
        version: Of the protocol, 5 to 7.
        fails_at_command: Answer with an error instead of the n-th new command; 0 never.
    """

    def __init__(
        self,
        target: str,
        handler: Handler,
        *,
        process: VirtualProcess,
        clock: Clock,
        steps: StepLog,
        send: Callable[[bytes], None],
        finish: Callable[[], None],
        observer: Observer,
        version: int = 6,
        fails_at_command: int = 0,
    ) -> None:
        self.start = pb.Start()
        self.invocation_id = InvocationId(b"")
        self.state: dict[bytes, bytes] = {}
        self.clock = clock
        self.steps = steps
        self.started = 0
        self.send = send
        self.mismatch: str | None = None
        self._handler = handler
        self._process = process
        self._finish = finish
        self._target = target
        self._observer = observer
        self._version = version
        self._fails_at_command = fails_at_command
        self._proposed: dict[int, pb.Notification] = {}
        self._reader = wire.FrameReader()
        self._input = b""
        self._replay: list[tuple[int, Message]] = []
        self._replayed = 0
        self._known_left = -1
        self._answers: dict[Awaited, pb.Notification] = {}
        self._input_is_closed = False
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._new_commands = 0

    def receive(self, data: bytes) -> None:
        """Take request bytes."""
        for code, payload in self._reader.receive(data):
            if self._known_left < 0:
                assert code == wire.START, "the first frame is not the start"
                self._begin(payload)
            else:
                self._take(code, payload)
                self._known_left = max(0, self._known_left - 1)
            if self._known_left == 0 and self._task is None:
                with within(self._process):
                    self._task = asyncio.get_running_loop().create_task(self._serve())
        self._news.set()

    def close_input(self) -> None:
        """Note that the server will send no more: whoever waits suspends."""
        self._input_is_closed = True
        self._news.set()

    def give_up(self) -> None:
        """End the handler: the stream is gone."""
        if self._task is not None:
            self._task.cancel()

    def has_completion(self, completion_id: int) -> bool:
        return Awaited(completion_id=completion_id) in self._answers

    def next_replayed_code(self) -> int | None:
        """Return the type of the command that comes next in the replay, None after its end."""
        return self._replay[self._replayed][0] if self._replayed < len(self._replay) else None

    def command(self, code: int, message: Message) -> Message:
        """Journal a command: send it, or match it with the replayed one, which is returned then."""
        if self._replayed < len(self._replay):
            journaled_code, journaled = self._replay[self._replayed]
            self._replayed += 1
            if (journaled_code, _identity(journaled)) != (code, _identity(message)):
                self.mismatch = (
                    f"replay of {self.invocation_id.hex()} has {journaled_code:#x} {journaled!r}, the handler {code:#x} {message!r}"
                )
                raise RetryableError(self.mismatch)
            return journaled
        self._new_commands += 1
        if self._new_commands == self._fails_at_command:
            raise RetryableError("asked to fail at this command")
        self.send(wire.frame(code, message))
        return message

    def propose(self, proposal: pb.ProposeRunCompletion) -> None:
        """Propose the result of a step; from version 7 on its mere acknowledgement is enough for an answer."""
        answer = pb.Notification(completion_id=proposal.result_completion_id)
        if proposal.HasField("failure"):
            answer.failure.CopyFrom(proposal.failure)
        else:
            answer.value.content = proposal.value
        self._proposed[proposal.result_completion_id] = answer
        self.send(wire.frame(wire.PROPOSE_RUN_COMPLETION, proposal, wants_ack=self._version >= 7))

    async def wait_for_all(self, awaited: Sequence[Awaited]) -> list[pb.Notification]:
        """Return the answers, in order; suspends once the input is closed."""
        while missing := [one for one in awaited if one not in self._answers]:
            self._check_cancelled(len(self._answers))
            if self._input_is_closed:
                self.send(wire.frame(wire.SUSPENSION, self._suspension(missing)))
                raise _Suspended
            self._news.clear()
            await self._news.wait()
        arrived = list(self._answers)
        self._check_cancelled(max(arrived.index(one) for one in awaited))
        return [self._answers[one] for one in awaited]

    def _check_cancelled(self, before: int) -> None:
        """End the handler if the cancel signal came before the answer number `before`: the order of the journal decides, on replay too."""
        if _CANCEL in self._answers and list(self._answers).index(_CANCEL) < before:
            raise TerminalError(409, "cancelled")

    def _begin(self, payload: bytes) -> None:
        self.start.ParseFromString(payload)
        self.invocation_id = InvocationId(self.start.id)
        self._known_left = self.start.known_entries
        self.state = {entry.key: entry.value for entry in self.start.state_map}
        self.started = self.steps.tick()
        self._observer.on_start(self._target, self.start)

    def _take(self, code: int, payload: bytes) -> None:
        if code == wire.PROPOSE_RUN_COMPLETION_ACK:
            self._take_answer(0x8011, self._proposed[pb.ProposeRunCompletionAck.FromString(payload).completion_id])
        elif wire.is_notification(code):
            self._take_answer(code, pb.Notification.FromString(payload))
        elif code == wire.INPUT:
            self._input = pb.Input.FromString(payload).value.content
        elif code in wire.COMMANDS:
            assert self._known_left > 0, "a command outside the replay"
            self._replay.append((code, wire.COMMANDS[code].FromString(payload)))

    def _take_answer(self, code: int, answer: pb.Notification) -> None:
        awaited = Awaited(completion_id=answer.completion_id, signal=answer.signal_id)
        self._answers.setdefault(awaited, answer)
        self._observer.on_notification(self.invocation_id, answer)
        if code == 0x8011:
            self.steps.acknowledge(self.invocation_id, answer.completion_id)

    def _suspension(self, missing: Sequence[Awaited]) -> pb.Suspension:
        """Say what brings the handler on: a cancel, or all that is missing; before version 7, that or anything that is missing."""
        completions = [one.completion_id for one in missing if one.completion_id]
        signals = [one.signal for one in missing if one.signal]
        if self._version < 7:
            return pb.Suspension(waiting_completions=completions, waiting_signals=[*signals, CANCEL_SIGNAL])
        all_of_them = pb.Future(waiting_completions=completions, waiting_signals=signals, combinator_type=_ALL_SUCCEEDED)
        root = pb.Future(
            waiting_signals=[CANCEL_SIGNAL], nested_futures=[all_of_them.SerializeToString()], combinator_type=_FIRST_COMPLETED
        )
        return pb.Suspension(awaiting_on=root)

    async def _serve(self) -> None:
        try:
            value = await self._handler(Context(self), self._input)
            output = pb.Output(value=pb.Value(content=value))
            self._end_with(output)
        except TerminalError as error:
            self._end_with(pb.Output(failure=pb.Failure(code=error.code, message=error.message)))
        except RetryableError as error:
            self._fail(error)
        except _Suspended:
            pass
        self._finish()

    def _end_with(self, output: pb.Output) -> None:
        try:
            self.command(wire.OUTPUT, output)
        except RetryableError as error:
            self._fail(error)
        else:
            self.send(wire.frame(wire.END, pb.Void()))

    def _fail(self, error: RetryableError) -> None:
        self.send(wire.frame(wire.ERROR, pb.Error(code=570 if self.mismatch else 500, message=str(error))))


def _identity(message: Message) -> tuple[object, ...]:
    """Return what of a command has to be the same on replay: not the instants that it took from the clock."""
    names = ("result_completion_id", "invocation_id_notification_idx", "name", "key", "service_name", "handler_name", "parameter")
    return tuple(getattr(message, name, None) for name in names)
