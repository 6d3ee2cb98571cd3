"""Messages built for JSON schemas, from and to JSON values: fields are properties, what is unset is absent, null is unset. Pure.

Not protobuf's own mapping to JSON: handlers want plain numbers, and properties that are required even where they are empty or null.
"""

import math
from collections.abc import Mapping
from typing import Any, Final, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Value

from perdure.codec.descriptors.errors import BadMessage

_EXACT_MAX: Final = 2**53
"""Doubles beyond this do not tell neighbouring integers apart."""

_VALUE: Final = "google.protobuf.Value"
_STRUCT: Final = "google.protobuf.Struct"

_SCALARS: Final[dict[int, tuple[str, Any]]] = {
    FieldDescriptor.TYPE_STRING: ("a string", str),
    FieldDescriptor.TYPE_INT64: ("an integer", int),
    FieldDescriptor.TYPE_DOUBLE: ("a number", (int, float)),
    FieldDescriptor.TYPE_BOOL: ("true or false", bool),
}

Unset = Mapping[tuple[str, str], Any]
"""(message name, field name) -> the JSON value that stands for a field that is unset; others are absent."""


class FieldShape:
    """One field and the property that it holds."""

    __slots__ = ("is_list", "is_value", "name", "property_name", "shape", "type")

    def __init__(self, field: FieldDescriptor, unset: Unset, shapes: "dict[str, Shape]") -> None:
        self.name = field.name
        self.property_name = field.json_name
        self.is_list = bool(field.is_repeated)
        self.type = int(field.type)
        nested = field.message_type
        self.is_value = nested is not None and nested.full_name in (_VALUE, _STRUCT)
        self.shape = None if nested is None or self.is_value else shape_of(nested, unset, shapes)

    def to_value(self, content: Any) -> Any:
        """Return one element as JSON value.

        Raises:
            BadMessage: It holds what JSON cannot say.
        """
        if self.is_value:
            return plain(content)
        if self.shape is not None:
            return self.shape.to_value(content)
        return finite(content) if self.type == FieldDescriptor.TYPE_DOUBLE else content

    def scalar(self, value: Any) -> Any:
        """Return a JSON value as what the field takes; a number without fraction is an integer.

        Raises:
            BadMessage: It is of another type.
        """
        if isinstance(value, float) and self.type == FieldDescriptor.TYPE_INT64 and value.is_integer():
            return int(value)
        name, kinds = _SCALARS[self.type]
        if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool):
            raise BadMessage(f"{self.property_name}: {name} is needed")
        return value


class Shape:
    """One message type."""

    __slots__ = ("by_field", "by_property", "unset")

    def __init__(self) -> None:
        self.unset: dict[str, Any] = {}
        """What stands for properties that must be there while their fields are unset."""
        self.by_field: dict[str, FieldShape] = {}
        self.by_property: dict[str, FieldShape] = {}

    def to_value(self, message: Message) -> dict[str, Any]:
        """Return a message as an object.

        Raises:
            BadMessage: It holds what JSON cannot say.
        """
        value = self.unset.copy()
        for descriptor, content in message.ListFields():
            field = self.by_field.get(descriptor.name)
            if field is not None:
                value[field.property_name] = [*map(field.to_value, content)] if field.is_list else field.to_value(content)
        return value

    def fill(self, message: Message, value: Any) -> None:
        """Put an object into a message; properties that the schema does not name are left out.

        Raises:
            BadMessage: The value is not of the schema's types.
        """
        if not isinstance(value, dict):
            raise BadMessage(f"{message.DESCRIPTOR.name}: an object is needed")
        for name, content in cast("dict[str, Any]", value).items():
            field = self.by_property.get(name)
            if field is not None and content is not None:
                put(message, field, content)


def shape_of(descriptor: Descriptor, unset: Unset, shapes: "dict[str, Shape]") -> Shape:
    """Return the shape of a message type, and of those within it, each once."""
    known = shapes.get(descriptor.full_name)
    if known is None:
        known = shapes[descriptor.full_name] = Shape()
        for descriptor_field in descriptor.fields:
            field = FieldShape(descriptor_field, unset, shapes)
            known.by_field[field.name] = field
            known.by_property[field.property_name] = field
            if (place := (descriptor.name, field.name)) in unset:
                known.unset[field.property_name] = unset[place]
    return known


def put(message: Message, field: FieldShape, content: Any) -> None:
    """Set one field from a JSON value.

    Raises:
        BadMessage: The value is not of the field's type.
    """
    try:
        if field.is_list:
            if not isinstance(content, list):
                raise BadMessage(f"{field.property_name}: a list is needed")
            _extend(getattr(message, field.name), field, cast("list[Any]", content))
        elif field.is_value:
            _fill_any(getattr(message, field.name), content)
        elif field.shape is None:
            setattr(message, field.name, field.scalar(content))
        else:
            nested = getattr(message, field.name)
            nested.SetInParent()
            field.shape.fill(nested, content)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise BadMessage(f"{field.property_name}: {error}") from None


def _extend(target: Any, field: FieldShape, items: list[Any]) -> None:
    for item in items:
        if field.is_value:
            _fill_any(target.add(), item)
        elif field.shape is None:
            target.append(field.scalar(item))
        else:
            field.shape.fill(target.add(), item)


def _fill_any(target: Any, value: Any) -> None:
    """Fill a `Value` or, where the value is an object, perhaps a `Struct`."""
    target.SetInParent()
    if target.DESCRIPTOR.full_name == _STRUCT:
        if not isinstance(value, dict):
            raise BadMessage("an object is needed")
        for name, content in cast("dict[str, Any]", value).items():
            _fill_any(target.fields[name], content)
        return
    match value:
        case None:
            target.null_value = 0
        case bool():
            target.bool_value = value
        case int() | float():
            target.number_value = value
        case str():
            target.string_value = value
        case list():
            target.list_value.SetInParent()
            for item in cast("list[Any]", value):
                _fill_any(target.list_value.values.add(), item)
        case _:
            _fill_any(target.struct_value, value)


def plain(content: Any) -> Any:
    """Return a `Value` or a `Struct` as JSON value; whole numbers as integers.

    Raises:
        BadMessage: It holds a number that JSON does not have.
    """
    if content.DESCRIPTOR.full_name == _STRUCT:
        return {name: plain(value) for name, value in content.fields.items()}
    value = cast("Value", content)
    match value.WhichOneof("kind"):
        case "number_value":
            number = finite(value.number_value)
            return int(number) if number.is_integer() and abs(number) <= _EXACT_MAX else number
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return plain(value.struct_value)
        case "list_value":
            return [plain(item) for item in value.list_value.values]
        case _:
            return None


def finite(number: float) -> float:
    """Return the number.

    Raises:
        BadMessage: It is infinite or none at all, for which JSON has no word.
    """
    if not math.isfinite(number):
        raise BadMessage(f"{number} is no number of JSON")
    return number
