"""Protocol versions 1 to 3: what a deployment sends is journaled as commands and notifications, and replayed as it was."""

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.base.errors import LocalProtocolError, RemoteProtocolError
from perdure.codec.service_protocol import codec_for
from perdure.codec.service_protocol import messages_pb2 as shared
from perdure.codec.service_protocol.entries import messages_pb2 as wire
from perdure.codec.service_protocol.entries.types import EntryType
from perdure.codec.service_protocol.events import AttemptEvent, CommandSent, Ended, Failed, RunProposed, Suspended
from perdure.codec.service_protocol.frames import FRAME_SLACK_BYTES, FrameTooLarge
from perdure.model import journal
from perdure.model.journal import AttemptError, CallTarget, CompletionType, Future, RunProposal
from perdure.model.result import Failure, Success, Void
from tests.unit.codec import entries, journals
from tests.unit.codec.entries import EMPTY, END, MIB, Server, ack, completion, failure, frame, named, split, state_key, suspension, value


def decode(data: bytes, version: int = 3) -> list[AttemptEvent]:
    return Server(version).decoder.receive(data)


def command_of(data: bytes) -> journal.Command:
    event = decode(data)[0]
    assert isinstance(event, CommandSent)
    return event.command


def target(**fields: object) -> bytes:
    return wire.Addressed(**fields).SerializeToString()


# ---- one entry, one command

CALL = wire.Call(service_name="S", handler_name="h", parameter=b"p", headers=[shared.Header(key="a", value="b")], key="k", name="n")
SEND = wire.OneWayCall(service_name="S", handler_name="h", parameter=b"p", invoke_time=9, key="k", idempotency_key="i", name="n")
PROMISE = wire.PromiseKey(key="p", name="n").SerializeToString()
WORKFLOW = shared.WorkflowTarget(workflow_name="W", workflow_key="k")
REQUEST = shared.IdempotentRequestTarget(service_name="S", handler_name="h", idempotency_key="i")

ENTRIES = [
    (frame(EntryType.OUTPUT, named("n"), value(b"v")), journal.Output(Success(b"v"), "n")),
    (frame(EntryType.OUTPUT, failure(400, "no")), journal.Output(Failure(400, "no"))),
    (frame(EntryType.GET_STATE, state_key(b"k")), journal.GetLazyState(b"k", 1)),
    (frame(EntryType.GET_STATE, state_key(b"k"), value(b"")), journal.GetEagerState(b"k", Success(b""))),
    (frame(EntryType.GET_STATE, state_key(b"k"), EMPTY), journal.GetEagerState(b"k", Void())),
    (frame(EntryType.GET_STATE_KEYS, named("n")), journal.GetLazyStateKeys(1, "n")),
    (
        frame(EntryType.GET_STATE_KEYS, value(shared.StateKeys(keys=[b"a", b"b"]).SerializeToString())),
        journal.GetEagerStateKeys((b"a", b"b")),
    ),
    (frame(EntryType.SET_STATE, wire.SetState(key=b"k", value=b"v").SerializeToString()), journal.SetState(b"k", b"v")),
    (frame(EntryType.CLEAR_STATE, state_key(b"k")), journal.ClearState(b"k")),
    (frame(EntryType.CLEAR_ALL_STATE, named("n")), journal.ClearAllState("n")),
    (frame(EntryType.GET_PROMISE, PROMISE), journal.GetPromise("p", 1, "n")),
    (frame(EntryType.PEEK_PROMISE, PROMISE), journal.PeekPromise("p", 1, "n")),
    (
        frame(EntryType.COMPLETE_PROMISE, wire.CompletePromise(key="p", completion_value=b"v").SerializeToString()),
        journal.CompletePromise("p", Success(b"v"), 1),
    ),
    (
        frame(
            EntryType.COMPLETE_PROMISE, wire.CompletePromise(key="p", completion_failure={"code": 1, "message": "m"}).SerializeToString()
        ),
        journal.CompletePromise("p", Failure(1, "m"), 1),
    ),
    (entries.sleep(5), journal.Sleep(5, 1)),
    (
        frame(EntryType.CALL, CALL.SerializeToString()),
        journal.Call(CallTarget("S", "h", "k"), b"p", (("a", "b"),), 0x8000_0001, 1, "n"),
    ),
    (
        frame(EntryType.ONE_WAY_CALL, SEND.SerializeToString()),
        journal.OneWayCall(CallTarget("S", "h", "k", "i"), b"p", (), 9, 0x8000_0001, "n"),
    ),
    (frame(EntryType.AWAKEABLE, named("n")), journal.Run(0x1000_0001, "n")),
    (
        frame(EntryType.COMPLETE_AWAKEABLE, wire.CompleteAwakeable(id="prom_1x").SerializeToString(), value(b"v")),
        journal.CompleteAwakeable("prom_1x", Success(b"v")),
    ),
    (frame(EntryType.CANCEL_INVOCATION, target(invocation_id="inv_1x")), journal.SendSignal("inv_1x", 1, None, Void())),
    (frame(EntryType.ATTACH_INVOCATION, target(workflow_target=WORKFLOW)), journal.AttachInvocation(journal.WorkflowTarget("W", "k"), 1)),
    (
        frame(EntryType.GET_INVOCATION_OUTPUT, target(idempotent_request_target=REQUEST, name="n")),
        journal.GetInvocationOutput(journal.IdempotentTarget("S", None, "h", "i"), 1, "n"),
    ),
]


@pytest.mark.parametrize(("sent", "command"), ENTRIES)
def test_an_entry_becomes_a_command(sent: bytes, command: journal.Command) -> None:
    assert command_of(sent) == command


@pytest.mark.parametrize("sent", [sent for sent, _ in ENTRIES])
def test_an_entry_is_replayed_as_it_came(sent: bytes) -> None:
    server = Server(3)
    server.journal.append(command_of(sent))
    (code, _, payload), (replayed_code, _, replayed) = split(sent)[0], split(server.open())[2]
    assert (replayed_code, replayed) == (code, payload)


RESULTS = [
    (entries.sleep(5), CompletionType.SLEEP, Void(), EMPTY),
    (entries.call(), CompletionType.CALL, Success(b"v"), value(b"v")),
    (entries.call(), CompletionType.CALL, Failure(409, "m", (("a", "b"),)), failure(409, "m")),
    (frame(EntryType.GET_PROMISE, PROMISE), CompletionType.GET_PROMISE, Success(b""), value(b"")),
    (frame(EntryType.PEEK_PROMISE, PROMISE), CompletionType.PEEK_PROMISE, Void(), EMPTY),
    (frame(EntryType.ATTACH_INVOCATION, target(workflow_target=WORKFLOW)), CompletionType.ATTACH_INVOCATION, Success(b"v"), value(b"v")),
    (frame(EntryType.GET_INVOCATION_OUTPUT, target(invocation_id="i")), CompletionType.GET_INVOCATION_OUTPUT, Void(), EMPTY),
]


@pytest.mark.parametrize(("sent", "kind", "result", "fields"), RESULTS)
def test_a_result_completes_its_entry_once_and_is_replayed_with_it(
    sent: bytes, kind: CompletionType, result: Success | Failure | Void, fields: bytes
) -> None:
    server = Server(3)
    assert server.receive(sent)[1] == b""
    assert server.complete(kind, 1, result) == completion(1, fields)
    assert server.complete(kind, 1, result) == b""
    assert split(server.open())[2] == (split(sent)[0][0], True, split(sent)[0][2] + fields)


def test_state_that_was_not_sent_along_is_read_by_completion() -> None:
    server = Server()
    _, told = server.receive(frame(EntryType.GET_STATE, state_key(b"k")) + frame(EntryType.GET_STATE_KEYS))
    keys = value(shared.StateKeys(keys=[b"a", b"b"]).SerializeToString())
    assert told == completion(1, value(b"state")) + completion(2, keys)
    assert [is_completed for _, is_completed, _ in split(server.open())[2:]] == [True, True]


# ---- runs


@pytest.mark.parametrize("fields", [value(b"v"), value(b""), failure(500, "no"), b""], ids=["value", "empty value", "failure", "nothing"])
def test_a_run_comes_with_its_result_and_is_acknowledged_once_that_is_durable(fields: bytes) -> None:
    server = Server()
    sent = frame(EntryType.RUN, named("r"), fields, wants_ack=True)
    events = server.decoder.receive(sent)
    assert [type(event) for event in events] == [CommandSent, RunProposed]
    assert server.append(events[0]) == b""
    assert server.append(events[1]) == ack(1)
    assert split(server.open())[2] == (EntryType.RUN, False, named("r") + fields)


def test_a_run_that_was_cut_off_from_its_proposal_is_run_again_at_the_same_place() -> None:
    server = Server(entries=[entries.INPUT, journal.Run(1, "r")])
    assert len(split(server.open())) == 2
    events, told = server.receive(frame(EntryType.RUN, named("r"), value(b"v")))
    assert events[1] == RunProposed(RunProposal(1, Success(b"v")))
    assert told == ack(1)
    assert split(server.open())[2:] == [(EntryType.RUN, False, named("r") + value(b"v"))]


# ---- awakeables


def test_an_awakeable_is_completed_by_the_signal_of_its_entry() -> None:
    server = Server()
    server.receive(entries.awakeable() + entries.awakeable())
    assert server.notify(journal.Signal(18, None, Success(b"v"))) == completion(2, value(b"v"))
    assert server.notify(journal.Signal(18, None, Success(b"w"))) == b""
    assert server.notify(journal.Signal(17, None, Void())) == completion(1, value(b""))
    assert split(server.open())[2:] == [(EntryType.AWAKEABLE, True, value(b"")), (EntryType.AWAKEABLE, True, value(b"v"))]


def test_a_signal_for_what_is_no_awakeable_is_ignored() -> None:
    server = Server()
    server.receive(entries.sleep(1))
    for signal in (journal.Signal(17, None, Success(b"v")), journal.Signal(2, None, Void()), journal.Signal(None, "s", Void())):
        assert server.notify(signal) == b""
    assert split(server.open())[2] == (EntryType.SLEEP, False, b"\x08\x01")


def test_a_signal_may_overtake_the_entry_of_its_awakeable() -> None:
    server = Server()
    assert server.notify(journal.Signal(17, None, Failure(500, "no"))) == b""
    assert server.receive(entries.awakeable())[1] == completion(1, failure(500, "no"))
    assert split(server.open())[2] == (EntryType.AWAKEABLE, True, failure(500, "no"))


# ---- suspension


def test_a_suspension_waits_for_any_of_its_entries_or_a_cancellation() -> None:
    sent = entries.sleep(1) + entries.awakeable() + frame(EntryType.RUN, wants_ack=True) + frame(0xFC02, b"x", wants_ack=True)
    assert decode(sent + suspension(1, 2, 3, 4))[-1] == Suspended(Future((1, 0x2000_0003, 0x3000_0004), (18, 1)))


def test_a_suspension_after_a_replay_knows_its_awakeables() -> None:
    server = Server()
    server.receive(entries.awakeable())
    server.open()
    assert server.decoder.receive(suspension(1)) == [Suspended(Future((), (17, 1)))]


def test_a_cancellation_that_was_told_does_not_wake_again() -> None:
    server = Server()
    server.receive(entries.sleep(1))
    server.cancel()
    server.open()
    assert server.receive(entries.sleep(2) + suspension(2))[0][-1] == Suspended(Future((2,)))


def test_a_suspension_that_crosses_a_cancellation_ends_at_once() -> None:
    server = Server()
    server.receive(entries.sleep(1))
    assert server.cancel() != b""
    assert server.receive(suspension(1))[0] == [Suspended(Future((1,), (1,)))]


# ---- cancellation

CANCELED = failure(409, "canceled")


