"""What nodectl and the process that runs a statement tell each other, as msgpack."""

from typing import Any

import msgspec


class Question(msgspec.Struct, frozen=True):
    """A statement, and table -> rows."""

    sql: str
    rows: dict[str, list[dict[str, Any]]]


class Answer(msgspec.Struct, frozen=True):
    """What is wrong, or the pieces of an Arrow IPC stream."""

    error: str = ""
    pieces: list[bytes] = []
