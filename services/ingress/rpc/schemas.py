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
        self.required_lists: set[tuple[str, str]] = set()
        """(message name, field name) of lists that must be there even if they are empty."""

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
            if not isinstance(schema, dict):
                return None
            schema = cast("Schema", schema)
            if "$ref" in schema:
                schema = self._target(schema["$ref"])
                continue
            alternatives = next((schema[word] for word in ("anyOf", "oneOf", "allOf") if word in schema), None)
            if alternatives is None:
                return schema
            some = [part for part in _list(alternatives) if part != {"type": "null"}]
            if len(some) != 1:
                return None
            schema = some[0]
        return None

    def properties_of(self, schema: Schema | None) -> Schema | None:
        """Return the properties of an object schema that names some."""
        if schema is None or type_of(schema) != "object":
            return None
        properties = schema.get("properties")
        return cast("Schema", properties) if isinstance(properties, dict) and properties else None

    def kind(self, schema: Any, hint: str, depth: int = DEPTH_MAX) -> Kind:
        """Return the type that a field needs to hold what a schema allows."""
        if isinstance(schema, dict) and isinstance(reference := cast("Schema", schema).get("$ref"), str):
            return self._kind_of_reference(reference, depth)
        found = self.resolved(schema)
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
        required = schema.get("required")
        for name, number, field_name in _numbered(properties):
            kind = self.kind(properties[name], name, depth)
            message.field.append(field_of(number, field_name, kind.name, is_repeated=kind.is_repeated, json_name=name))
            if kind.is_repeated and isinstance(required, list) and name in required:
                self._types.required_lists.add((message.name, field_name))
        make_optional(message)

    def _kind_of_reference(self, reference: str, depth: int) -> Kind:
        known = self._kind_by_reference.get(reference)
        if known is not None:
            return known
        schema = self._target(reference)
        found = self.resolved(schema)
        properties = self.properties_of(found)
        if found is not None and properties is not None:
            message = message_of(f"{self._prefix}_{camel(reference.rpartition('/')[2])}")
            self._types.add(message)
            kind = self._kind_by_reference[reference] = Kind(self._types.full_name(message))
            if depth:
                self.fill(message, found, properties, depth - 1)
            return kind
        if reference in self._open_references:
            return ANYTHING
        self._open_references.add(reference)
        kind = self._kind_by_reference[reference] = self.kind(schema, reference.rpartition("/")[2], depth - 1) if depth else ANYTHING
        self._open_references.discard(reference)
        return kind

    def _list_kind(self, items: Any, hint: str, depth: int) -> Kind:
        """Lists of lists, and lists in which null may stand, hold any values."""
        if not _allows_null(items):
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
            found = cast("Schema", found).get(name) if isinstance(found, dict) else None
        return found


def type_of(schema: Schema) -> str:
    """Return the one type of a schema, nullable or not; empty where there are several or none."""
    found = schema.get("type")
    if isinstance(found, list):
        some = [name for name in _list(found) if name != "null"]
        found = some[0] if len(some) == 1 else None
    if found is None and "properties" in schema:
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
            field_name = "_" * name[:1].isdigit() + _NOT_IN_IDENTIFIERS.sub("_", name)
            while field_name in names:
                field_name += "_"
            names.add(field_name)
        yield name, number, field_name


def _allows_null(schema: Any) -> bool:
    if not isinstance(schema, dict):
        return True
    schema = cast("Schema", schema)
    kind = schema.get("type")
    alternatives = [*_list(schema.get("anyOf")), *_list(schema.get("oneOf"))]
    return kind == "null" or "null" in _list(kind) or {"type": "null"} in alternatives


def _list(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []
