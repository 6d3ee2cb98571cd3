"""Attempts of the service protocol: frames, control messages and the exchanges that were recorded with real SDKs."""

import importlib.util
import subprocess
import sys
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.base.errors import RemoteProtocolError
from perdure.base.ids import InvocationId
from perdure.codec.service_protocol import AttemptDecoder, AttemptEncoder, messages_pb2, negotiate
from perdure.codec.service_protocol import messages_pb2 as wire
from perdure.codec.service_protocol.events import AwaitingOn, CommandSent, Ended, Failed, RunProposed, Suspended
from perdure.codec.service_protocol.frames import FRAME_SLACK_BYTES, FrameDecoder, FrameTooLarge, MessageType, encode_frame
from perdure.codec.service_protocol.parts import FUTURE_DEPTH_MAX, FutureTooDeep
from perdure.model import journal
from perdure.model.journal import AttemptError, Combinator, CompletionType, ErrorBehavior, Future, RunProposal
from perdure.model.result import Failure, InvocationIdResult, Success, Void
from tests.unit.codec import journals

MIB = 1024 * 1024
ID = InvocationId(bytes(range(1, 25)))
END = bytes.fromhex("0003000000000000")


def decode(data: bytes, version: int = 6):
    return AttemptDecoder(version, message_bytes_max=MIB).receive(data)


def refusal(code: int, payload: bytes = b"", version: int = 6) -> RemoteProtocolError:
    with pytest.raises(RemoteProtocolError) as caught:
        decode(encode_frame(code, payload), version)
    return caught.value


# ---- recorded exchanges


def test_the_recorded_start_is_what_we_send() -> None:
    frame = AttemptEncoder(6).start(invocation_id=ID, debug_id="inv_1testtesttesttesttest", known_entries=1)
    expected = "00000000 00000039 0a18" + bytes(ID).hex() + "1219" + b"inv_1testtesttesttesttest".hex() + "18012801"
    assert frame == bytes.fromhex(expected)


def call_target(key: str = "") -> journal.CallTarget:
    return journal.CallTarget("Greeter", "greet", key)


RECORDED_ENTRIES = [
    ("04000000 00000009 7207 0a05 22626f6222", journal.Input(b'"bob"')),
    ("04110000 00000006 5801 6202 7231", journal.Run(1, "r1")),
    ("80110000 0000000c 0801 2a08 0a06 2278626f6222", journal.Completion(CompletionType.RUN, 1, Success(b'"xbob"'))),
    ("040c0000 00000009 08 ff83dfd9a034 5802", journal.Sleep(1_796_000_891_391, 2)),
    ("800c0000 00000004 0802 2200", journal.Completion(CompletionType.SLEEP, 2, Void())),
    ("04010000 0000000d 720b 0a09 2248692078626f6222", journal.Output(Success(b'"Hi xbob"'))),
    (
        "040e0000 00000019 0a07" + b"Greeter".hex() + "1205" + b"greet".hex() + "1a05 22626f6222 5001",
        journal.OneWayCall(call_target(), b'"bob"', (), 0, 1),
    ),
    (
        "040d0000 0000001b 0a07" + b"Greeter".hex() + "1205" + b"greet".hex() + "1a05 22626f6222 5002 5803",
        journal.Call(call_target(), b'"bob"', (), 2, 3),
    ),
    ("04020000 00000005 0a0163 5801", journal.GetLazyState(b"c", 1)),
    ("80020000 00000004 0801 2200", journal.Completion(CompletionType.GET_LAZY_STATE, 1, Void())),
    ("04070000 00000005 0a0163 6a00", journal.GetEagerState(b"c", Void())),
    ("04070000 00000008 0a0163 7203 0a0133", journal.GetEagerState(b"c", Success(b"3"))),
    ("04030000 00000008 0a0163 1a03 0a0135", journal.SetState(b"c", b"5")),
    ("04080000 00000005 7203 0a0163", journal.GetEagerStateKeys((b"c",))),
    ("04060000 00000002 5802", journal.GetLazyStateKeys(2)),
    ("04090000 00000005 0a0170 5801", journal.GetPromise("p", 1)),
    ("040b0000 0000000c 0a0170 1205 0a03 227322 5801", journal.CompletePromise("p", Success(b'"s"'), 1)),
    ("fbff0000 00000004 1001 2200", journal.Signal(1, None, Void())),
    ("04010000 00000010 7a0e 089903 1209 63616e63656c6c6564", journal.Output(Failure(409, "cancelled"))),
    ("04010000 0000000b 7a09 08a203 1204 6e6f7065", journal.Output(Failure(418, "nope"))),
    (
        "800e0000 0000000a 0802 8201 05" + b"inv_1".hex(),
        journal.Completion(CompletionType.CALL_INVOCATION_ID, 2, InvocationIdResult("inv_1")),
    ),
]


@pytest.mark.parametrize(("recorded", "entry"), RECORDED_ENTRIES)
def test_recorded_entries_are_encoded_byte_for_byte(recorded: str, entry: journal.Entry) -> None:
    if isinstance(entry, journal.Sleep):
        entry = journal.Sleep(wire.Sleep.FromString(bytes.fromhex(recorded)[8:]).wake_up_time, 2)
    assert AttemptEncoder(6).entry(entry) == bytes.fromhex(recorded)


@pytest.mark.parametrize(
    ("recorded", "entry"),
    [(text, entry) for text, entry in RECORDED_ENTRIES if text.startswith("04") and not isinstance(entry, journal.Input | journal.Sleep)],
)
def test_recorded_commands_are_understood(recorded: str, entry: journal.Command) -> None:
    assert decode(bytes.fromhex(recorded)) == [CommandSent(entry)]


def test_the_recorded_version_6_response_is_understood() -> None:
    response = bytes.fromhex("04110000 00000006 5801 6202 7231 00050000 0000000a 0801 7206 2278626f6222 00010000 00000006 0a01 02 1201 01")
    assert decode(response) == [
        CommandSent(journal.Run(1, "r1")),
        RunProposed(RunProposal(1, Success(b'"xbob"'))),
        Suspended(Future((2,), (1,))),
    ]


def test_the_recorded_version_7_response_is_understood() -> None:
    response = bytes.fromhex(
        "00058000 0000000a 0801 7206 2278626f6222"
        "00060000 0000000a 0a08 0a0101 120101 2801"
        "00058000 0000000a 0801 7a06 08f403 120178"
        "00010000 0000000a 2208 0a0102 120101 2801"
    )
    assert decode(response, 7) == [
        RunProposed(RunProposal(1, Success(b'"xbob"'), wants_ack=True)),
        AwaitingOn(Future((1,), (1,), combinator=Combinator.FIRST_COMPLETED)),
        RunProposed(RunProposal(1, Failure(500, "x"), wants_ack=True)),
        Suspended(Future((2,), (1,), combinator=Combinator.FIRST_COMPLETED)),
    ]


def test_the_recorded_tree_is_understood() -> None:
    tree = bytes.fromhex("120101 220f 120111 2208 0a0102 120112 2801 2804 2801")
    [event] = decode(encode_frame(MessageType.SUSPENSION, b"\x22\x16" + tree), 7)
    race = Future((2,), (18,), combinator=Combinator.FIRST_COMPLETED)
    everything = Future((), (17,), (), (race,), Combinator.ALL_SUCCEEDED_OR_FIRST_FAILED)
    assert event == Suspended(Future((), (1,), (), (everything,), Combinator.FIRST_COMPLETED))


def test_acknowledgements_are_as_recorded() -> None:
    assert AttemptEncoder(7).proposal_ack(1) == bytes.fromhex("00070000 00000002 0801")
    assert AttemptEncoder(7).command_ack(3) == bytes.fromhex("00040000 00000002 0803")


# ---- start and versions


def test_a_start_carries_all_that_the_attempt_is_told() -> None:
    state = [(b"a", b"1"), (b"b", b"")]
    told = {"invocation_id": ID, "debug_id": "inv_1x", "known_entries": 4, "state": state, "is_state_partial": False}
    told |= {"key": "k", "retry_count": 2, "since_last_entry_ms": 1_000, "random_seed": 2**64 - 1, "idempotency_key": "i"}
    for version in (5, 6, 7):
        message = wire.Start.FromString(AttemptEncoder(version).start(**told)[8:])
        assert (message.id, message.debug_id, message.known_entries, message.partial_state) == (ID, "inv_1x", 4, False)
        assert [(entry.key, entry.value) for entry in message.state_map] == state
        assert (message.key, message.retry_count_since_last_stored_entry) == ("k", 2)
        assert (message.duration_since_last_stored_entry, message.random_seed) == (1_000, 2**64 - 1)
        assert message.HasField("idempotency_key") == (version == 7)


@pytest.mark.parametrize(
    ("range_of_deployment", "server_max", "version"),
    [
        ((5, 7), 6, 6),
        ((5, 7), 7, 7),
        ((5, 5), 6, 5),
        ((7, 7), 6, None),
        ((1, 4), 6, 4),
        ((1, 1), 6, 1),
        ((0, 0), 6, 0),
        ((1, 99), 6, 6),
        ((5, 7), 5, 5),
    ],
)
def test_the_highest_common_version_is_chosen(range_of_deployment: tuple[int, int], server_max: int, version: int | None) -> None:
    assert negotiate(*range_of_deployment, server_max=server_max) == version


