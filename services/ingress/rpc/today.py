"""Services of today as protobuf: one file for each, with a type for each request and response. See docs/reference/rpc.md. Pure."""

import enum
import re
from typing import Any, Final, cast

import msgspec
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto, FileDescriptorSet, MethodOptions
from google.protobuf.message import Message

from perdure.codec.descriptors.building import field_of, make_optional, message_of, method_of, service_of
from perdure.codec.descriptors.errors import BadMessage
from perdure.codec.descriptors.json import parsed
from perdure.codec.descriptors.pool import Descriptors
from perdure.model.deployment import Handler, InputRules, OutputRules, Service
from services.ingress.rpc.schemas import MessageTypes, Schema, SchemaTypes, camel
from services.ingress.rpc.shapes import FieldShape, Shape, put, shape_of

KEY_NUMBER: Final = 1
BODY_NUMBER: Final = 2
LEVEL_KEY: Final = "idempotency_level"
"""Key in a handler's metadata; with the value `NO_SIDE_EFFECTS` clients may call it by GET."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_decode_json: Final = msgspec.json.Decoder().decode
_encode_json: Final = msgspec.json.Encoder().encode


class Form(enum.Enum):
    """How a body lies in its message."""

    EMPTY = enum.auto()
    """There is none."""
    RAW = enum.auto()
    """As the bytes of the field `body`."""
    VALUE = enum.auto()
    """As a JSON value in the field `body`."""
    OBJECT = enum.auto()
    """As a JSON object whose properties are fields."""


class Body:
    """One body of a handler, between JSON (or bytes) and the message built for it."""

    def __init__(self, form: Form, message_class: type[Message], shape: Shape, key_field: str | None) -> None:
        self.message_class = message_class
        self.form = form
        self._shape = shape
        self._key_field = key_field
        self._body_field: FieldShape | None = shape.by_field.get("body")

    def read(self, payload: bytes) -> tuple[str | None, bytes]:
        """Return the instance's key and the body of a message.

        Raises:
            BadMessage: The bytes are no such message, or it holds what JSON cannot say.
        """
        message = parsed(self.message_class, payload)
        return None if self._key_field is None else getattr(message, self._key_field), self._body_of(message)

    def write(self, body: bytes) -> bytes:
        """Return the message that holds a body.

        Raises:
            BadMessage: The body does not fit its schema.
        """
        message = cast("Any", self.message_class())
        if self.form is Form.RAW:
            message.body = body
        elif body and self.form is not Form.EMPTY:
            try:
                value = _decode_json(body)
            except (msgspec.DecodeError, RecursionError) as error:
                raise BadMessage(f"the body is not JSON: {error}") from None
            if self.form is Form.OBJECT:
                self._shape.fill(message, value)
            elif value is not None and self._body_field is not None:
                put(message, self._body_field, value)
        return message.SerializeToString()

    def _body_of(self, message: Any) -> bytes:  # the class is built at run time
        match self.form:
            case Form.EMPTY:
                return b""
            case Form.RAW:
                return message.body
            case Form.OBJECT:
                value = self._shape.to_value(message)
                if self._key_field is not None:
                    value.pop(self._shape.by_field[self._key_field].property_name, None)
                return _encode_json(value)
            case Form.VALUE:
                field = self._body_field
                assert field is not None
                if not field.is_list and not message.HasField("body"):
                    return b""
                return _encode_json([*map(field.to_value, message.body)] if field.is_list else field.to_value(message.body))


class TodayService:
    """A service of today with its descriptors."""

    def __init__(self, service: Service) -> None:
        name = rpc_name(service.name)
        assert name is not None
        package, _, self.short_name = name.rpartition(".")
        self._types = MessageTypes(f"{package}." if package else "")
        self._is_keyed = service.service_type.is_keyed
        self._forms: dict[str, tuple[Form, Form]] = {}
        self._names: dict[str, tuple[str, str]] = {}
        methods = [self._method(handler) for _, handler in sorted(service.handlers.items())]
        file = FileDescriptorProto(
            name=f"{name}.proto",
            package=package,
            syntax="proto3",
            dependency=["google/protobuf/struct.proto"],
            message_type=self._types.messages,
            service=[service_of(self.short_name, methods)],
        )
        self.name = name
        self.descriptors = Descriptors(FileDescriptorSet(file=[file]).SerializeToString())
        self._shapes: dict[str, Shape] = {}
        self._bodies: dict[str, tuple[Body, Body]] = {}

    def bodies(self, handler: str) -> tuple[Body, Body]:
        """Return request and response of a handler."""
        known = self._bodies.get(handler)
        if known is None:
            forms, names = self._forms[handler], self._names[handler]
            known = self._bodies[handler] = (
                self._body(names[0], forms[0], has_key=self._is_keyed),
                self._body(names[1], forms[1], has_key=False),
            )
        return known

    def _body(self, name: str, form: Form, *, has_key: bool) -> Body:
        message_class = self.descriptors.message_class(name.removeprefix("."))
        descriptor = cast("Descriptor", message_class.DESCRIPTOR)  # the fast implementation has a class of its own
        shape = shape_of(descriptor, self._types.unset, self._shapes)
        key_field = descriptor.fields_by_number[KEY_NUMBER].name if has_key else None
        return Body(form, message_class, shape, key_field)

    def _method(self, handler: Handler) -> Any:
        stem = f"{self.short_name}_{camel(handler.name)}"
        request, request_form = self._message(f"{stem}Request", handler.input, has_key=self._is_keyed)
        response, response_form = self._message(f"{stem}Response", handler.output, has_key=False)
        names = self._types.full_name(request), self._types.full_name(response)
        self._forms[handler.name], self._names[handler.name] = (request_form, response_form), names
        method = method_of(handler.name, *names)
        if has_no_side_effects(handler):
            method.options.idempotency_level = MethodOptions.NO_SIDE_EFFECTS
        return method

    def _message(self, name: str, rules: InputRules | OutputRules | None, *, has_key: bool) -> tuple[DescriptorProto, Form]:
        message = message_of(name)
        self._types.add(message)
        form = form_of(rules)
        key = [field_of(KEY_NUMBER, "key", "string")] if has_key else []
        if form is Form.RAW:
            message.field.extend([*key, field_of(BODY_NUMBER, "body", "bytes")])
        elif form is Form.EMPTY:
            message.field.extend(key)
        else:
            assert rules is not None
            schema: Any = rules.json_schema
            root = cast("Schema", schema) if isinstance(schema, dict) else {}
            types = SchemaTypes(self._types, root, name)
            found = types.resolved(root)
            properties = types.properties_of(found)
            if found is not None and properties is not None and not types.allows_null(root):
                types.fill(message, found, properties, key=has_key)
                return message, Form.OBJECT
            kind = types.kind(root, "body")
            message.field.extend([*key, field_of(BODY_NUMBER, "body", kind.name, is_repeated=kind.is_repeated)])
            make_optional(message)
        return message, form


def form_of(rules: InputRules | OutputRules | None) -> Form:
    """Return how a body is carried; that a JSON body is an object shows only in its schema."""
    if rules is None:
        return Form.RAW
    if rules.content_type is None:
        return Form.EMPTY
    return Form.RAW if rules.json_schema is None else Form.VALUE


def rpc_name(service: str) -> str | None:
    """Return the name that a service has in protobuf, where `-` is `_`; None where it cannot have one."""
    name = service.replace("-", "_")
    return name if _NAME.fullmatch(name) is not None else None


def has_no_side_effects(handler: Handler) -> bool:
    """Tell whether whoever wrote a handler says that calling it changes nothing."""
    return handler.options.metadata.get(LEVEL_KEY) == "NO_SIDE_EFFECTS"
