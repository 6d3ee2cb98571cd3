"""Message types for JSON schemas: what a handler of today takes and gives, as protobuf.

Field numbers come from the names of properties, so that a client built against one revision of a service understands the next one,
whatever was added or moved. See docs/reference/rpc.md. Pure.
"""

import re
from collections.abc import Iterator
from typing import Any, Final, cast

import msgspec
import xxhash
from google.protobuf.descriptor_pb2 import DescriptorProto

from perdure.codec.descriptors.building import field_of, make_optional, message_of

VALUE: Final = ".google.protobuf.Value"
STRUCT: Final = ".google.protobuf.Struct"

NUMBER_MIN: Final = 20_000
NUMBERS: Final = 240_000
"""Field numbers of properties: above those that protobuf reserves, and small enough for tags of three bytes."""

DEPTH_MAX: Final = 16
"""Schemas within schemas; what lies deeper is any JSON value."""

Schema = dict[str, Any]  # a JSON schema; its parts are of any JSON type

_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NOT_IN_IDENTIFIERS: Final = re.compile(r"[^A-Za-z0-9_]")
_PLACES: Final = frozenset({"$ref", "anyOf", "oneOf", "allOf", "properties"})
"""Where a schema says what an object has."""

_SCALARS: Final = {"string": "string", "integer": "int64", "number": "double", "boolean": "bool"}


class Kind(msgspec.Struct, frozen=True):
    """The type of a field: a scalar's name or a message's full name with a leading dot."""

    name: str
    is_repeated: bool = False


ANYTHING: Final = Kind(VALUE)


class MessageTypes:
    """Collects the message types of one file.

    Args:
        package: With a trailing dot, or empty.
    """

    def __init__(self, package: str) -> None:
        self._package = package
        self.messages: list[DescriptorProto] = []
        self.unset: dict[tuple[str, str], list[Any] | None] = {}
        """(message name, field name) of properties that must be there -> what stands for the unset field: no elements, or null."""

    def add(self, message: DescriptorProto) -> None:
        """Add a message under a name that no other has."""
        taken = {other.name for other in self.messages}
        while message.name in taken:
            message.name += "_"
        self.messages.append(message)

    def full_name(self, message: DescriptorProto) -> str:
        """Return the name of a message as types of fields and methods have it."""
        return f".{self._package}{message.name}"


class SchemaTypes:
    """Finds the types of one JSON schema and what it refers to."""

    def __init__(self, types: MessageTypes, root: Schema, prefix: str) -> None:
        self._types = types
        self._root = root
        self._prefix = prefix
        self._kind_by_reference: dict[str, Kind] = {}
        self._open_references: set[str] = set()

    def resolved(self, schema: Any) -> Schema | None:
        """Return what a schema is once references and single alternatives are followed; None where it says nothing definite."""
        for _ in range(DEPTH_MAX):
            found = _alternative_of(schema)
            if found is None or "$ref" not in found:
                return found
            schema = self._target(found["$ref"])
        return None

    def allows_null(self, schema: Any, seen: frozenset[str] = frozenset()) -> bool:
        """Tell whether a value may be null; it may where a schema says nothing about it."""
        if not isinstance(schema, dict):
            return True
        schema = cast("Schema", schema)
        if isinstance(reference := schema.get("$ref"), str):
            return reference not in seen and self.allows_null(self._target(reference), seen | {reference})
        if alternatives := _alternatives(schema):
            return any(self.allows_null(part, seen) for part in alternatives)
        kinds = schema.get("type", [] if "properties" in schema else "null")
        values = [schema["const"]] if "const" in schema else _list(schema.get("enum", [None]))
        return None in values and (kinds == "null" or "null" in _list(kinds))

    def properties_of(self, schema: Schema | None) -> Schema | None:
        """Return the properties of an object schema that names all of them."""
        if schema is None or type_of(schema) != "object" or schema.get("additionalProperties", False) is not False:
            return None
        if "patternProperties" in schema:
            return None
        properties = schema.get("properties")
        return cast("Schema", properties) if isinstance(properties, dict) and properties else None

    def kind(self, schema: Any, hint: str, depth: int = DEPTH_MAX) -> Kind:
        """Return the type that a field needs to hold what a schema allows."""
        found = _alternative_of(schema)
        if found is not None and isinstance(reference := found.get("$ref"), str):
            return self._kind_of_reference(reference, depth)
        if found is None or depth == 0:
            return ANYTHING
        match type_of(found):
            case "array":
                return self._list_kind(found.get("items"), hint, depth)
            case "object":
                properties = self.properties_of(found)
                if properties is None:
                    return Kind(STRUCT)
                message = message_of(f"{self._prefix}_{camel(hint)}")
                self._types.add(message)
                self.fill(message, found, properties, depth - 1)
                return Kind(self._types.full_name(message))
            case name:
                return Kind(_SCALARS[name]) if name in _SCALARS else ANYTHING

    def fill(self, message: DescriptorProto, schema: Schema, properties: Schema, depth: int = DEPTH_MAX, *, key: bool = False) -> None:
        """Give a message a field for each property, all of them with presence, and in front of them one for an instance's key."""
        if key:
            name = "key" if "key" not in properties else "instance_key"
            while name in properties:
                name += "_"
            message.field.append(field_of(1, name, "string", json_name=name))
        required = _list(schema.get("required"))
        for name, number, field_name in _numbered(properties):
            kind = self.kind(properties[name], name, depth)
            message.field.append(field_of(number, field_name, kind.name, is_repeated=kind.is_repeated, json_name=name))
            if name in required and (kind.is_repeated or self.allows_null(properties[name])):
                self._types.unset[message.name, field_name] = [] if kind.is_repeated else None
        make_optional(message)

    def _kind_of_reference(self, reference: str, depth: int) -> Kind:
        """Return the type for what a reference names; one message for each, however often and in whatever circle it is named."""
        known = self._kind_by_reference.get(reference)
        if known is not None:
            return known
        if depth == 0 or reference in self._open_references:
            return ANYTHING
        schema = self._target(reference)
        found = _alternative_of(schema)
        properties = self.properties_of(found)
        name = camel(reference.rpartition("/")[2]) or "Root"
        if found is not None and properties is not None:
            message = message_of(f"{self._prefix}_{name}")
            self._types.add(message)
            kind = self._kind_by_reference[reference] = Kind(self._types.full_name(message))
            self.fill(message, found, properties, depth - 1)
            return kind
        self._open_references.add(reference)
        kind = self._kind_by_reference[reference] = self.kind(schema, name, depth - 1)
        self._open_references.discard(reference)
        return kind

    def _list_kind(self, items: Any, hint: str, depth: int) -> Kind:
        """Lists of lists, and lists in which null may stand, hold any values."""
        if not self.allows_null(items):
            kind = self.kind(items, f"{hint}_item", depth - 1)
            if not kind.is_repeated:
                return Kind(kind.name, is_repeated=True)
        return Kind(VALUE, is_repeated=True)

    def _target(self, reference: Any) -> Any:
        """Return what a reference within the same schema names; None where there is no such thing."""
        if not isinstance(reference, str) or not reference.startswith("#"):
            return None
        found: Any = self._root
        for part in reference[1:].split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict):
                found = cast("Schema", found).get(name)
            else:
                found = _list(found)[int(name)] if name.isdecimal() and int(name) < len(_list(found)) else None
        return found


