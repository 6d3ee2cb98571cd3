"""Registered handlers as methods: those of today and those of the seed era. Pure."""

from typing import Final

from google.protobuf.message import Message

from perdure.base.ids import fresh_invocation_id, idempotent_invocation_id
from perdure.base.limits import OBJECT_KEY_BYTES_MAX
from perdure.bus.messages import Invoke
from perdure.codec.descriptors.errors import BadMessage
from perdure.codec.descriptors.keys import key_of
from perdure.codec.descriptors.pool import Descriptors, MethodDescriptor
from perdure.codec.rpc.status import CallFailed, Status
from perdure.codec.rpc.unary import Headers, metadata_of
from perdure.model.deployment import InstanceType, ProtobufMethod
from perdure.model.target import Target, is_too_long
from services.ingress.admission import admit, read_headers, trace_of, ulid_text
from services.ingress.directory import EmptyInput, HandlerEntry, TypedInput
from services.ingress.routes import Call
from services.ingress.rpc.calls import Moment, Request
from services.ingress.rpc.errors import of_era_failure, of_failure
from services.ingress.rpc.today import Body, Form

RETENTION_S: Final = 1_800
"""How long the seed era keeps results for repeated requests."""

RETENTION_S_MAX: Final = 10 * 365 * 86_400
_OCTETS: Final = "application/octet-stream"


class TodayMethod:
    """A handler of a service, object or workflow of today."""

    is_of_era = False
    tell = staticmethod(of_failure)

    def __init__(self, entry: HandlerEntry, bodies: tuple[Body, Body], *, has_no_side_effects: bool) -> None:
        self.entry = entry
        self.has_no_side_effects = has_no_side_effects
        self._request, self._response = bodies
        self.request_class = self._request.message_class
        self.response_class = self._response.message_class
        self._content_type = _content_type(entry, self._request.form)
        self._is_required = not any(isinstance(rule, EmptyInput) for rule in entry.input_rules)

    def invoke_of(self, message: bytes, request: Request, moment: Moment, *, wants_result: bool) -> Invoke:
        """Return what the same request would be as JSON."""
        try:
            key, body = self._request.read(message)
        except BadMessage as error:
            raise CallFailed(Status.INVALID_ARGUMENT, error.message) from None
        headers = read_headers(metadata_of(request.headers), self.entry)
        if body or self._is_required:
            headers.content_type = headers.rest[b"content-type"] = self._content_type
        call = Call(self.entry, key, not wants_result)
        return admit(call, headers, body, request.path, b"", now_ms=moment.now_ms, random=moment.random, request_id=moment.request_id)

    def response_of(self, value: bytes) -> bytes:
        """Return the message that holds a result.

        Raises:
            CallFailed: INTERNAL, it does not fit the schema of the handler's output.
        """
        try:
            return self._response.write(value)
        except BadMessage as error:
            text = f"the result of {self.entry.service}/{self.entry.handler} does not fit the schema of its output: {error.message}"
            raise CallFailed(Status.INTERNAL, text) from None


class SeedMethod:
    """A method of a protobuf service: messages are bodies as they are. Source: shared/spec/seed-era.md, 3.2 and 4.7."""

    is_of_era = True
    tell = staticmethod(of_era_failure)

    def __init__(
        self,
        entry: HandlerEntry,
        instance_type: InstanceType,
        method: ProtobufMethod,
        descriptor: MethodDescriptor,
        descriptors: Descriptors,
    ) -> None:
        self.entry = entry
        self.has_no_side_effects = descriptor.has_no_side_effects
        self._instance_type = instance_type
        self._method = method
        self._descriptors = descriptors

    @property
    def request_class(self) -> type[Message]:
        return self._descriptors.message_class(self._method.input_type)

    @property
    def response_class(self) -> type[Message]:
        return self._descriptors.message_class(self._method.output_type)

    def invoke_of(self, message: bytes, request: Request, moment: Moment, *, wants_result: bool) -> Invoke:
        """Return the invocation; no header reaches the handler."""
        entry, key = self.entry, self._key(message)
        headers = read_headers(metadata_of(request.headers), entry)
        idempotency_key = headers.idempotency_key
        if idempotency_key is None:
            invocation_id = fresh_invocation_id(entry.service, key, moment.now_ms, moment.random.bytes(10))
        else:
            invocation_id = idempotent_invocation_id(entry.service, key, "", idempotency_key)
        traceparent, tracestate = trace_of(headers)
        return Invoke(
            moment.request_id,
            invocation_id,
            Target(entry.service, entry.handler, key, entry.handler_type),
            message,
            (),
            wants_result,
            ulid_text(invocation_id[8:]) if idempotency_key is None else idempotency_key,
            idempotency_key is None,
            completion_retention_ms=_retention_s(request.headers) * 1_000,
            traceparent=traceparent,
            tracestate=tracestate,
        )

    def response_of(self, value: bytes) -> bytes:
        """Return the result: it is the message."""
        return value

    def _key(self, message: bytes) -> str | None:
        if self._instance_type is InstanceType.UNKEYED:
            return None
        if self._instance_type is InstanceType.SINGLETON:
            return ""
        assert self._method.key_field is not None
        try:
            key = key_of(message, self._method.key_field).decode()
        except (BadMessage, UnicodeDecodeError) as error:
            raise CallFailed(Status.INTERNAL, f"cannot extract the key: {error}") from None
        if is_too_long(key):
            raise CallFailed(Status.INVALID_ARGUMENT, f"the key has more than {OBJECT_KEY_BYTES_MAX} bytes")
        return key


def _content_type(entry: HandlerEntry, form: Form) -> bytes:
    """Return the content type that the handler is told: JSON, or what it asks for where the body is bytes."""
    if form is not Form.RAW:
        return b"application/json"
    asked = next((rule.content_type for rule in entry.input_rules if isinstance(rule, TypedInput)), _OCTETS)
    return (_OCTETS if asked == "*/*" else asked.replace("*", "octet-stream")).encode()


def _retention_s(headers: Headers) -> int:
    value = next((value for name, value in headers if name == b"idempotency-retention-period"), b"0")
    if not value.isdigit() or int(value) > RETENTION_S_MAX:
        text = f"idempotency-retention-period {value.decode('latin-1')!r} is not a number of seconds, at most {RETENTION_S_MAX}"
        raise CallFailed(Status.INVALID_ARGUMENT, text)
    return int(value) or RETENTION_S
