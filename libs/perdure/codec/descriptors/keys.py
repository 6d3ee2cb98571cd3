"""The key of a keyed service within an encoded request, found by scanning alone. Source: shared/spec/seed-era.md, 3.2.

Only the fields before the key are looked at, and nothing is decoded but their lengths.
"""

from collections.abc import Iterator
from typing import Final

from perdure.codec.descriptors.errors import BadMessage

VARINT: Final = 0
LENGTH: Final = 2
GROUP: Final = 3
_GROUP_END: Final = 4
_FIXED: Final = {1: 8, 5: 4}
_VARINT_BYTES_MAX: Final = 10


def key_of(payload: bytes, field_number: int) -> bytes:
    """Return the content of the first occurrence of a string field, empty where it is absent.

    Raises:
        BadMessage: The field is not length-delimited, or what comes before it is malformed.
    """
    for number, wire_type, _, start, end in fields(payload):
        if number == field_number:
            if wire_type != LENGTH:
                raise BadMessage(f"unexpected value in the key field {number}: wire type {wire_type} is not that of a string")
            return payload[start:end]
    return b""


def with_key(payload: bytes, field_number: int, key: bytes) -> bytes:
    """Return a request whose only occurrence of the key field, in front of all others, is `key`; an empty one is left out.

    Raises:
        BadMessage: The request is malformed.
    """
    parts = [payload[at:end] for number, _, at, _, end in fields(payload) if number != field_number]
    if key:
        parts.insert(0, encode_varint(field_number << 3 | LENGTH) + encode_varint(len(key)) + key)
    return b"".join(parts)


def fields(payload: bytes) -> Iterator[tuple[int, int, int, int, int]]:
    """Yield the fields at the top of a message: number, wire type, and where tag, content and rest begin.

    The content of a length-delimited field is without its length; that of a group includes the tag that ends it.

    Raises:
        BadMessage: The bytes are no message.
    """
    at = 0
    while at < len(payload):
        tag, start = read_varint(payload, at)
        number, wire_type = tag >> 3, tag & 7
        if not 0 < number < 1 << 29:
            raise BadMessage(f"malformed message: field number {number} at byte {at}")
        if wire_type == LENGTH:
            size, start = read_varint(payload, start)
            end = start + size
        else:
            end = _end_of(payload, number, wire_type, start)
        if end > len(payload):
            raise BadMessage(f"malformed message: field {number} ends after the message does")
        yield number, wire_type, at, start, end
        at = end


def _end_of(payload: bytes, number: int, wire_type: int, start: int) -> int:
    if wire_type == VARINT:
        return read_varint(payload, start)[1]
    if wire_type == GROUP:
        return _end_of_group(payload, number, start)
    size = _FIXED.get(wire_type)
    if size is None:
        raise BadMessage(f"malformed message: field {number} has wire type {wire_type}")
    return start + size


def _end_of_group(payload: bytes, number: int, start: int) -> int:
    open_groups = [number]
    at = start
    while open_groups:
        tag, at = read_varint(payload, at)
        wire_type = tag & 7
        if wire_type == GROUP:
            open_groups.append(tag >> 3)
        elif wire_type == _GROUP_END:
            if open_groups.pop() != tag >> 3:
                raise BadMessage(f"malformed message: group {number} ends with another number")
        elif wire_type == LENGTH:
            size, at = read_varint(payload, at)
            at += size
        else:
            at = _end_of(payload, tag >> 3, wire_type, at)
    return at


def read_varint(payload: bytes, at: int) -> tuple[int, int]:
    """Return an unsigned varint and where it ends.

    Raises:
        BadMessage: It is too long, or the bytes end within it.
    """
    value = 0
    for count in range(_VARINT_BYTES_MAX):
        if at + count >= len(payload):
            raise BadMessage("malformed message: it ends within a number")
        byte = payload[at + count]
        value |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            return value, at + count + 1
    raise BadMessage(f"malformed message: a number of more than {_VARINT_BYTES_MAX} bytes at byte {at}")


def encode_varint(value: int) -> bytes:
    """Return an unsigned number as varint."""
    assert value >= 0
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
