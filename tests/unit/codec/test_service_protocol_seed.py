"""The protocol of the seed era: what SDK 0.8.1 sends is journaled as commands and notifications, and replayed as it was."""

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.base.errors import LocalProtocolError, RemoteProtocolError
from perdure.codec.rpc.failures import failure_of, grpc_code_of
from perdure.codec.service_protocol.entries.types import EntryType
from perdure.codec.service_protocol.events import AttemptEvent, CommandSent, Ended, Failed, Suspended
from perdure.codec.service_protocol.frames import FRAME_SLACK_BYTES, HEADER, FrameTooLarge
from perdure.codec.service_protocol.seed import messages_pb2 as wire
from perdure.codec.service_protocol.seed.types import COMBINATOR, SIDE_EFFECT
from perdure.model import journal
from perdure.model.journal import CallTarget, CompletionType, Future
from perdure.model.result import Failure, Success, Void
from tests.unit.codec.entries import CALLEE, END, ID, INPUT, MIB, Server, ack, frame, split, suspension

VALUE = wire.Result(value=b"v").SerializeToString()
EMPTY_VALUE = b"\x72\x00"
NOTHING = wire.Result(empty=wire.Nothing()).SerializeToString()
INVOKE = wire.Invoke(service="S", method="m", parameter=b"p")
LATER = wire.Invoke(service="S", method="m", parameter=b"p", invoke_at_ms=9)
KEY = wire.StateKey(key=b"n").SerializeToString()
SIDE_EFFECT_FRAME = frame(SIDE_EFFECT, VALUE, wants_ack=True)


def failure(code: int, message: str = "no") -> bytes:
    return wire.Result(failure=wire.Failure(code=code, message=message)).SerializeToString()


def completion(index: int, result: bytes) -> bytes:
    return frame(EntryType.COMPLETION, wire.Answer(entry_index=index).SerializeToString(), result)


def a_server() -> Server:
    return Server(0)


def decode(data: bytes) -> list[AttemptEvent]:
    return a_server().decoder.receive(data)


def command_of(data: bytes) -> journal.Command:
    event = decode(data)[0]
    assert isinstance(event, CommandSent)
    return event.command


ENTRIES: list[tuple[bytes, journal.Command]] = [
    (frame(EntryType.OUTPUT, VALUE), journal.Output(Success(b"v"))),
    (frame(EntryType.OUTPUT, EMPTY_VALUE), journal.Output(Success(b""))),
    (frame(EntryType.OUTPUT, failure(13)), journal.Output(Failure(500, "no", (("grpc-status", "13"),)))),
    (frame(EntryType.GET_STATE, KEY), journal.GetLazyState(b"n", 1)),
    (frame(EntryType.GET_STATE, KEY, NOTHING), journal.GetEagerState(b"n", Void())),
    (frame(EntryType.GET_STATE, KEY, EMPTY_VALUE), journal.GetEagerState(b"n", Success(b""))),
    (frame(EntryType.GET_STATE_KEYS), journal.GetLazyStateKeys(1)),
    (frame(EntryType.GET_STATE_KEYS, b"\x72\x06\x0a\x01a\x0a\x01b"), journal.GetEagerStateKeys((b"a", b"b"))),
    (frame(EntryType.SET_STATE, wire.SetState(key=b"n", value=b"1").SerializeToString()), journal.SetState(b"n", b"1")),
    (frame(EntryType.CLEAR_STATE, KEY), journal.ClearState(b"n")),
    (frame(EntryType.CLEAR_ALL_STATE), journal.ClearAllState()),
    (frame(EntryType.SLEEP, wire.Sleep(wake_up_at_ms=5).SerializeToString()), journal.Sleep(5, 1)),
    (frame(EntryType.CALL, INVOKE.SerializeToString()), journal.Call(CallTarget("S", "m", ""), b"p", (), 0x8000_0001, 1)),
    (frame(EntryType.ONE_WAY_CALL, LATER.SerializeToString()), journal.OneWayCall(CallTarget("S", "m", ""), b"p", (), 9, 0x8000_0001)),
    (frame(EntryType.AWAKEABLE), journal.Run(0x1000_0001)),
    (
        frame(EntryType.COMPLETE_AWAKEABLE, wire.CompleteAwakeable(id="prom_1x", value=b"").SerializeToString()),
        journal.CompleteAwakeable("prom_1x", Success(b"")),
    ),
    (
        frame(EntryType.COMPLETE_AWAKEABLE, wire.CompleteAwakeable(id="prom_1x", failure={"code": 2, "message": "m"}).SerializeToString()),
        journal.CompleteAwakeable("prom_1x", failure_of(2, "m")),
    ),
]
KEPT = [SIDE_EFFECT_FRAME, frame(SIDE_EFFECT, wants_ack=True), frame(COMBINATOR, b"\x12\x01\x05", wants_ack=True), frame(0x0C05, b"x")]


@pytest.mark.parametrize(("sent", "command"), ENTRIES)
def test_an_entry_becomes_a_command(sent: bytes, command: journal.Command) -> None:
    assert command_of(sent) == command


