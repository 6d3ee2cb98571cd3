"""A service endpoint in miniature: handlers as coroutines over a journal, suspension, steps, calls, awakeables.

It speaks the real wire format (versions 5 and 6), and notes which steps it executed, so that a checker can tell whether one ran again
after its result was acknowledged. Source: shared/spec/service-protocol.md, sections 5 and 6.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec
from google.protobuf.message import Message

from perdure.base.clock import Clock
from perdure.base.ids import CANCEL_SIGNAL, InvocationId, format_awakeable_id
from perdure.codec.service_protocol import messages_pb2 as pb
from perdure.sim import wire
from perdure.sim.loop import VirtualProcess, within
from perdure.sim.steps import StepLog

_FIRST_AWAKEABLE: Final = 17


class TerminalError(Exception):
    """The handler ends with a failure: (code, message)."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


class RetryableError(Exception):
    """The attempt fails; the server is to try again."""


class _Suspended(Exception):
    """The handler waits for something that this attempt cannot bring."""


class Observer:
    """Sees what reaches handlers; checkers override what they care for."""

    def on_start(self, target: str, start: pb.Start) -> None:
        """An attempt of `service/handler` begins."""

    def on_notification(self, invocation: InvocationId, notification: pb.Notification) -> None:
        """A notification arrives, replayed ones included."""


class Awaited(msgspec.Struct, frozen=True):
    """Something that a handler can wait for: a completion or a signal."""

    completion_id: int = 0
    signal: int = 0


_CANCEL: Final = Awaited(signal=CANCEL_SIGNAL)


class Context:
    """What a handler works with; one per attempt.

    The order of calls is the journal: a handler must make the same ones again on replay.
    """

    def __init__(self, attempt: "EndpointAttempt") -> None:
        self._attempt = attempt
        self._completion_id = 0
        self._signal = _FIRST_AWAKEABLE - 1

    @property
    def key(self) -> str:
        return self._attempt.start.key

    @property
    def invocation_id(self) -> InvocationId:
        return self._attempt.invocation_id

    async def get(self, name: str) -> bytes | None:
        """Return a state entry, eagerly where the start message or this handler knows it."""
        key = name.encode()
        attempt = self._attempt
        is_known = key in attempt.state or not attempt.start.partial_state
        replayed = attempt.next_replayed_code()
        if replayed == wire.GET_EAGER_STATE or (replayed is None and is_known):
            return self._get_eagerly(key)
        completion_id = self._next_completion()
        attempt.command(wire.GET_LAZY_STATE, pb.GetLazyState(key=key, result_completion_id=completion_id))
        answer = await attempt.wait_for_all([Awaited(completion_id=completion_id)])
        return answer[0].value.content if answer[0].HasField("value") else None

    def _get_eagerly(self, key: bytes) -> bytes | None:
        value = self._attempt.state.get(key)
        message = pb.GetEagerState(key=key)
        if value is None:
            message.void.SetInParent()
        else:
            message.value.content = value
        journaled = self._attempt.command(wire.GET_EAGER_STATE, message)
        assert isinstance(journaled, pb.GetEagerState)
        return journaled.value.content if journaled.HasField("value") else None

    def set(self, name: str, value: bytes) -> None:
        """Write a state entry."""
        self._attempt.state[name.encode()] = value
        self._attempt.command(wire.SET_STATE, pb.SetState(key=name.encode(), value=pb.Value(content=value)))

    def clear(self, name: str) -> None:
        """Remove a state entry."""
        self._attempt.state.pop(name.encode(), None)
        self._attempt.command(wire.CLEAR_STATE, pb.ClearState(key=name.encode()))

    async def run(self, name: str, closure: Callable[[], Awaitable[bytes]]) -> bytes:
        """Execute a step, or return its journaled result.

        Raises:
            TerminalError: The closure raised it, in this or an earlier attempt.
        """
        completion_id = self._next_completion()
        attempt = self._attempt
        attempt.command(wire.RUN, pb.Run(result_completion_id=completion_id, name=name))
        if not attempt.has_completion(completion_id):
            attempt.steps.execute(attempt.invocation_id, completion_id, attempt.started)
            proposal = pb.ProposeRunCompletion(result_completion_id=completion_id)
            try:
                proposal.value = await closure()
            except TerminalError as error:
                proposal.failure.code, proposal.failure.message = error.code, error.message
            attempt.send(wire.frame(wire.PROPOSE_RUN_COMPLETION, proposal))
        return _value_of((await attempt.wait_for_all([Awaited(completion_id=completion_id)]))[0])

    def sleeping(self, duration_ms: int) -> Awaited:
        """Start a timer."""
        completion_id = self._next_completion()
        wake_up = self._attempt.clock.now_ms() + duration_ms
        self._attempt.command(wire.SLEEP, pb.Sleep(wake_up_time=wake_up, result_completion_id=completion_id))
        return Awaited(completion_id=completion_id)

    async def sleep(self, duration_ms: int) -> None:
        """Wait for a durable timer."""
        await self._attempt.wait_for_all([self.sleeping(duration_ms)])

    def calling(self, service: str, handler: str, key: str, parameter: bytes, *, idempotency_key: str | None = None) -> Awaited:
        """Start a call."""
        invocation_id_completion = self._next_completion()
        completion_id = self._next_completion()
        message = pb.Call(
            service_name=service,
            handler_name=handler,
            key=key,
            parameter=parameter,
            idempotency_key=idempotency_key,
            invocation_id_notification_idx=invocation_id_completion,
            result_completion_id=completion_id,
        )
        self._attempt.command(wire.CALL, message)
        return Awaited(completion_id=completion_id)

    async def call(self, service: str, handler: str, key: str, parameter: bytes) -> bytes:
        """Call a handler and wait for its result."""
        return (await self.all([self.calling(service, handler, key, parameter)]))[0]

    def send(
        self, service: str, handler: str, key: str, parameter: bytes, *, delay_ms: int = 0, idempotency_key: str | None = None
    ) -> None:
        """Call a handler without waiting, now or later."""
        message = pb.OneWayCall(
            service_name=service,
            handler_name=handler,
            key=key,
            parameter=parameter,
            idempotency_key=idempotency_key,
            invoke_time=self._attempt.clock.now_ms() + delay_ms if delay_ms else 0,
            invocation_id_notification_idx=self._next_completion(),
        )
        self._attempt.command(wire.ONE_WAY_CALL, message)

    def awakeable(self) -> tuple[str, Awaited]:
        """Return the id of a new awakeable and what to wait for."""
        self._signal += 1
        return format_awakeable_id(self.invocation_id, self._signal), Awaited(signal=self._signal)

    def resolve_awakeable(self, awakeable_id: str, value: bytes) -> None:
        """Complete an awakeable of another invocation."""
        self._attempt.command(wire.COMPLETE_AWAKEABLE, pb.CompleteAwakeable(awakeable_id=awakeable_id, value=pb.Value(content=value)))

    async def all(self, awaited: Sequence[Awaited]) -> list[bytes]:
        """Return the values of all, in order.

        Raises:
            TerminalError: One of them failed, or the invocation was cancelled.
        """
        return [_value_of(one) for one in await self._attempt.wait_for_all(awaited)]

    def _next_completion(self) -> int:
        self._completion_id += 1
        return self._completion_id


Handler = Callable[[Context, bytes], Awaitable[bytes]]


def _value_of(answer: pb.Notification) -> bytes:
    if answer.HasField("failure"):
        raise TerminalError(answer.failure.code, answer.failure.message)
    return answer.value.content


class EndpointAttempt:
    """One attempt at the endpoint: request bytes in, response frames out through `send`, and `finish` at the end.

    Args:
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
        self._fails_at_command = fails_at_command
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

    async def wait_for_all(self, awaited: Sequence[Awaited]) -> list[pb.Notification]:
        """Return the answers, in order; suspends once the input is closed."""
        while missing := [one for one in awaited if one not in self._answers]:
            self._check_cancelled(len(self._answers))
            if self._input_is_closed:
                self.send(wire.frame(wire.SUSPENSION, _suspension([*missing, _CANCEL])))
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
        if wire.is_notification(code):
            answer = pb.Notification.FromString(payload)
            awaited = Awaited(completion_id=answer.completion_id, signal=answer.signal_id)
            self._answers.setdefault(awaited, answer)
            self._observer.on_notification(self.invocation_id, answer)
            if code == 0x8011:
                self.steps.acknowledge(self.invocation_id, answer.completion_id)
        elif code == wire.INPUT:
            self._input = pb.Input.FromString(payload).value.content
        elif code in wire.COMMANDS:
            assert self._known_left > 0, "a command outside the replay"
            self._replay.append((code, wire.COMMANDS[code].FromString(payload)))

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


def _suspension(awaited: Sequence[Awaited]) -> pb.Suspension:
    return pb.Suspension(
        waiting_completions=[one.completion_id for one in awaited if one.completion_id],
        waiting_signals=[one.signal for one in awaited if one.signal],
    )
