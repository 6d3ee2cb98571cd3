"""The simulated deployments, spoken to with the server's own codec."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

import pytest

from perdure.base.errors import RemoteProtocolError
from perdure.base.ids import InvocationId, format_awakeable_id
from perdure.codec.service_protocol import events
from perdure.codec.service_protocol.decoder import AttemptDecoder
from perdure.codec.service_protocol.encoder import AttemptEncoder
from perdure.deployments.interface import ExchangeFailure, FailureKind, HeaderList
from perdure.model.deployment import Deployment, ProtocolMode
from perdure.model.journal import (
    Call,
    CallTarget,
    Completion,
    CompletionType,
    Entry,
    GetEagerState,
    GetLazyState,
    Input,
    OneWayCall,
    Output,
    Run,
    SetState,
    Signal,
    Sleep,
)
from perdure.model.result import Failure, Success, Void
from perdure.sim import wire
from perdure.sim.deployments import DeploymentFaults, SimDeployments, SimExchange
from perdure.sim.endpoint import Context, RetryableError, TerminalError
from perdure.sim.loop import EPOCH_MS, SimClock, VirtualLoop, VirtualProcess

T = TypeVar("T")
INVOCATION = InvocationId(bytes(range(24)))


async def counter(context: Context, parameter: bytes) -> bytes:
    before = await context.get("count")
    after = str(int(before or b"0") + int(parameter)).encode()
    context.set("count", after)
    return after


async def steps(context: Context, parameter: bytes) -> bytes:
    async def first() -> bytes:
        return parameter.upper()

    upper = await context.run("first", first)
    await context.sleep(1_000)
    return b"done " + upper


async def caller(context: Context, parameter: bytes) -> bytes:
    context.send("Log", "write", "", parameter, delay_ms=500)
    answers = await context.all([context.calling("Svc", "a", "", parameter), context.calling("Obj", "b", "k", parameter)])
    return b"+".join(answers)


async def waiter(context: Context, _: bytes) -> bytes:
    awakeable_id, awaited = context.awakeable()
    assert awakeable_id == format_awakeable_id(INVOCATION, 17)
    return (await context.all([awaited]))[0]


async def failing(_: Context, parameter: bytes) -> bytes:
    if parameter == b"terminal":
        raise TerminalError(418, "nope")
    raise RetryableError("later")


HANDLERS = {"S/counter": counter, "S/steps": steps, "S/caller": caller, "S/waiter": waiter, "S/failing": failing}
DEPLOYMENT = Deployment(
    id="dp_1",
    url="http://sim",
    protocol_mode=ProtocolMode.BIDI_STREAM,
    http_version="HTTP/2.0",
    protocol_version_min=5,
    protocol_version_max=6,
    created_at_ms=0,
)


class Attempt:
    """A server's side of one exchange."""

    def __init__(self, deployments: SimDeployments, handler: str, version: int = 6) -> None:
        self.encoder = AttemptEncoder(version)
        self.decoder = AttemptDecoder(version, message_bytes_max=1 << 20)
        self.events: list[events.AttemptEvent] = []
        self.status = 0
        self.content_type = ""
        self.ends = 0
        self.failure: ExchangeFailure | None = None
        self.error: RemoteProtocolError | None = None
        self.is_over = asyncio.Event()
        client = deployments.client(VirtualProcess("server"))
        headers = [("content-type", self.encoder.content_type)]
        self.exchange: SimExchange = client.open(DEPLOYMENT, "POST", f"/invoke/S/{handler}", headers, self)

    def on_response(self, status: int, headers: HeaderList) -> None:
        self.status = status
        self.content_type = dict(headers)["content-type"]

    def on_data(self, data: bytes) -> None:
        if self.content_type != self.encoder.content_type or self.error is not None:
            return
        try:
            self.events += self.decoder.receive(data)
        except RemoteProtocolError as error:
            self.error = error
            self.exchange.abort()
            self.is_over.set()

    def on_end(self) -> None:
        self.ends += 1
        self.is_over.set()

    def on_failure(self, failure: ExchangeFailure) -> None:
        self.failure = failure
        self.is_over.set()

    def start(
        self,
        journal: Sequence[Entry],
        state: Sequence[tuple[bytes, bytes]] = (),
        *,
        is_state_partial: bool = False,
    ) -> None:
        start = self.encoder.start(
            invocation_id=INVOCATION,
            debug_id="inv_1x",
            known_entries=len(journal),
            key="k",
            state=state,
            is_state_partial=is_state_partial,
        )
        self.exchange.send(start + b"".join(self.encoder.entry(entry) for entry in journal))

    def notify(self, *entries: Completion | Signal) -> None:
        for entry in entries:
            self.exchange.send(self.encoder.notification(entry))

    @property
    def commands(self) -> list[object]:
        return [event.command for event in self.events if isinstance(event, events.CommandSent)]

    async def events_are(self, count: int) -> None:
        while len(self.events) < count:
            await asyncio.sleep(0.01)