@pytest.mark.parametrize("sent", [*(sent for sent, _ in ENTRIES), *KEPT])
def test_an_entry_is_replayed_as_it_came(sent: bytes) -> None:
    server = a_server()
    server.receive(sent)
    server.journal = [entry for entry in server.journal if not isinstance(entry, journal.Completion) or entry.completion_id > 0x1000_0000]
    (code, _, payload), (replayed_code, _, replayed) = split(sent)[0], split(server.open())[2]
    assert (replayed_code, replayed) == (code, payload)


def test_an_attempt_begins_with_version_one_in_the_flags_and_a_completed_input() -> None:
    server = a_server()
    state = [(b"a", b""), (b"n", b"1")]
    first = server.encoder.start(invocation_id=ID, debug_id="inv_1x", known_entries=1, state=state, is_state_partial=False, key="k")
    stream = first + server.encoder.entry(INPUT)
    code, flags, length = HEADER.unpack_from(stream)
    start = wire.Start.FromString(stream[8 : 8 + length])
    assert (code, flags) == (0, 1)
    assert (start.id, start.debug_id, start.known_entries, start.is_state_partial) == (ID, "inv_1x", 1, False)
    assert [(entry.key, entry.value) for entry in start.state] == state
    assert split(stream)[1] == (EntryType.INPUT, True, wire.Result(value=INPUT.value).SerializeToString())
    assert server.encoder.content_type == "application/restate"


RESULTS = [
    (ENTRIES[11][0], CompletionType.SLEEP, Void(), NOTHING),
    (ENTRIES[12][0], CompletionType.CALL, Success(b"v"), VALUE),
    (ENTRIES[12][0], CompletionType.CALL, failure_of(13, "no"), failure(13)),
    (ENTRIES[12][0], CompletionType.CALL, Failure(404, "no"), failure(5)),
    (ENTRIES[12][0], CompletionType.CALL, Failure(409, "canceled"), failure(1, "canceled")),
    (ENTRIES[12][0], CompletionType.CALL, Failure(409, "killed"), failure(10, "killed")),
]


@pytest.mark.parametrize(("sent", "kind", "result", "fields"), RESULTS)
def test_a_result_completes_its_entry_and_is_replayed_with_it(sent: bytes, kind: CompletionType, result: Success, fields: bytes) -> None:
    server = a_server()
    server.receive(sent)
    assert server.complete(kind, 1, result) == completion(1, fields)
    code, _, payload = split(sent)[0]
    assert split(server.open())[2] == (code, True, payload + fields)


def test_state_is_answered_as_soon_as_it_is_asked_for() -> None:
    server = a_server()
    assert server.receive(frame(EntryType.GET_STATE, KEY))[1] == completion(1, wire.Result(value=b"state").SerializeToString())
    assert server.receive(frame(EntryType.GET_STATE_KEYS))[1] == completion(2, b"\x72\x06\x0a\x01a\x0a\x01b")


@pytest.mark.parametrize("sent", KEPT[:3])
def test_what_only_the_sdk_understands_is_acknowledged_once_it_is_durable(sent: bytes) -> None:
    assert a_server().receive(sent)[1] == ack(1)


def test_a_suspension_for_an_acknowledgement_ends_with_it() -> None:
    server = a_server()
    server.receive(SIDE_EFFECT_FRAME)
    (suspended,), _ = server.receive(suspension(1))
    assert suspended == Suspended(Future(completion_ids=(0x3000_0001,), signal_indexes=(1,)))


@pytest.mark.parametrize("is_early", [False, True])
def test_an_awakeable_is_completed_by_its_signal_whenever_that_comes(is_early: bool) -> None:
    server = a_server()
    told = b""
    if is_early:
        told += server.notify(journal.Signal(17, None, Success(b"v")))
    told += server.receive(frame(EntryType.AWAKEABLE))[1]
    if not is_early:
        told += server.notify(journal.Signal(17, None, Success(b"v")))
    assert told == completion(1, VALUE)
    assert split(server.open())[2] == (EntryType.AWAKEABLE, True, VALUE)


def test_a_cancellation_ends_what_waits_but_calls_wait_for_their_callee() -> None:
    server = a_server()
    for sent in (ENTRIES[11][0], ENTRIES[12][0], frame(EntryType.AWAKEABLE)):
        server.receive(sent)
    assert server.cancel() == completion(1, failure(1, "canceled")) + completion(3, failure(1, "canceled"))
    (passed_on,), _ = server.receive(b"")
    assert passed_on == CommandSent(journal.SendSignal(CALLEE, 1, None, Void(), "cancellation passed on"))
    assert server.complete(CompletionType.CALL, 2, failure_of(1, "compensated")) == completion(2, failure(1, "compensated"))
    assert [is_completed for _, is_completed, _ in split(server.open())[1:]] == [True] * 4
    assert server.decoder.receive(b"") == []