def test_a_cancellation_completes_all_that_waits() -> None:
    server = Server()
    server.receive(entries.sleep(1) + entries.awakeable() + entries.sleep(2))
    server.complete(CompletionType.SLEEP, 1, Void())
    assert server.cancel() == completion(2, CANCELED) + completion(3, CANCELED)
    assert server.complete(CompletionType.SLEEP, 3, Void()) == b""
    assert [payload for _, _, payload in split(server.open())[3:]] == [CANCELED, b"\x08\x02" + CANCELED]


def test_a_cancellation_that_finds_nobody_reaches_the_next_that_waits() -> None:
    server = Server()
    assert server.cancel() == b""
    assert server.receive(frame(EntryType.RUN) + entries.sleep(1) + entries.sleep(2))[1] == ack(1) + completion(2, CANCELED)
    assert [is_completed for _, is_completed, _ in split(server.open())[3:]] == [True, False]


def test_an_entry_in_flight_when_a_cancellation_is_journaled_is_treated_as_in_the_replay() -> None:
    server = Server()
    server.receive(entries.sleep(1))
    in_flight = server.decoder.receive(entries.sleep(2))
    assert server.cancel() == completion(1, CANCELED)
    assert b"".join(server.append(event) for event in in_flight) == b""
    assert [is_completed for _, is_completed, _ in split(server.open())[2:]] == [True, False]


def test_a_cancelled_call_passes_the_cancellation_on_once() -> None:
    server = Server()
    server.receive(entries.call())
    assert server.cancel() == completion(1, CANCELED)
    passed_on = CommandSent(journal.SendSignal(entries.CALLEE, 1, None, Void(), "cancellation passed on"))
    server.open()  # the attempt was lost before anything came
    events, told = server.receive(frame(EntryType.RUN, wants_ack=True))
    assert events[0] == passed_on
    assert told == ack(2)
    assert [code for code, _, _ in split(server.open())] == [EntryType.START, EntryType.INPUT, EntryType.CALL, EntryType.RUN]
    assert passed_on not in server.receive(END)[0]


def test_indexes_of_commands_and_entries_part_where_a_cancellation_was_passed_on() -> None:
    server = Server()
    server.receive(entries.call())
    server.cancel()
    assert server.receive(frame(EntryType.CLEAR_ALL_STATE, wants_ack=True))[1] == ack(2)
    events, _ = server.receive(frame(EntryType.ERROR, shared.Error(code=500, related_command_index=2).SerializeToString()))
    assert events == [Failed(AttemptError(500, "", "RT0007", related_command_index=3))]


# ---- what only the SDK understands, and V3


def test_a_custom_entry_is_kept_as_it_came() -> None:
    server = Server()
    assert server.receive(frame(0xFC02, b"\x00any", wants_ack=True) + frame(0xFC03, b""))[1] == ack(1)
    assert split(server.open())[2:] == [(0xFC02, False, b"\x00any"), (0xFC03, False, b"")]


def test_the_id_of_a_callee_is_told_live_and_in_the_replay() -> None:
    server = Server(3)
    asked = wire.GetCallInvocationId(call_entry_index=1).SerializeToString()
    assert server.receive(entries.call() + frame(EntryType.GET_CALL_INVOCATION_ID, asked))[1] == completion(2, value(b"inv_1callee"))
    assert split(server.open())[3] == (EntryType.GET_CALL_INVOCATION_ID, True, asked + value(b"inv_1callee"))


def test_the_id_of_what_is_no_call_is_a_failure() -> None:
    asked = wire.GetCallInvocationId(call_entry_index=7).SerializeToString()
    told = Server(3).receive(frame(EntryType.GET_CALL_INVOCATION_ID, asked))[1]
    assert told == completion(1, failure(400, "entry 7 is no call"))


def test_a_call_is_addressed_by_its_entry_once_it_is_durable() -> None:
    server = Server(3)
    attach = frame(EntryType.ATTACH_INVOCATION, target(call_entry_index=1))
    server.receive(entries.call())
    assert server.receive(attach)[0] == [CommandSent(journal.AttachInvocation(journal.InvocationTarget(entries.CALLEE), 2), wants_ack=True)]
    with pytest.raises(RemoteProtocolError, match="entry 1 is not known yet"):
        decode(attach)