def play(scene: Callable[[SimDeployments], Coroutine[Any, Any, T]], faults: DeploymentFaults | None = None, seed: int = 1) -> T:
    async def main() -> T:
        loop = asyncio.get_running_loop()
        return await scene(SimDeployments(loop, seed, SimClock(loop), HANDLERS, faults))

    return VirtualLoop().run(main())


def completed(kind: CompletionType, completion_id: int, value: bytes | None = None) -> Completion:
    return Completion(kind, completion_id, Void() if value is None else Success(value))


@pytest.mark.parametrize("version", [5, 6])
def test_a_handler_reads_eager_state_and_answers(version: int) -> None:
    async def scene(deployments: SimDeployments) -> None:
        attempt = Attempt(deployments, "counter", version)
        attempt.start([Input(b"2")], [(b"count", b"40")])
        await attempt.is_over.wait()
        assert attempt.commands == [GetEagerState(b"count", Success(b"40")), SetState(b"count", b"42"), Output(Success(b"42"))]
        assert isinstance(attempt.events[-1], events.Ended)
        assert (attempt.status, attempt.ends) == (200, 1)

    play(scene)


def test_a_handler_asks_for_state_that_the_start_does_not_tell() -> None:
    async def scene(deployments: SimDeployments) -> None:
        attempt = Attempt(deployments, "counter")
        attempt.start([Input(b"2")], is_state_partial=True)
        await attempt.events_are(1)
        attempt.notify(completed(CompletionType.GET_LAZY_STATE, 1, b"1"))
        await attempt.is_over.wait()
        assert attempt.commands == [GetLazyState(b"count", 1), SetState(b"count", b"3"), Output(Success(b"3"))]

    play(scene)


def test_a_step_runs_once_and_its_replay_does_not() -> None:
    async def scene(deployments: SimDeployments) -> None:
        first = Attempt(deployments, "steps")
        first.start([Input(b"bob")])
        await first.events_are(2)
        first.notify(completed(CompletionType.RUN, 1, b"BOB"))
        await first.events_are(3)
        sleep = first.commands[1]
        assert isinstance(sleep, Sleep)
        assert sleep.completion_id == 2
        assert EPOCH_MS + 1_000 <= sleep.wake_up_at_ms < EPOCH_MS + 1_100
        first.exchange.end()
        await first.is_over.wait()
        suspended = first.events[-1]
        assert isinstance(suspended, events.Suspended)
        assert (suspended.future.completion_ids, suspended.future.signal_indexes) == ((2,), (1,))

        second = Attempt(deployments, "steps")
        journal = [
            Input(b"bob"),
            Run(1, "first"),
            completed(CompletionType.RUN, 1, b"BOB"),
            sleep,
            completed(CompletionType.SLEEP, 2),
        ]
        second.start(journal)
        await second.is_over.wait()
        assert second.commands == [Output(Success(b"done BOB"))]
        assert deployments.steps.executions == {(INVOCATION, 1): 1}
        assert deployments.steps.violations == []

    play(scene)


def test_a_step_that_runs_after_its_acknowledgement_is_a_violation() -> None:
    async def scene(deployments: SimDeployments) -> None:
        for _ in range(2):
            attempt = Attempt(deployments, "steps")
            attempt.start([Input(b"bob")])
            await attempt.events_are(2)
            attempt.notify(completed(CompletionType.RUN, 1, b"BOB"))
            await attempt.events_are(3)
        assert len(deployments.steps.violations) == 1

    play(scene)


def test_calls_and_sends_take_their_completion_ids_in_order() -> None:
    async def scene(deployments: SimDeployments) -> None:
        attempt = Attempt(deployments, "caller")
        attempt.start([Input(b"x")])
        await attempt.events_are(3)
        send, *calls = attempt.commands
        assert isinstance(send, OneWayCall)
        assert (send.target, send.invocation_id_completion_id) == (CallTarget("Log", "write", ""), 1)
        assert calls == [Call(CallTarget("Svc", "a", ""), b"x", (), 2, 3), Call(CallTarget("Obj", "b", "k"), b"x", (), 4, 5)]
        attempt.notify(completed(CompletionType.CALL, 5, b"2"), completed(CompletionType.CALL, 3, b"1"))
        await attempt.is_over.wait()
        assert attempt.commands[-1] == Output(Success(b"1+2"))

    play(scene)


def test_an_awakeable_is_a_signal_from_17_on() -> None:
    async def scene(deployments: SimDeployments) -> None:
        attempt = Attempt(deployments, "waiter")
        attempt.start([Input(b"")])
        attempt.notify(Signal(17, None, Success(b"woken")))
        await attempt.is_over.wait()
        assert attempt.commands == [Output(Success(b"woken"))]

    play(scene)


def test_a_cancelled_handler_ends_with_409() -> None:
    async def scene(deployments: SimDeployments) -> None:
        attempt = Attempt(deployments, "waiter")
        attempt.start([Input(b"")])
        attempt.notify(Signal(1, None, Void()))
        await attempt.is_over.wait()
        assert attempt.commands == [Output(Failure(409, "cancelled"))]

    play(scene)