def test_a_cancellation_that_came_between_attempts_is_passed_on_by_the_next_one() -> None:
    server = a_server()
    server.receive(ENTRIES[12][0])
    server.journal.append(journal.Signal(1, None, Void()))
    assert split(server.open())[2][1] is False
    (passed_on,), _ = server.receive(b"")
    assert isinstance(passed_on, CommandSent)
    (suspended,), _ = server.receive(suspension(1))
    assert suspended == Suspended(Future(completion_ids=(1,)))


def test_a_cancellation_that_finds_nothing_is_forgotten() -> None:
    server = a_server()
    assert server.cancel() == b""
    assert server.receive(ENTRIES[11][0])[1] == b""
    assert split(server.open())[2][1] is False


def test_an_error_keeps_its_text_and_is_told_by_its_code() -> None:
    message = wire.Error(code=32, message="other code", description="at x").SerializeToString()
    (failed,) = decode(frame(EntryType.ERROR, message))
    assert isinstance(failed, Failed)
    assert (failed.error.doc_code, failed.error.message, failed.error.stacktrace) == ("RT0016", "other code", "at x")
    (unknown,) = decode(frame(EntryType.ERROR, wire.Error(code=13).SerializeToString()))
    assert isinstance(unknown, Failed)
    assert (unknown.error.doc_code, unknown.error.code) == ("RT0007", 500)


REFUSED = [
    frame(EntryType.OUTPUT),
    frame(EntryType.OUTPUT, NOTHING),
    frame(EntryType.GET_STATE, KEY, failure(1)),
    frame(EntryType.GET_STATE_KEYS, NOTHING),
    frame(EntryType.SLEEP, NOTHING),
    frame(EntryType.CALL, INVOKE.SerializeToString(), VALUE),
    frame(EntryType.AWAKEABLE, VALUE),
    frame(EntryType.COMPLETE_AWAKEABLE, wire.CompleteAwakeable(id="prom_1x").SerializeToString()),
    frame(EntryType.INPUT, VALUE),
    frame(EntryType.START),
    frame(EntryType.COMPLETION),
    frame(EntryType.ENTRY_ACK),
    frame(EntryType.SUSPENSION),
    frame(EntryType.SLEEP, b"\xff"),
    frame(0x0006),
]


@pytest.mark.parametrize("sent", REFUSED)
def test_what_breaks_the_protocol_is_refused(sent: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode(sent)


def test_a_message_above_the_limit_is_refused_at_its_header() -> None:
    with pytest.raises(FrameTooLarge):
        decode(HEADER.pack(SIDE_EFFECT, 0, MIB + FRAME_SLACK_BYTES))


def test_what_follows_the_end_is_ignored() -> None:
    assert decode(END + SIDE_EFFECT_FRAME + b"\xff" * 9) == [Ended()]


def test_a_journal_of_the_era_has_no_runs() -> None:
    server = a_server()
    server.journal += [journal.Run(1), journal.Completion(CompletionType.RUN, 1, Success(b""))]
    with pytest.raises(LocalProtocolError):
        server.open()


@given(st.integers(1, 16), st.text(max_size=20))
def test_a_code_survives_the_model(code: int, message: str) -> None:
    failed = failure_of(code, message)
    assert (grpc_code_of(failed), failed.message) == (code, message)
    assert 400 <= failed.code < 600


@pytest.mark.parametrize("code", [0, 17, 64, 2**32 - 1])
def test_what_is_no_code_is_unknown(code: int) -> None:
    assert grpc_code_of(failure_of(code, "")) == 2


@pytest.mark.parametrize(("http", "grpc"), [(400, 3), (401, 16), (403, 7), (404, 5), (409, 10), (429, 8), (501, 12), (503, 14), (418, 2)])
def test_failures_of_today_have_the_code_that_is_nearest(http: int, grpc: int) -> None:
    assert grpc_code_of(Failure(http, "m", (("other", "x"), ("grpc-status", "not a number")))) == grpc


frames = st.sampled_from([*(sent for sent, _ in ENTRIES), *KEPT])


@given(st.lists(frames, max_size=8), st.data())
def test_events_do_not_depend_on_how_the_stream_is_cut(sent: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(sent) + END
    cuts = sorted({0, len(stream), *data.draw(st.lists(st.integers(0, len(stream)), max_size=8))})
    decoder = a_server().decoder
    assert [event for begin, end in pairwise(cuts) for event in decoder.receive(stream[begin:end])] == decode(stream)


@given(st.integers(0, 0xFFFF) | st.sampled_from(EntryType), st.binary(max_size=40))
def test_whatever_arrives_is_an_event_or_a_protocol_error(code: int, payload: bytes) -> None:
    with suppress(RemoteProtocolError):
        assert len(decode(frame(code, payload))) in (1, 2)


@given(st.lists(frames, min_size=1, max_size=8))
def test_a_replay_has_the_entries_that_were_sent_in_their_order(sent: list[bytes]) -> None:
    server = a_server()
    server.receive(b"".join(sent))
    replayed = split(server.open())[2:]
    assert [code for code, _, _ in replayed] == [split(each)[0][0] for each in sent]
    assert all(payload.startswith(split(each)[0][2]) for each, (_, _, payload) in zip(sent, replayed, strict=True))
