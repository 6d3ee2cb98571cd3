"""Messages between a process and the workers that run its statements: msgpack, each with its length (u32, big-endian) before it."""

import datetime
import decimal
import enum
import struct
from collections.abc import Sequence
from typing import Final

import msgspec

from perdure.bus.messages import LiveInvocation
from perdure.codec.pgwire.values import Interval, Parameter, Scalar
from perdure.store.fdb.options import FdbOptions

LENGTH: Final = struct.Struct(">I")
_INTEGER_MAX: Final = (1 << 63) - 1


class Form(enum.IntEnum):
    """How rows are wanted."""

    ARROW = 0
    """A schema, then record batches: each part a whole message of an Arrow IPC stream, which lacks only its end."""
    JSON = 1
    """The parts of `{"rows":[...]}`."""


class _Message(msgspec.Struct, frozen=True, array_like=True):
    pass


class Open(_Message, frozen=True, tag=0):
    """The first message to a worker: where the store is, and what one statement may hold."""

    path: str | None
    fdb_cluster_file: str | None
    root: str
    memory_bytes_max: int
    fdb: FdbOptions = FdbOptions()


class WireParameter(msgspec.Struct, frozen=True, array_like=True):
    """A parameter; what msgpack has no type for is text with the name of its type."""

    value: bool | int | float | str | None
    type_name: str = ""
    items: "list[WireParameter]" = []
    """Of a list."""


PUBLIC: Final = "public"
SEED_ERA: Final = "v0_8"
REPEATED: Final = "?again?"
"""Ends, with a number behind it, the name of a column that a result has twice: the engine insists on different names."""
SCHEMA_NAMES: Final = frozenset({PUBLIC, SEED_ERA})
"""Schemas that statements may name; one without a schema means `public`."""


class Dialect(msgspec.Struct, frozen=True, array_like=True):
    """How a statement is to be read."""

    is_postgres: bool = False
    """Whether it may use PostgreSQL's grammar, catalogue and functions; otherwise it is as the engine has it."""
    schema: str = PUBLIC
    """Where tables are that it names without a schema."""


class Describe(_Message, frozen=True, tag=1):
    """Tell the schema of what a statement returns. Without parameters `$1` and on are open."""

    sql: str
    parameters: list[WireParameter] | None
    dialect: Dialect = Dialect()


class Run(_Message, frozen=True, tag=2):
    """Run a statement."""

    sql: str
    parameters: list[WireParameter]
    form: Form
    dialect: Dialect = Dialect()


class Told(_Message, frozen=True, tag=3):
    """The answer to `AskLive`."""

    invocations: list[LiveInvocation]


Request = Open | Describe | Run | Told


class AskLive(_Message, frozen=True, tag=0):
    """The statement needs to know what invokers are doing."""


class Part(_Message, frozen=True, tag=1):
    """A piece of what was asked for."""

    data: bytes


class Done(_Message, frozen=True, tag=2):
    """There are no more parts. A worker that `is_spent` takes no further statement."""

    is_spent: bool = False


class Failed(_Message, frozen=True, tag=3):
    """The statement is wrong or went wrong; the worker takes the next one."""

    sqlstate: str
    message: str
    engine_text: str


Answer = AskLive | Part | Done | Failed

_encoder: Final = msgspec.msgpack.Encoder()
_requests: Final = msgspec.msgpack.Decoder(Request)
_answers: Final = msgspec.msgpack.Decoder(Answer)


def frame(message: Request | Answer) -> bytes:
    """Return a message with its length before it."""
    encoded = _encoder.encode(message)
    return LENGTH.pack(len(encoded)) + encoded


def decode_request(encoded: bytes) -> Request:
    """Return a message to a worker."""
    return _requests.decode(encoded)


def decode_answer(encoded: bytes) -> Answer:
    """Return a message of a worker."""
    return _answers.decode(encoded)


def to_wire(parameters: Sequence[Parameter]) -> list[WireParameter]:
    """Return parameters for a message."""
    return [_to_wire(parameter) for parameter in parameters]


def of_wire(parameters: Sequence[WireParameter]) -> list[Parameter]:
    """Return the parameters of a message."""
    return [_list_of_wire(parameter) if parameter.type_name == "list" else _of_wire(parameter) for parameter in parameters]


def _list_of_wire(parameter: WireParameter) -> list[Scalar]:
    return [_of_wire(item) for item in parameter.items]


def _to_wire(value: Parameter) -> WireParameter:
    match value:
        case list():
            return WireParameter(None, "list", [_to_wire(item) for item in value])
        case bytes():
            return WireParameter(value.hex(), "bytes")
        case datetime.datetime():
            return WireParameter(value.isoformat(), "datetime")
        case datetime.date():
            return WireParameter(value.isoformat(), "date")
        case decimal.Decimal():
            return WireParameter(str(value), "decimal")
        case Interval(months, microseconds):
            return WireParameter(f"{months},{microseconds}", "interval")
        case int() if abs(value) > _INTEGER_MAX:
            return WireParameter(str(value), "decimal")
        case _:
            return WireParameter(value)


def _of_wire(parameter: WireParameter) -> Scalar:
    match parameter:
        case WireParameter(str(text), "bytes"):
            return bytes.fromhex(text)
        case WireParameter(str(text), "datetime"):
            return datetime.datetime.fromisoformat(text)
        case WireParameter(str(text), "date"):
            return datetime.date.fromisoformat(text)
        case WireParameter(str(text), "decimal"):
            return decimal.Decimal(text)
        case WireParameter(str(text), "interval"):
            return Interval(*map(int, text.split(",")))
        case _:
            return parameter.value