@pytest.mark.parametrize(("order", "wanted"), [((1, 17), Failure(409, "cancelled")), ((17, 1), Success(b"woken"))])
def test_the_order_of_the_journal_decides_between_a_cancel_and_an_answer(order: tuple[int, int], wanted: Success | Failure) -> None:
    async def scene(deployments: SimDeployments) -> None:
        attempt = Attempt(deployments, "waiter")
        signals = {1: Signal(1, None, Void()), 17: Signal(17, None, Success(b"woken"))}
        attempt.start([Input(b""), *[signals[index] for index in order]])
        await attempt.is_over.wait()
        assert attempt.commands == [Output(wanted)]

    play(scene)


def test_terminal_and_retryable_failures_differ() -> None:
    async def scene(deployments: SimDeployments) -> None:
        terminal, retryable = Attempt(deployments, "failing"), Attempt(deployments, "failing")
        terminal.start([Input(b"terminal")])
        retryable.start([Input(b"")])
        await terminal.is_over.wait()
        await retryable.is_over.wait()
        assert terminal.commands == [Output(Failure(418, "nope"))]
        assert isinstance(retryable.events[0], events.Failed)

    play(scene)


def test_a_replay_that_the_handler_does_not_repeat_is_a_mismatch() -> None:
    async def scene(deployments: SimDeployments) -> None:
        attempt = Attempt(deployments, "counter")
        attempt.start([Input(b"1"), Run(1, "other")])
        await attempt.is_over.wait()
        failed = attempt.events[-1]
        assert isinstance(failed, events.Failed)
        assert failed.error.code == 570
        assert len(deployments.mismatches) == 1

    play(scene)


def only(name: str, *, fault_bytes_max: int = 200) -> DeploymentFaults:
    return DeploymentFaults(**{f"{name}_probability": 1.0}, fault_bytes_max=fault_bytes_max)


async def attempt_counter(deployments: SimDeployments) -> Attempt:
    attempt = Attempt(deployments, "counter")
    attempt.start([Input(b"1")])
    await attempt.is_over.wait()
    await asyncio.sleep(100)
    return attempt


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(
    ("fault", "kind"), [("connect", FailureKind.CONNECT), ("goaway", FailureKind.GOAWAY), ("reset", FailureKind.RESET)]
)
def test_faults_of_the_connection_arrive_as_failures(fault: str, kind: FailureKind, seed: int) -> None:
    attempt = play(attempt_counter, only(fault, fault_bytes_max=30), seed)
    assert attempt.failure is not None
    assert attempt.failure.kind is kind
    assert attempt.ends == 0


@pytest.mark.parametrize("seed", range(20))
def test_a_cut_stream_ends_before_its_terminal_frame(seed: int) -> None:
    attempt = play(attempt_counter, only("cut", fault_bytes_max=30), seed)
    assert not attempt.decoder.has_ended
    assert attempt.ends == 1


@pytest.mark.parametrize("seed", range(20))
def test_an_answer_given_twice_still_ends_once(seed: int) -> None:
    attempt = play(attempt_counter, only("double"), seed)
    assert [type(event) for event in attempt.events].count(events.Ended) == 1
    assert attempt.ends == 1


@pytest.mark.parametrize("seed", range(10))
def test_bad_statuses_and_content_types_arrive(seed: int) -> None:
    assert play(attempt_counter, only("status"), seed).status >= 400
    attempt = play(attempt_counter, only("content_type"), seed)
    assert (attempt.status, attempt.content_type) == (200, "text/html")


def test_an_error_is_reported_in_place_of_a_command() -> None:
    attempt = play(attempt_counter, only("error"), 3)
    assert isinstance(attempt.events[-1], events.Failed)


@pytest.mark.parametrize("frame", wire.nonsense_frames())
def test_every_nonsense_frame_breaks_the_protocol(frame: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        AttemptDecoder(6, message_bytes_max=1 << 20).receive(frame)


def test_a_hanging_deployment_says_nothing() -> None:
    async def scene(deployments: SimDeployments) -> Attempt:
        attempt = Attempt(deployments, "counter")
        attempt.start([Input(b"1")])
        await asyncio.sleep(3_600)
        attempt.exchange.abort()
        await asyncio.sleep(10)
        return attempt

    attempt = play(scene, only("hang"))
    assert (attempt.status, attempt.events, attempt.ends, attempt.failure) == (0, [], 0, None)


def test_nothing_arrives_while_reading_is_paused() -> None:
    async def scene(deployments: SimDeployments) -> None:
        attempt = Attempt(deployments, "counter")
        attempt.exchange.pause_reading()
        attempt.start([Input(b"1")])
        await asyncio.sleep(100)
        assert attempt.events == []
        attempt.exchange.resume_reading()
        assert isinstance(attempt.events[-1], events.Ended)

    play(scene)