# ---- start and control


def test_the_start_tells_what_its_version_knows() -> None:
    for version, retry_count in ((1, 0), (2, 3), (3, 3)):
        start = shared.Start.FromString(split(Server(version).open())[0][2])
        assert (start.known_entries, start.retry_count_since_last_stored_entry, start.random_seed) == (1, retry_count, 0)
        assert (start.id, start.debug_id, start.partial_state) == (entries.ID, "inv_1x", True)


def test_the_start_carries_the_state() -> None:
    encoder, _ = codec_for(1, message_bytes_max=MIB)
    encoder.start(invocation_id=entries.ID, debug_id="", known_entries=1, state=[(b"a", b"1")], is_state_partial=False, key="k")
    start = shared.Start.FromString(split(encoder.entry(entries.INPUT))[0][2])
    assert (start.key, start.partial_state) == ("k", False)
    assert [(entry.key, entry.value) for entry in start.state_map] == [(b"a", b"1")]


def test_content_types_name_the_version() -> None:
    assert [codec_for(version, message_bytes_max=MIB).encoder.content_type for version in (1, 4, 7)] == [
        f"application/vnd.restate.invocation.v{version}" for version in (1, 4, 7)
    ]


def test_the_input_is_replayed_with_its_headers() -> None:
    message = wire.Input.FromString(split(Server().open())[1][2])
    assert (message.value, [(header.key, header.value) for header in message.headers]) == (b'"in"', [("a", "b")])


def test_nothing_after_the_end_counts() -> None:
    server = Server()
    assert server.decoder.receive(END + entries.sleep(1)) == [Ended()]
    assert server.decoder.has_ended
    assert server.decoder.receive(entries.sleep(1)) == []


def test_an_error_names_its_entry() -> None:
    error = shared.Error(code=570, message="m", stacktrace="s", related_command_type=EntryType.RUN, next_retry_delay=10)
    (event,) = decode(frame(EntryType.ERROR, error.SerializeToString()))
    assert event == Failed(AttemptError(570, "m", "RT0016", "s", related_command_type="Run", next_retry_delay_ms=10))


REFUSED = [
    (frame(EntryType.START), "only the server sends"),
    (frame(EntryType.INPUT), "only the server sends"),
    (frame(EntryType.COMPLETION), "only the server sends"),
    (frame(EntryType.ENTRY_ACK), "only the server sends"),
    (frame(0x0006), "unknown type 0x0006"),
    (frame(0x040C), "unknown type 0x040C"),
    (frame(EntryType.OUTPUT), "Output without a result"),
    (frame(EntryType.OUTPUT, EMPTY), "Output without a result"),
    (frame(EntryType.COMPLETE_AWAKEABLE), "CompleteAwakeable without a result"),
    (frame(EntryType.COMPLETE_PROMISE), "CompletePromise without a completion"),
    (frame(EntryType.GET_STATE, failure(1, "m")), "GetState with a failure"),
    (frame(EntryType.GET_STATE_KEYS, EMPTY), "no list"),
    (frame(EntryType.CANCEL_INVOCATION), "without a target"),
    (frame(EntryType.CANCEL_INVOCATION, target(workflow_target=WORKFLOW)), "CancelInvocation without a target"),
    (frame(EntryType.SUSPENSION), "waits for nothing"),
    (frame(EntryType.SLEEP, b"\xff"), "not valid protobuf"),
    (frame(EntryType.GET_CALL_INVOCATION_ID, b"\xff"), "not valid protobuf"),
]


@pytest.mark.parametrize(("sent", "reason"), REFUSED)
def test_what_breaks_the_protocol_is_refused(sent: bytes, reason: str) -> None:
    with pytest.raises(RemoteProtocolError, match=reason) as caught:
        decode(sent)
    assert caught.value.code == "RT0012"


