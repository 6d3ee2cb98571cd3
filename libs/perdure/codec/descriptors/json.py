"""Messages between bytes and JSON, in the canonical mapping with the settings of the seed era. Source: shared/spec/seed-era.md, 4.4.

Towards JSON: lower camel case, 64-bit integers as strings, enums as names, defaults written. From JSON: unknown fields are refused, both
spellings of a name are taken.
"""

from typing import Any, Final, cast

import msgspec
from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message

from perdure.codec.descriptors.errors import BadMessage

_encode: Final = msgspec.json.Encoder().encode


def to_json(message_class: type[Message], payload: bytes) -> bytes:
    """Return the JSON of an encoded message.

    Raises:
        BadMessage: The bytes are no such message, or hold what JSON cannot say.
    """
    return _encode(to_value(parsed(message_class, payload)))


def from_json(message_class: type[Message], text: bytes) -> bytes:
    """Return the encoded message that JSON stands for.

    Raises:
        BadMessage: The text is not JSON, or does not fit the message.
    """
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadMessage(f"invalid JSON: {error}") from None
    return from_value(message_class, value).SerializeToString()


def parsed(message_class: type[Message], payload: bytes) -> Message:
    """Return a decoded message.

    Raises:
        BadMessage: The bytes are no such message.
    """
    try:
        return message_class.FromString(payload)
    except DecodeError as error:
        raise BadMessage(f"the bytes are no {message_class.DESCRIPTOR.full_name}: {error}") from None


def to_value(message: Message) -> Any:  # any JSON value
    """Return a message as plain lists, dictionaries, texts and numbers.

    Raises:
        BadMessage: It holds what JSON cannot say, such as an unknown type within `Any`.
    """
    try:
        return json_format.MessageToDict(message, always_print_fields_with_no_presence=True, descriptor_pool=_pool_of(message))
    except (json_format.Error, TypeError, ValueError, KeyError, RecursionError) as error:
        raise BadMessage(f"the {message.DESCRIPTOR.full_name} cannot be written as JSON: {error}") from None


def from_value(message_class: type[Message], value: Any) -> Message:
    """Return the message that a decoded JSON value stands for.

    Raises:
        BadMessage: The value does not fit the message.
    """
    name = message_class.DESCRIPTOR.full_name
    if not isinstance(value, dict) and not name.startswith("google.protobuf."):  # the parser takes an empty list for an empty object
        raise BadMessage(f"the JSON is no {name}: it must be an object")
    message = message_class()
    try:
        json_format.ParseDict(cast("dict[str, Any]", value), message, descriptor_pool=_pool_of(message))
    except (json_format.Error, TypeError, ValueError, KeyError, AttributeError, RecursionError) as error:
        raise BadMessage(f"the JSON is no {name}: {error}") from None
    return message


def _pool_of(message: Message) -> DescriptorPool:
    return cast("DescriptorPool", message.DESCRIPTOR.file.pool)  # the fast implementation has a class of its own