def test_the_content_type_names_the_version() -> None:
    assert AttemptEncoder(5).content_type == "application/vnd.restate.invocation.v5"


# ---- frames


@given(st.lists(journals.commands, max_size=6), st.data())
def test_events_do_not_depend_on_how_the_stream_is_cut(sent: list[journal.Command], data: st.DataObject) -> None:
    stream = b"".join(AttemptEncoder(6).entry(command) for command in sent) + END
    cuts = sorted({0, len(stream), *data.draw(st.lists(st.integers(0, len(stream)), max_size=8))})
    decoder = AttemptDecoder(6, message_bytes_max=MIB)
    events = [event for begin, end in pairwise(cuts) for event in decoder.receive(stream[begin:end])]
    assert events == [*(CommandSent(command) for command in sent), Ended()]


def test_a_stream_that_comes_byte_by_byte_is_understood() -> None:
    stream = AttemptEncoder(6).entry(journal.Run(1, "r1")) + END
    decoder = AttemptDecoder(6, message_bytes_max=MIB)
    assert [event for byte in stream for event in decoder.receive(bytes((byte,)))] == [CommandSent(journal.Run(1, "r1")), Ended()]


def test_a_response_cut_anywhere_before_its_end_gives_only_what_was_whole() -> None:
    stream = AttemptEncoder(6).entry(journal.Run(1, "r1")) + END
    for length in range(len(stream)):
        assert decode(stream[:length]) == ([CommandSent(journal.Run(1, "r1"))] if length >= 14 else [])


@given(st.integers(0, 0xFFFF), st.binary(max_size=30), st.integers(6, 7))
def test_whatever_arrives_is_an_event_or_a_protocol_error(code: int, payload: bytes, version: int) -> None:
    with suppress(RemoteProtocolError):
        assert len(decode(encode_frame(code, payload), version)) == 1


@given(st.binary(max_size=60))
def test_noise_is_refused_or_waited_for(noise: bytes) -> None:
    decoder = FrameDecoder(payload_bytes_max=MIB)
    with suppress(FrameTooLarge):
        taken = sum(8 + len(payload) for _, _, payload in decoder.receive(noise))
        missing = 8 + int.from_bytes(noise[taken + 4 : taken + 8], "big") - (len(noise) - taken)
        assert missing > 0 or taken == len(noise)


def test_a_length_over_the_limit_is_refused_before_its_payload_comes() -> None:
    limit = MIB + FRAME_SLACK_BYTES
    assert decode(bytes.fromhex("04010000") + (limit - 1).to_bytes(4, "big")) == []
    with pytest.raises(FrameTooLarge) as caught:
        decode(bytes.fromhex("04010000") + limit.to_bytes(4, "big"))
    assert (caught.value.code, caught.value.status) == ("RT0003", 413)
    assert f"Output of {limit} bytes" in caught.value.message


def test_the_acknowledgement_flag_is_read_and_reserved_bits_are_not() -> None:
    run = bytes.fromhex("00000002 5801")
    assert decode(bytes.fromhex("04118000") + run) == [CommandSent(journal.Run(1), wants_ack=True)]
    assert decode(bytes.fromhex("04117fff") + run) == [CommandSent(journal.Run(1), wants_ack=False)]


def test_version_6_ignores_the_flag_of_a_proposal() -> None:
    assert decode(bytes.fromhex("00058000 00000005 0801 720178")) == [RunProposed(RunProposal(1, Success(b"x"), wants_ack=False))]


# ---- what may not be sent


@pytest.mark.parametrize("code", [0x0008, 0x040F, 0x0415, 0x7FFF, 0x8001, 0xFC00, 0xFFFF])
def test_unknown_types_are_refused(code: int) -> None:
    error = refusal(code)
    assert (error.code, error.message) == ("RT0012", f"message of unknown type 0x{code:04X}")


@pytest.mark.parametrize("code", [0x0000, 0x0004, 0x0007, 0x0400, 0x800C, 0x8011, 0xFBFF])
def test_what_only_the_server_sends_is_refused(code: int) -> None:
    error = refusal(code, version=7)
    assert error.code == "RT0012"
    assert "only the server sends" in error.message


def test_version_6_knows_no_awaiting_on() -> None:
    assert refusal(0x0006, bytes.fromhex("0a08 0a0101 120101 2801")).code == "RT0012"