def test_a_length_over_the_limit_is_refused_before_its_payload_comes() -> None:
    limit = MIB + FRAME_SLACK_BYTES
    assert decode(bytes.fromhex("0c050000") + (limit - 1).to_bytes(4, "big")) == []
    with pytest.raises(FrameTooLarge, match=f"Run of {limit} bytes"):
        decode(bytes.fromhex("0c050000") + limit.to_bytes(4, "big"))


def test_proposals_are_not_acknowledged_before_version_seven() -> None:
    with pytest.raises(LocalProtocolError):
        Server().encoder.proposal_ack(1)


# ---- whatever comes

unknown_field = st.just(b"\xfa\x3f\x03abc")  # field 1023
frames = st.sampled_from([sent for sent, _ in ENTRIES] + [frame(EntryType.RUN, named("r"), value(b"1")), frame(0xFC02, b"x")])


@given(st.lists(frames, max_size=8), st.data())
def test_events_do_not_depend_on_how_the_stream_is_cut(sent: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(sent) + END
    cuts = sorted({0, len(stream), *data.draw(st.lists(st.integers(0, len(stream)), max_size=8))})
    decoder = Server(3).decoder
    assert [event for begin, end in pairwise(cuts) for event in decoder.receive(stream[begin:end])] == decode(stream)


@given(st.sampled_from(ENTRIES), unknown_field)
def test_unknown_fields_are_passed_over(sent: tuple[bytes, journal.Command], field: bytes) -> None:
    code, _, payload = split(sent[0])[0]
    assert command_of(frame(code, payload, field)) == sent[1]


@given(st.integers(0, 0xFFFF) | st.sampled_from(EntryType), st.binary(max_size=40))
def test_whatever_arrives_is_an_event_or_a_protocol_error(code: int, payload: bytes) -> None:
    with suppress(RemoteProtocolError):
        assert len(decode(frame(code, payload))) in (1, 2)


actions = st.sampled_from(["sleep", "awakeable", "call", "run", "cancel", "wake", "resolve", "answer", "reopen", "custom"])


@given(st.lists(actions, max_size=25))
def test_a_replay_shows_what_the_attempts_were_told(script: list[str]) -> None:
    server = Server(2)
    sends = {"sleep": entries.sleep(9), "awakeable": entries.awakeable(), "call": entries.call()}
    sends |= {"run": frame(EntryType.RUN, value(b"r")), "custom": frame(0xFC02, b"x")}
    kinds: list[str] = [""]
    told: dict[int, bytes] = {}
    for action in script:
        answer = b""
        if action in sends:
            kinds.append(action)
            answer = server.receive(sends[action])[1]
        elif action == "cancel":
            answer = server.cancel()
        elif action == "reopen":
            server.open()
        else:
            kind = {"wake": "sleep", "resolve": "awakeable", "answer": "call"}[action]
            index = max((at for at, its_kind in enumerate(kinds) if its_kind == kind), default=None)
            if index is not None:
                answer = _answer(server, action, index)
        for code, _, payload in split(answer):
            if code == EntryType.COMPLETION:
                index = wire.Completion.FromString(payload).entry_index
                assert index not in told, "an entry is completed once"
                told[index] = payload.removeprefix(wire.Completion(entry_index=index).SerializeToString())
    replayed = split(server.open())[1:]
    assert len(replayed) == len(kinds)
    assert {index for index, (_, is_completed, _) in enumerate(replayed) if is_completed} == told.keys()
    assert all(replayed[index][2].endswith(result) for index, result in told.items())


def _answer(server: Server, action: str, index: int) -> bytes:
    if action == "wake":
        return server.complete(CompletionType.SLEEP, index, Void())
    if action == "answer":
        return server.complete(CompletionType.CALL, index, Success(b"c"))
    return server.notify(journal.Signal(index + 16, None, Success(b"a")))


@given(journals.commands | journals.completions | journals.signals)
def test_version_four_is_version_five(entry: journal.Entry) -> None:
    (four, _), (five, _) = (codec_for(version, message_bytes_max=MIB) for version in (4, 5))
    assert four.entry(entry) == five.entry(entry)
