"""Calls of handlers of the seed era to the server's own services: done and answered in the step that journals them."""

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from perdure.base.clock import SystemRandom
from perdure.base.ids import format_awakeable_id, format_invocation_id
from perdure.codec.descriptors.building import field_of, message_of
from perdure.codec.descriptors.keys import encode_varint
from perdure.codec.rpc.failures import grpc_code_of
from perdure.codec.rpc.status import Status
from perdure.model.deployment import Deployment, InstanceType, ProtocolMode
from perdure.model.invocation import Status as InvocationStatus
from perdure.model.journal import Call, CallTarget, Completion, CompletionType, OneWayCall
from perdure.model.mail import InvokeMail, KillMail, SignalMail
from perdure.model.result import Failure, Success
from perdure.registry.options import OptionsCache, ServerDefaults
from perdure.registry.schema import schema_of
from services.invoker.built_in import call_built_in
from services.invoker.calls import CallResolver
from services.invoker.machine.events import BuiltInCalled, CommandRefused
from tests.unit.invoker.builders import Machine, an_id
from tests.unit.invoker.test_calls import StillClock, a_service

INGRESS = ("dev.restate.Ingress", "Invoke")
RESOLVE = ("dev.restate.Awakeables", "Resolve")
REJECT = ("dev.restate.Awakeables", "Reject")
AWAKEABLE = format_awakeable_id(an_id(2), 20)
FILE = FileDescriptorProto(
    name="a.proto",
    syntax="proto3",
    message_type=[message_of("Request", [field_of(1, "amount", "int64"), field_of(3, "id", "string")]), message_of("Reply")],
)
DEPLOYMENT = Deployment(
    "dp_a", "http://a", ProtocolMode.BIDI_STREAM, "HTTP/2.0", 0, 0, 0, descriptor_set=FileDescriptorSet(file=[FILE]).SerializeToString()
)
SCHEMA = schema_of(1, [DEPLOYMENT], [a_service("Keyed", InstanceType.KEYED, 3), a_service("Today", None)])


def part(number: int, content: bytes) -> bytes:
    return encode_varint(number << 3 | 2) + encode_varint(len(content)) + content


def called(method: tuple[str, str], request: bytes, *, at_ms: int | None = None) -> BuiltInCalled | CommandRefused:
    """Return what a call does, or a one-way call where a time is given."""
    resolver = CallResolver(OptionsCache(ServerDefaults()), StillClock(), SystemRandom())
    target = CallTarget(*method, "")
    command = Call(target, request, (), 2, 1) if at_ms is None else OneWayCall(target, request, (), at_ms, 2)
    return call_built_in(resolver, SCHEMA, Machine().running(1), command, wants_ack=False, command_index=1)


def mail_of(item: BuiltInCalled | CommandRefused) -> InvokeMail | SignalMail:
    assert isinstance(item, BuiltInCalled)
    assert item.mail is not None
    return item.mail


def code_of(item: BuiltInCalled | CommandRefused) -> int:
    assert isinstance(item, BuiltInCalled)
    assert item.mail is None
    assert isinstance(item.answer, Failure)
    return grpc_code_of(item.answer)


def test_an_invocation_is_started_with_the_bytes_of_its_request() -> None:
    item = called(INGRESS, part(1, b"Keyed") + part(2, b"Add") + part(3, part(3, b"k1")))
    mail = mail_of(item)
    assert isinstance(mail, InvokeMail)
    assert (mail.target.service, mail.target.key, mail.body, mail.sink, mail.execution_at_ms) == ("Keyed", "k1", b"\x1a\x02k1", None, None)
    assert isinstance(item, BuiltInCalled)
    assert item.answer == Success(part(1, format_invocation_id(mail.invocation_id).encode()))


def test_an_invocation_is_started_with_json_and_later() -> None:
    struct = part(1, part(1, b"id") + part(2, part(3, b"k2")))  # {"id": "k2"}
    mail = mail_of(called(INGRESS, part(1, b"Keyed") + part(2, b"Add") + part(4, struct), at_ms=5_000))
    assert isinstance(mail, InvokeMail)
    assert (mail.target.key, mail.body, mail.execution_at_ms) == ("k2", b"\x1a\x02k2", 5_000)


def test_an_awakeable_is_resolved_and_rejected() -> None:
    resolved = mail_of(called(RESOLVE, part(1, AWAKEABLE.encode()) + part(3, part(3, b"x"))))
    assert (resolved.invocation_id, resolved) == (an_id(2), SignalMail(an_id(2), 20, None, Success(b'"x"')))
    rejected = mail_of(called(REJECT, part(1, AWAKEABLE.encode()) + part(2, b"no"), at_ms=0))
    assert isinstance(rejected, SignalMail)
    assert isinstance(rejected.result, Failure)
    assert (grpc_code_of(rejected.result), rejected.result.message) == (Status.UNKNOWN, "no")


def test_what_is_wrong_with_the_request_is_the_answer() -> None:
    keyed = part(1, b"Keyed") + part(2, b"Add")
    assert code_of(called(INGRESS, part(1, b"Nobody") + part(2, b"Add"))) == Status.NOT_FOUND
    assert code_of(called(("dev.restate.Ingress", "Other"), b"")) == Status.NOT_FOUND
    assert code_of(called(("dev.restate.internal.Proxy", "Invoke"), b"")) == Status.NOT_FOUND
    assert code_of(called(INGRESS, part(1, b"Today") + part(2, b"Add"))) == Status.FAILED_PRECONDITION
    assert code_of(called(INGRESS, keyed + part(4, part(1, part(1, b"other") + part(2, part(3, b"k")))))) == Status.FAILED_PRECONDITION
    assert code_of(called(INGRESS, keyed + part(3, b"\x18\x05"))) == Status.INVALID_ARGUMENT
    assert code_of(called(RESOLVE, part(1, AWAKEABLE.encode()))) == Status.INVALID_ARGUMENT
    assert code_of(called(RESOLVE, part(1, b"prom_1x") + part(2, b"x"))) == Status.INVALID_ARGUMENT
    assert code_of(called(RESOLVE, b"\xff")) == Status.INVALID_ARGUMENT


def test_an_awakeable_cannot_be_completed_with_a_delay() -> None:
    refused = called(RESOLVE, part(1, AWAKEABLE.encode()) + part(2, b"x"), at_ms=5_000)
    assert isinstance(refused, CommandRefused)
    assert (refused.error.doc_code, refused.error.related_command_type) == ("RT0017", "OneWayCall")


def test_the_step_that_journals_the_call_sends_and_answers_it() -> None:
    machine = Machine()
    machine.running(2)
    machine.running(1)
    command = Call(CallTarget(*RESOLVE, ""), b"", (), 2, 1)
    machine.send(1, BuiltInCalled(command, SignalMail(an_id(2), 20, None, Success(b"x")), Success(b"")))
    assert machine.journal(1)[1:] == [command, Completion(CompletionType.CALL, 1, Success(b""))]
    assert len(machine.journal(2)) == 2


def test_a_kill_spares_what_a_built_in_service_has_started() -> None:
    machine = Machine()
    machine.running(1)
    machine.send(1, BuiltInCalled(OneWayCall(CallTarget(*INGRESS, ""), b"", (), 0, 2), None, Success(b"")))
    machine.receive(KillMail(an_id(1)))
    assert machine.status(1) is InvocationStatus.COMPLETED