@pytest.mark.parametrize(("version", "payload"), [(6, ""), (7, ""), (7, "2200"), (7, "2204 2202 2801"), (7, "0a0101")])
def test_a_suspension_that_nothing_can_end_is_refused(version: int, payload: str) -> None:
    assert refusal(0x0001, bytes.fromhex(payload), version).code == "RT0012"


def nested(depth: int) -> bytes:
    tree = bytes.fromhex("0a0101")
    for _ in range(depth - 1):
        tree = wire.Future(nested_futures=[tree]).SerializeToString()
    return wire.Suspension(awaiting_on=wire.Future.FromString(tree)).SerializeToString()


def test_the_depth_of_futures_is_limited() -> None:
    [event] = decode(encode_frame(0x0001, nested(FUTURE_DEPTH_MAX)), 7)
    assert isinstance(event, Suspended)
    error = refusal(0x0001, nested(FUTURE_DEPTH_MAX + 1), 7)
    assert isinstance(error, FutureTooDeep)
    assert error.code == "RT0025"


def test_an_unknown_combinator_is_unknown() -> None:
    [event] = decode(encode_frame(0x0001, bytes.fromhex("2205 0a0101 2863")), 7)
    assert event == Suspended(Future((1,)))


# ---- errors and the end


def error_frame(**fields: object) -> bytes:
    return encode_frame(MessageType.ERROR, wire.Error(**fields).SerializeToString())


def test_an_error_tells_what_it_relates_to() -> None:
    frame = error_frame(
        code=500,
        message="m",
        stacktrace="s",
        related_command_index=0,
        related_command_name="r1",
        related_command_type=0x0411,
        next_retry_delay=0,
    )
    assert decode(frame) == [Failed(AttemptError(500, "m", "RT0007", "s", 0, "r1", "Run", 0))]


def test_an_error_that_relates_to_nothing_says_nothing() -> None:
    assert decode(error_frame(code=500, message="m")) == [Failed(AttemptError(500, "m", "RT0007"))]


@pytest.mark.parametrize(("code", "doc_code"), [(570, "RT0016"), (571, "RT0012"), (572, "RT0007"), (573, "RT0007"), (409, "RT0007")])
def test_the_documented_code_follows_the_error_code(code: int, doc_code: str) -> None:
    [event] = decode(error_frame(code=code))
    assert isinstance(event, Failed)
    assert (event.error.code, event.error.doc_code) == (code, doc_code)


@pytest.mark.parametrize(
    ("type_code", "name"), [(0x040D, "Call"), (0x0402, "GetLazyState"), (0x0413, "GetInvocationOutput"), (0x999, "0x0999")]
)
def test_the_related_command_type_is_readable(type_code: int, name: str) -> None:
    [event] = decode(error_frame(code=500, related_command_type=type_code))
    assert isinstance(event, Failed)
    assert event.error.related_command_type == name


@pytest.mark.parametrize(
    ("version", "behavior", "expected"),
    [
        (7, 0, ErrorBehavior.RETRY),
        (7, 1, ErrorBehavior.PAUSE),
        (7, 2, ErrorBehavior.FAIL),
        (7, 9, ErrorBehavior.RETRY),
        (6, 1, ErrorBehavior.RETRY),
    ],
)
def test_the_behavior_of_an_error_is_of_version_7(version: int, behavior: int, expected: ErrorBehavior) -> None:
    [event] = decode(error_frame(code=500, behavior=behavior), version)
    assert isinstance(event, Failed)
    assert event.error.behavior is expected


@pytest.mark.parametrize("last", [END, error_frame(code=500), bytes.fromhex("00010000 00000003 0a0102")])
def test_what_follows_the_terminal_frame_is_ignored(last: bytes) -> None:
    decoder = AttemptDecoder(6, message_bytes_max=MIB)
    assert len(decoder.receive(last + b"\xff" * 3 + bytes.fromhex("040f000000000000"))) == 1
    assert decoder.has_ended
    assert decoder.receive(b"\xff" * 20) == []


# ---- the generated module


def test_regenerating_the_messages_changes_nothing(tmp_path: Path) -> None:
    if importlib.util.find_spec("grpc_tools") is None:
        pytest.skip("grpcio-tools is only in the development environment")
    package = Path(messages_pb2.__file__).parent
    libs = package.parents[2]
    command = [sys.executable, "-W", "ignore", "-m", "grpc_tools.protoc", f"-I{libs}", f"--python_out={tmp_path}", f"--pyi_out={tmp_path}"]
    subprocess.run([*command, str(package / "messages.proto")], check=True)
    for name in ("messages_pb2.py", "messages_pb2.pyi"):
        [generated] = tmp_path.rglob(name)
        assert generated.read_text() == (package / name).read_text(), name
