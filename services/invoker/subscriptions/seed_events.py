"""The request of a seed-era method that a record becomes: protobuf, by the field numbers that its descriptor says. Pure.

Source: shared/spec/seed-era.md, sections 3.1 and 9.8.
"""

import base64
from typing import Final

from perdure.codec.descriptors.keys import encode_varint
from perdure.model.deployment import ProtobufMethod
from services.invoker.subscriptions.source import Record

EVENT_TYPE: Final = "dev.restate.Event"
_ORDERING_KEY: Final = 1
_KEY: Final = 2
_PAYLOAD: Final = 3
_ATTRIBUTES: Final = 15


def request_of(method: ProtobufMethod, record: Record, ordering: str) -> bytes:
    """Return the encoded input; `ordering` names group, topic and partition of the record."""
    if method.input_type == EVENT_TYPE:
        suffix = base64.b64encode(record.key).decode() if record.key else ""
        return (
            _field(_ORDERING_KEY, f"{ordering}{suffix}".encode())
            + _field(_KEY, record.key or b"")
            + _field(_PAYLOAD, record.value)
            + _map(_ATTRIBUTES, record.attributes)
        )
    return (
        _field(method.key_field, record.key or b"")
        + _field(method.event_payload_field, record.value)
        + _map(method.event_metadata_field, record.attributes)
    )


def _field(number: int | None, content: bytes) -> bytes:
    """Return a string or bytes field; nothing where it is empty or the message has none."""
    return b"" if number is None or not content else _encoded(number, content)


def _map(number: int | None, entries: tuple[tuple[str, str], ...]) -> bytes:
    if number is None:
        return b""
    return b"".join(_encoded(number, _encoded(1, name.encode()) + _encoded(2, value.encode())) for name, value in entries)


def _encoded(number: int, content: bytes) -> bytes:
    return encode_varint(number << 3 | 2) + encode_varint(len(content)) + content
