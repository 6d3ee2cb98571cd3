"""What simulated handlers are written with: state, steps, sleeps, calls, awakeables, promises, other invocations.

The order of calls is the journal. Source: shared/spec/service-protocol.md, section 5.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec
from google.protobuf.message import Message

from perdure.base.clock import Clock
from perdure.base.ids import InvocationId, format_awakeable_id
from perdure.codec.service_protocol import messages_pb2 as pb
from perdure.sim import wire
from perdure.sim.steps import StepLog

_FIRST_AWAKEABLE = 17


class TerminalError(Exception):
    """The handler ends with a failure: (code, message)."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


class RetryableError(Exception):
    """The attempt fails; the server is to try again."""


class Awaited(msgspec.Struct, frozen=True):
    """Something that a handler can wait for: a completion or a signal."""

    completion_id: int = 0
    signal: int = 0


class Journal(Protocol):
    """An attempt, as its handler's context uses it."""

    start: pb.Start
    invocation_id: InvocationId
    state: dict[bytes, bytes]
    clock: Clock
    steps: StepLog
    started: int

    def has_completion(self, completion_id: int) -> bool: ...

    def next_replayed_code(self) -> int | None: ...

    def command(self, code: int, message: Message) -> Message: ...

    def propose(self, proposal: pb.ProposeRunCompletion) -> None: ...

    async def wait_for_all(self, awaited: Sequence[Awaited]) -> list[pb.Notification]: ...


class Context:
    """What a handler works with; one per attempt.

    The order of calls is the journal: a handler must make the same ones again on replay.
    """

    def __init__(self, attempt: "Journal") -> None:
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
            attempt.propose(proposal)
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

    async def promise(self, name: str) -> bytes:
        """Wait for a promise of the workflow."""
        completion_id = self._next_completion()
        self._attempt.command(wire.GET_PROMISE, pb.GetPromise(key=name, result_completion_id=completion_id))
        return (await self.all([Awaited(completion_id=completion_id)]))[0]

    async def peek_promise(self, name: str) -> bytes | None:
        """Return the value of a promise, None where it has none yet."""
        completion_id = self._next_completion()
        self._attempt.command(wire.PEEK_PROMISE, pb.PeekPromise(key=name, result_completion_id=completion_id))
        return _optional_value_of((await self._attempt.wait_for_all([Awaited(completion_id=completion_id)]))[0])

    async def complete_promise(self, name: str, value: bytes) -> None:
        """Complete a promise.

        Raises:
            TerminalError: It was completed before.
        """
        completion_id = self._next_completion()
        message = pb.CompletePromise(key=name, completion_value=pb.Value(content=value), result_completion_id=completion_id)
        self._attempt.command(wire.COMPLETE_PROMISE, message)
        await self.all([Awaited(completion_id=completion_id)])

    async def attach(self, service: str, key: str, handler: str, idempotency_key: str) -> bytes:
        """Wait for the result of an idempotent request."""
        completion_id = self._next_completion()
        message = pb.AttachInvocation(
            idempotent_request_target=_idempotent(service, key, handler, idempotency_key), result_completion_id=completion_id
        )
        self._attempt.command(wire.ATTACH_INVOCATION, message)
        return (await self.all([Awaited(completion_id=completion_id)]))[0]

    async def output(self, service: str, key: str, handler: str, idempotency_key: str) -> bytes | None:
        """Return the result of an idempotent request, None where there is none yet."""
        completion_id = self._next_completion()
        message = pb.GetInvocationOutput(
            idempotent_request_target=_idempotent(service, key, handler, idempotency_key), result_completion_id=completion_id
        )
        self._attempt.command(wire.GET_INVOCATION_OUTPUT, message)
        return _optional_value_of((await self._attempt.wait_for_all([Awaited(completion_id=completion_id)]))[0])

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


def _idempotent(service: str, key: str, handler: str, idempotency_key: str) -> pb.IdempotentRequestTarget:
    return pb.IdempotentRequestTarget(service_name=service, service_key=key or None, handler_name=handler, idempotency_key=idempotency_key)


def _optional_value_of(answer: pb.Notification) -> bytes | None:
    return None if answer.HasField("void") else _value_of(answer)


def _value_of(answer: pb.Notification) -> bytes:
    if answer.HasField("failure"):
        raise TerminalError(answer.failure.code, answer.failure.message)
    return answer.value.content