def type_of(schema: Schema) -> str:
    """Return the one type of a schema, nullable or not; empty where there are several or none."""
    found = schema.get("type")
    if isinstance(found, list):
        some = [name for name in _list(found) if name != "null"]
        found = some[0] if len(some) == 1 else None
    elif found is None and "properties" in schema:
        return "object"
    if found is None and (values := _list(schema.get("enum"))):
        return "string" if all(isinstance(value, str) for value in values) else ""
    return found if isinstance(found, str) else ""


def camel(name: str) -> str:
    """Return a name in upper camel case."""
    words = _NOT_IN_IDENTIFIERS.sub("_", name).split("_")
    return "".join(word[:1].upper() + word[1:] for word in words)


def field_number(name: str, taken: set[int]) -> int:
    """Return the number of a property: by its name, and the next free one where two names meet."""
    offset = xxhash.xxh3_64_intdigest(name.encode("utf-8", "replace")) % NUMBERS
    while NUMBER_MIN + offset in taken:
        offset = (offset + 1) % NUMBERS
    return NUMBER_MIN + offset


def _numbered(properties: Schema) -> Iterator[tuple[str, int, str]]:
    """Yield property, number and field name, in the order of names; those that protobuf does not allow get underscores."""
    numbers: set[int] = set()
    names = {*properties, "key", "instance_key"}
    for name in sorted(properties):
        number = field_number(name, numbers)
        numbers.add(number)
        field_name = name
        if _IDENTIFIER.fullmatch(name) is None:
            field_name = "_" * (not name or name[0].isdigit()) + _NOT_IN_IDENTIFIERS.sub("_", name)
            while field_name in names:
                field_name += "_"
            names.add(field_name)
        yield name, number, field_name


def _alternative_of(schema: Any) -> Schema | None:
    """Return a schema, or the one beside null where it is a choice of two; None where it says nothing definite, or in several places."""
    for _ in range(DEPTH_MAX):
        if not isinstance(schema, dict):
            return None
        schema = cast("Schema", schema)
        if len(_PLACES & schema.keys()) > 1:
            return None
        alternatives = _alternatives(schema)
        if "$ref" in schema or alternatives is None:
            return schema
        some = [part for part in alternatives if not _is_null(part)]
        if len(some) != 1:
            return None
        schema = some[0]
    return None


def _is_null(schema: Any) -> bool:
    return isinstance(schema, dict) and cast("Schema", schema).get("type") == "null"


def _alternatives(schema: Schema) -> list[Any] | None:
    return next((_list(schema[word]) for word in ("anyOf", "oneOf", "allOf") if word in schema), None)


def _list(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []
