"""One attempt against a deployment that the test plays: what is sent, and what each thing that comes back means."""

import gc
import weakref
from types import SimpleNamespace
from typing import Any

import pytest

from perdure.base.ids import CANCEL_SIGNAL
from perdure.codec.service_protocol import codec_for
from perdure.codec.service_protocol import messages_pb2 as wire
from perdure.codec.service_protocol.frames import HEADER, MessageType, encode_frame
from perdure.deployments.interface import ExchangeFailure, FailureKind, HeaderList
from perdure.model.deployment import Deployment, Handler, ProtocolMode, Service
from perdure.model.journal import AttemptError, Completion, CompletionType, ErrorBehavior, Output, SendSignal, Signal
from perdure.model.result import InvocationIdResult, Success, Void
from perdure.model.target import HandlerType, ServiceType
from perdure.registry.options import ServerDefaults, effective_options
from services.invoker.attempt import DATA_BYTES_MAX, ITEMS_PER_EVENT_MAX, Attempt
from services.invoker.machine.events import AttemptEnded, AttemptProgressed, AttemptSuspended, CommandSent, Event
from services.invoker.meters import AttemptMeters
from services.invoker.plan import Plan
from tests.unit.invoker.builders import Machine

CONTENT_TYPE = "application/vnd.restate.invocation.v6"
OUTPUT = encode_frame(MessageType.OUTPUT, wire.Output(value=wire.Value(content=b"out")).SerializeToString())
END = encode_frame(MessageType.END, b"")


class FakeLoop:
    """A clock that the test moves, with the timers that fall due on the way."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._timers: list[tuple[float, int, Any, tuple[Any, ...], FakeTimer]] = []

    def time(self) -> float:
        return self.now_s

    def call_later(self, delay_s: float, callback: Any, *args: Any) -> "FakeTimer":
        timer = FakeTimer()
        self._timers.append((self.now_s + delay_s, len(self._timers), callback, args, timer))
        return timer

    def pass_time(self, seconds: float) -> None:
        until_s = self.now_s + seconds
        while due := sorted(entry for entry in self._timers if entry[0] <= until_s):
            self._timers.remove(due[0])
            self.now_s = due[0][0]
            if not due[0][4].is_cancelled:
                due[0][2](*due[0][3])
        self.now_s = until_s


class FakeTimer:
    is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class FakeClient:
    """The deployment's side: what it was asked and sent."""

    def __init__(self) -> None:
        self.path = ""
        self.headers: dict[str, str] = {}
        self.receiver: Any = None
        self.sent = b""
        self.has_ended = False
        self.is_aborted = False

    def open(self, deployment: Deployment, method: str, path: str, headers: HeaderList, receiver: object) -> "FakeClient":
        assert (deployment.id, method) == ("dp_1", "POST")
        self.path, self.headers, self.receiver = path, dict(headers), receiver
        return self

    def send(self, data: bytes) -> None:
        self.sent += data

    def end(self) -> None:
        self.has_ended = True

    def abort(self) -> None:
        self.is_aborted = True


class Host:
    """What the attempt reports to."""

    def __init__(self) -> None:
        self.loop: Any = FakeLoop()
        self.resolver: Any = None
        self.meters = AttemptMeters()
        self.schema: Any = None
        self.fed: list[Event] = []
        self.failures: list[AttemptError] = []
        self.closings = 0

    def feed(self, attempt: Attempt, event: Event) -> None:
        self.fed.append(event)

    def fail(self, attempt: Attempt, error: AttemptError) -> None:
        self.failures.append(error)

    def closed(self, attempt: Attempt) -> None:
        self.closings += 1


class Stage:
    """An open attempt of a fresh invocation."""

    def __init__(self, mode: ProtocolMode = ProtocolMode.BIDI_STREAM, *, version: int = 6) -> None:
        self.host, self.client = Host(), FakeClient()
        live = Machine().running(1)
        deployment = Deployment("dp_1", "http://endpoint", mode, "HTTP/2.0", 5, 7, 0)
        handler = Handler("handle", HandlerType.PLAIN)
        options = effective_options(Service("Svc", ServiceType.SERVICE, 1, "dp_1", {"handle": handler}), handler, defaults=ServerDefaults())
        plan = Plan(deployment, version, codec_for(version, message_bytes_max=1_000_000), options)
        self.attempt = Attempt(self.host, 0, live, plan, None, waited_s=0.0)
        client: Any = self.client
        self.attempt.open(client, 1_000)

    def answer(self, data: bytes = b"", *, status: int = 200, content_type: str = CONTENT_TYPE, **headers: str) -> None:
        named = [(name.replace("_", "-"), value) for name, value in headers.items()]
        self.attempt.on_response(status, [("content-type", content_type), *named])
        if data:
            self.attempt.on_data(data)

    def failure(self) -> AttemptError:
        (failure,) = self.host.failures
        assert self.attempt.is_done
        assert self.client.is_aborted
        return failure


def test_an_attempt_names_its_invocation_and_sends_start_and_input() -> None:
    stage = Stage()
    assert stage.client.path == "/invoke/Svc/handle"
    assert stage.client.headers["content-type"] == CONTENT_TYPE
    assert stage.client.headers["x-restate-invocation-id"].startswith("inv_1")
    assert stage.client.sent[:2] == b"\x00\x00"
    assert not stage.client.has_ended


def test_a_request_response_deployment_gets_all_at_once() -> None:
    assert Stage(ProtocolMode.REQUEST_RESPONSE).client.has_ended


def test_an_output_and_an_end_are_fed_in_this_order() -> None:
    stage = Stage()
    stage.answer(OUTPUT + END)
    progressed, ended = stage.host.fed
    assert isinstance(progressed, AttemptProgressed)
    assert progressed.items == [CommandSent(Output(Success(b"out")))]
    assert isinstance(ended, AttemptEnded)
    assert stage.host.closings == 1
    assert stage.client.has_ended


def test_many_commands_that_arrive_at_once_are_several_events_in_their_order() -> None:
    stage = Stage()
    stage.answer(OUTPUT * (2 * ITEMS_PER_EVENT_MAX + 1) + END)
    *progressed, ended = stage.host.fed
    assert [len(event.items) for event in progressed if isinstance(event, AttemptProgressed)] == [
        ITEMS_PER_EVENT_MAX,
        ITEMS_PER_EVENT_MAX,
        1,
    ]
    assert isinstance(ended, AttemptEnded)


def test_much_data_that_arrives_at_once_is_several_events() -> None:
    stage = Stage()
    large = encode_frame(MessageType.OUTPUT, wire.Output(value=wire.Value(content=bytes(DATA_BYTES_MAX // 4))).SerializeToString())
    stage.answer(large * 6)
    assert [len(event.items) for event in stage.host.fed if isinstance(event, AttemptProgressed)] == [3, 3]


def test_what_arrives_behind_a_command_that_ends_the_attempt_does_not_count() -> None:
    stage = Stage()
    feed = stage.host.feed

    def feed_and_stop(attempt: Attempt, event: Event) -> None:
        feed(attempt, event)
        attempt.abort()

    stage.host.feed = feed_and_stop  # type: ignore[method-assign]
    stage.answer(OUTPUT * (2 * ITEMS_PER_EVENT_MAX) + END)
    assert len(stage.host.fed) == 1


@pytest.mark.parametrize(
    ("status", "code", "doc_code"),
    [(500, 500, "RT0012"), (404, 500, "RT0012"), (413, 500, "RT0019"), (415, 415, "RT0015"), (502, 500, "RT0010"), (503, 500, "RT0023")],
)
def test_a_bad_status_fails_the_attempt_with_its_code(status: int, code: int, doc_code: str) -> None:
    stage = Stage()
    stage.answer(status=status)
    assert (stage.failure().code, stage.failure().doc_code) == (code, doc_code)


def test_an_overloaded_deployment_says_when_to_come_back() -> None:
    stage = Stage()
    stage.answer(status=429, retry_after="7")
    assert stage.failure().next_retry_delay_ms == 7_000


def test_another_content_type_fails_the_attempt() -> None:
    stage = Stage()
    stage.answer(content_type="text/html")
    assert "text/html" in stage.failure().message


def test_garbage_fails_the_attempt() -> None:
    stage = Stage()
    stage.answer(b"\x7f\xff\x00\x00\x00\x00\x00\x00")
    assert stage.failure().doc_code == "RT0012"


def test_a_stream_that_just_ends_fails_the_attempt() -> None:
    stage = Stage()
    stage.answer(OUTPUT)
    stage.attempt.on_end()
    assert stage.failure().doc_code == "RT0007"


def test_a_connection_that_breaks_fails_the_attempt() -> None:
    stage = Stage()
    stage.attempt.on_failure(ExchangeFailure(FailureKind.RESET, "cut"))
    assert (stage.failure().doc_code, stage.failure().next_retry_delay_ms) == ("RT0010", None)


def test_a_drained_connection_is_tried_again_at_once() -> None:
    stage = Stage()
    stage.attempt.on_failure(ExchangeFailure(FailureKind.GOAWAY, "drained"))
    assert stage.failure().next_retry_delay_ms == 0


def test_what_is_awaited_too_deeply_pauses() -> None:
    nested = wire.Future(waiting_completions=[1]).SerializeToString()
    for _ in range(300):
        nested = wire.Future(nested_futures=[nested]).SerializeToString()
    suspension = wire.Suspension(awaiting_on=wire.Future(nested_futures=[nested])).SerializeToString()
    stage = Stage(version=7)
    stage.answer(encode_frame(MessageType.SUSPENSION, suspension), content_type="application/vnd.restate.invocation.v7")
    assert (stage.failure().doc_code, stage.failure().behavior) == ("RT0025", ErrorBehavior.PAUSE)


def test_silence_closes_the_request_and_then_ends_the_attempt() -> None:
    stage = Stage()
    stage.answer()
    stage.host.loop.pass_time(59)
    stage.attempt.on_data(b"\x04")
    stage.host.loop.pass_time(59)
    assert not stage.client.has_ended
    stage.host.loop.pass_time(2)
    assert stage.client.has_ended
    stage.host.loop.pass_time(600)
    assert stage.failure().doc_code == "RT0001"


def test_a_suspension_is_fed_with_what_is_awaited() -> None:
    stage = Stage()
    stage.answer(encode_frame(MessageType.SUSPENSION, wire.Suspension(waiting_completions=[3]).SerializeToString()))
    (suspended,) = stage.host.fed
    assert isinstance(suspended, AttemptSuspended)
    assert suspended.awaiting.completion_ids == (3,)


def test_notifications_go_out_in_order_and_those_of_the_replay_do_not() -> None:
    stage = Stage()
    start = len(stage.client.sent)
    completion = Completion(CompletionType.SLEEP, 1, Success(b""))
    stage.attempt.forward(0, completion, as_ack=False)
    assert len(stage.client.sent) == start
    stage.attempt.forward(1, completion, as_ack=False)
    assert stage.client.sent[start : start + 2] == b"\x80\x0c"
    stage.attempt.suspend()
    end = len(stage.client.sent)
    stage.attempt.forward(2, completion, as_ack=False)
    assert len(stage.client.sent) == end


def test_timings_add_up() -> None:
    stage = Stage()
    stage.host.loop.pass_time(1)
    stage.answer()
    stage.host.loop.pass_time(2)
    timings = stage.attempt.timings()
    assert (timings.to_first_byte_us, timings.in_handler_us, timings.in_commits_us) == (1_000_000, 2_000_000, 0)


@pytest.mark.parametrize("how", ["ends", "is cut after its end", "is given up"])
def test_an_exchange_that_is_over_is_freed_without_the_collector(how: str) -> None:
    stage = Stage()
    attempt = stage.client.receiver
    if how == "is given up":
        attempt.abort()
    else:
        stage.answer(OUTPUT + END)
        attempt.on_end() if how == "ends" else attempt.on_failure(ExchangeFailure(FailureKind.RESET, "cut"))
    exchange = weakref.ref(stage.client)
    gc.disable()
    try:
        del stage.client
        assert exchange() is None
    finally:
        gc.enable()


def test_a_cancellation_reaches_the_callees_of_a_seed_era_handler_though_it_says_nothing() -> None:
    stage = Stage(version=0)
    stage.host.resolver = SimpleNamespace(resolve=lambda _schema, _live, command, **_: CommandSent(command, wants_ack=True))
    stage.answer(HEADER.pack(0x0C01, 0, 6) + b"\x0a\x01S\x12\x01m", content_type="application/restate")
    stage.attempt.forward(2, Completion(CompletionType.CALL_INVOCATION_ID, 0x8000_0001, InvocationIdResult("inv_1callee")), as_ack=False)
    stage.attempt.acknowledge(1)
    stage.host.fed.clear()
    stage.attempt.forward(3, Signal(CANCEL_SIGNAL, None, Void()), as_ack=False)
    (progressed,) = stage.host.fed
    assert isinstance(progressed, AttemptProgressed)
    (item,) = progressed.items
    assert isinstance(item, CommandSent)
    assert isinstance(item.command, SendSignal)
    assert (item.command.target_invocation_id, item.command.signal_index) == ("inv_1callee", CANCEL_SIGNAL)
