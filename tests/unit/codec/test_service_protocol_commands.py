"""Commands and notifications of the service protocol between wire and model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.base.errors import RemoteProtocolError
from perdure.codec.service_protocol import AttemptDecoder, AttemptEncoder
from perdure.codec.service_protocol import messages_pb2 as wire
from perdure.codec.service_protocol.commands import DECODERS, ENCODERS
from perdure.codec.service_protocol.events import CommandSent
from perdure.codec.service_protocol.frames import HEADER, MessageType, encode_frame
from perdure.codec.service_protocol.parts import ScopeUnsupported
from perdure.model import journal
from perdure.model.journal import CompletionType
from perdure.model.result import Failure, InvocationIdResult, StateKeys, Success, Void
from tests.unit.codec import journals

MIB = 1024 * 1024


def decode(data: bytes, version: int = 6):
    return AttemptDecoder(version, message_bytes_max=MIB).receive(data)


def refusal(code: int, payload: bytes = b"", version: int = 6) -> RemoteProtocolError:
    with pytest.raises(RemoteProtocolError) as caught:
        decode(encode_frame(code, payload), version)
    return caught.value


@pytest.mark.parametrize("kind", journals.sent_by_deployments, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_a_command_survives_the_wire(kind: type[journal.Command], data: st.DataObject) -> None:
    command = data.draw(journals.sent_by_deployments[kind])
    for version in (6, 7):
        assert decode(AttemptEncoder(version).entry(command), version) == [CommandSent(command)]


def test_every_command_of_the_model_has_its_codec() -> None:
    assert set(ENCODERS) == set(journals.sent_by_deployments) | {journal.Input}
    assert {int(code) for code, _ in ENCODERS.values()} == set(DECODERS)
    assert set(DECODERS) == {code for code in MessageType if code.is_command}


@given(journals.inputs)
def test_an_input_carries_value_and_headers_in_order(entry: journal.Input) -> None:
    frame = AttemptEncoder(6).entry(entry)
    assert HEADER.unpack(frame[:8]) == (0x0400, 0, len(frame) - 8)
    message = wire.Input.FromString(frame[8:])
    assert message.HasField("value")
    assert message.value.content == entry.value
    assert tuple((header.key, header.value) for header in message.headers) == entry.headers


def read_result(message: wire.Notification):
    match message.WhichOneof("result"):
        case "void":
            return Void()
        case "value":
            return Success(message.value.content)
        case "failure":
            metadata = tuple((entry.key, entry.value) for entry in message.failure.metadata)
            return Failure(message.failure.code, message.failure.message, metadata)
        case "invocation_id":
            return InvocationIdResult(message.invocation_id)
        case "state_keys":
            return StateKeys(tuple(message.state_keys.keys))
    return None


@given(journals.completions)
def test_a_completion_names_its_command_type_and_id(completion: journal.Completion) -> None:
    frame = AttemptEncoder(7).entry(completion)
    message = wire.Notification.FromString(frame[8:])
    assert MessageType(HEADER.unpack(frame[:8])[0]).name == f"{completion.completion_type.name}_COMPLETION"
    assert (message.WhichOneof("id"), message.completion_id) == ("completion_id", completion.completion_id)
    assert read_result(message) == completion.result


@given(journals.signals)
def test_a_signal_goes_by_index_or_by_name(signal: journal.Signal) -> None:
    frame = AttemptEncoder(6).entry(signal)
    message = wire.Notification.FromString(frame[8:])
    assert frame[:2] == b"\xfb\xff"
    if signal.signal_index is None:
        assert (message.WhichOneof("id"), message.signal_name) == ("signal_name", signal.signal_name)
    else:
        assert (message.WhichOneof("id"), message.signal_id) == ("signal_id", signal.signal_index)
    assert read_result(message) == signal.result


def test_completion_codes_are_those_of_the_specification() -> None:
    encoder = AttemptEncoder(6)
    codes = [encoder.notification(journal.Completion(kind, 1, Void()))[:2].hex() for kind in CompletionType]
    assert codes == ["8002", "8006", "8009", "800a", "800b", "800c", "800d", "800e", "8011", "8012", "8013"]


@given(journals.failures)
def test_version_5_knows_no_failure_metadata(failure: Failure) -> None:
    bare = Failure(failure.code, failure.message)
    entries: list[journal.Entry] = [
        journal.Output(failure),
        journal.CompletePromise("p", failure, 1),
        journal.CompleteAwakeable("sign_1", failure),
        journal.SendSignal("inv_1", 1, None, failure),
    ]
    without = [journal.Output(bare), journal.CompletePromise("p", bare, 1), journal.CompleteAwakeable("sign_1", bare)]
    assert [decode(AttemptEncoder(5).entry(entry), 5)[0].command for entry in entries] == [
        *without,
        journal.SendSignal("inv_1", 1, None, bare),
    ]
    completion = AttemptEncoder(5).notification(journal.Completion(CompletionType.RUN, 1, failure))
    assert not wire.Notification.FromString(completion[8:]).failure.metadata


@given(journals.commands, st.integers(200, 300), st.binary(max_size=20))
def test_unknown_fields_are_ignored(command: journal.Command, field: int, value: bytes) -> None:
    frame = AttemptEncoder(6).entry(command)
    tag = (field << 3) | 2
    unknown = bytes((tag & 0x7F | 0x80, tag >> 7, len(value))) + value
    code, _, _ = HEADER.unpack(frame[:8])
    assert decode(encode_frame(code, frame[8:] + unknown)) == [CommandSent(command)]


@pytest.mark.parametrize(
    "code",
    [
        MessageType.OUTPUT,
        MessageType.SET_STATE,
        MessageType.GET_EAGER_STATE,
        MessageType.COMPLETE_PROMISE,
        MessageType.SEND_SIGNAL,
        MessageType.ATTACH_INVOCATION,
        MessageType.GET_INVOCATION_OUTPUT,
        MessageType.COMPLETE_AWAKEABLE,
        MessageType.PROPOSE_RUN_COMPLETION,
    ],
)
def test_a_message_without_what_it_must_carry_is_refused(code: MessageType) -> None:
    error = refusal(code)
    assert error.code == "RT0012"
    assert "without" in error.message


def test_a_signal_without_result_is_refused() -> None:
    assert "without result" in refusal(MessageType.SEND_SIGNAL, wire.SendSignal(idx=1).SerializeToString()).message


@pytest.mark.parametrize("code", [code for code in MessageType if code.is_command and code is not MessageType.INPUT])
def test_bytes_that_are_no_protobuf_are_refused(code: MessageType) -> None:
    error = refusal(code, b"\x62\xff\xff")
    assert error.code == "RT0012"
    assert code.readable in error.message


def test_text_that_is_not_utf_8_is_refused() -> None:
    assert "Run" in refusal(MessageType.RUN, b"\x62\x01\xff").message


@pytest.mark.parametrize(
    "scoped", [wire.Call(scope="s"), wire.Call(limit_key="l"), wire.OneWayCall(scope="s"), wire.OneWayCall(limit_key="l")]
)
def test_scopes_of_calls_are_refused(scoped: wire.Call | wire.OneWayCall) -> None:
    code = MessageType.CALL if isinstance(scoped, wire.Call) else MessageType.ONE_WAY_CALL
    error = refusal(code, scoped.SerializeToString(), version=7)
    assert isinstance(error, ScopeUnsupported)
    assert error.code == "RT0024"


def test_scopes_of_targets_are_refused() -> None:
    workflow = wire.AttachInvocation(workflow_target=wire.WorkflowTarget(scope="s"))
    idempotent = wire.GetInvocationOutput(idempotent_request_target=wire.IdempotentRequestTarget(scope="s"))
    assert refusal(MessageType.ATTACH_INVOCATION, workflow.SerializeToString(), version=7).code == "RT0024"
    assert refusal(MessageType.GET_INVOCATION_OUTPUT, idempotent.SerializeToString(), version=7).code == "RT0024"


def test_an_empty_scope_is_none() -> None:
    call = wire.Call(service_name="S", handler_name="h", scope="", limit_key="")
    [event] = decode(encode_frame(MessageType.CALL, call.SerializeToString()), 7)
    assert event == CommandSent(journal.Call(journal.CallTarget("S", "h", ""), b"", (), 0, 0))


def test_a_failure_code_beyond_16_bits_is_internal() -> None:
    output = wire.Output(failure=wire.Failure(code=70_000, message="m"))
    assert decode(encode_frame(MessageType.OUTPUT, output.SerializeToString())) == [CommandSent(journal.Output(Failure(500, "m")))]


def test_an_empty_value_is_a_value() -> None:
    frame = AttemptEncoder(6).entry(journal.Output(Success(b"")))
    assert frame[8:] == b"\x72\x00"
    assert decode(frame) == [CommandSent(journal.Output(Success(b"")))]
