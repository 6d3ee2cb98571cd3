"""Statements as text: where one ends, what kind it is, which parameters it has. The engine parses them; this only sorts them."""

import enum
import re
from collections.abc import Iterator
from typing import Final

import msgspec

from perdure.codec.pgwire.values import Oid

_TOKEN: Final = re.compile(
    r"""
    (?P<blank> \s+ | --[^\n]* | /\*.*?\*/ )
    | (?P<quoted> [eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*" | \$(?P<tag>[A-Za-z_]\w*|)\$.*?\$(?P=tag)\$ )
    | \$(?P<parameter>\d+) (?: \s*::\s* (?P<cast>\w+) )?
    | (?P<word> \w+ )
    | (?P<end> ; )
    | (?P<other> . )
    """,
    re.VERBOSE | re.DOTALL,
)

_CASTS: Final = {
    "bool": Oid.BOOL,
    "boolean": Oid.BOOL,
    "smallint": Oid.INT2,
    "int2": Oid.INT2,
    "int": Oid.INT4,
    "int4": Oid.INT4,
    "integer": Oid.INT4,
    "bigint": Oid.INT8,
    "int8": Oid.INT8,
    "real": Oid.FLOAT4,
    "float8": Oid.FLOAT8,
    "double": Oid.FLOAT8,
    "timestamp": Oid.TIMESTAMP,
    "timestamptz": Oid.TIMESTAMPTZ,
    "date": Oid.DATE,
}


class Kind(enum.Enum):
    """What is to be done with a statement."""

    EMPTY = "empty"
    QUERY = "query"
    SHOW = "show"
    SET = "set"
    BEGIN = "begin"
    COMMIT = "commit"
    ROLLBACK = "rollback"
    DEALLOCATE = "deallocate"
    IGNORED = "ignored"
    """Changes only what this server does not have: accepted."""
    WRITE = "write"


# fmt: off
_WRITES: Final = (
    "insert",
    "update",
    "delete",
    "merge",
    "create",
    "drop",
    "alter",
    "truncate",
    "copy",
    "grant",
    "revoke",
    "comment",
    "vacuum",
    "analyze",
    "reindex",
    "cluster",
    "lock",
    "listen",
    "notify",
    "unlisten",
    "refresh",
    "call",
    "do",
    "prepare",
    "execute",
    "declare",
    "fetch",
    "move",
    "close",
    "load",
    "reassign",
    "security",
    "import",
    "use",
)
# fmt: on
_KINDS: Final = {
    "show": Kind.SHOW,
    "set": Kind.SET,
    "reset": Kind.SET,
    "begin": Kind.BEGIN,
    "start": Kind.BEGIN,
    "commit": Kind.COMMIT,
    "end": Kind.COMMIT,
    "rollback": Kind.ROLLBACK,
    "abort": Kind.ROLLBACK,
    "deallocate": Kind.DEALLOCATE,
    "discard": Kind.IGNORED,
    "savepoint": Kind.IGNORED,
    "release": Kind.IGNORED,
    **dict.fromkeys(_WRITES, Kind.WRITE),
}
_SHOWN_BY_ENGINE: Final = frozenset({"tables", "columns", "all", "functions"})


class Statement(msgspec.Struct, frozen=True):
    """One statement and what its text shows."""

    sql: str
    kind: Kind
    words: tuple[str, ...]
    """Its first words, lower-case."""
    parameter_count: int
    parameter_casts: dict[int, Oid]
    """Number of a parameter -> type that it is cast to where it stands."""

    @property
    def command(self) -> str:
        """The first word, upper-case, as command tags have it."""
        return self.words[0].upper() if self.words else ""


_WORDS_KEPT: Final = 8


def split(sql: str) -> list[Statement]:
    """Return the statements of a text that `;` separates; empty ones are left out."""
    return [statement for part in _parts(sql) if (statement := parse(part)).kind is not Kind.EMPTY]


def parse(sql: str) -> Statement:
    """Return what the text of one statement shows."""
    words: list[str] = []
    casts: dict[int, Oid] = {}
    parameter_count = 0
    has_content = False
    for token in _TOKEN.finditer(sql):
        if token["parameter"]:
            number = int(token["parameter"])
            parameter_count = max(parameter_count, number)
            cast = _CASTS.get((token["cast"] or "").lower())
            if cast is not None:
                casts[number] = cast
        if token["word"] and len(words) < _WORDS_KEPT:
            words.append(token["word"].lower())
        has_content = has_content or not (token["blank"] or token["end"])
    kind = _kind(words) if has_content else Kind.EMPTY
    return Statement(sql, kind, tuple(words), parameter_count, casts)


def _kind(words: list[str]) -> Kind:
    kind = _KINDS.get(words[0], Kind.QUERY) if words else Kind.QUERY
    if kind is Kind.SHOW and len(words) > 1 and words[1] in _SHOWN_BY_ENGINE:
        return Kind.QUERY
    if kind is Kind.ROLLBACK and "to" in words:
        return Kind.IGNORED
    return kind


def _parts(sql: str) -> Iterator[str]:
    start = 0
    for token in _TOKEN.finditer(sql):
        if token["end"]:
            yield sql[start : token.start()]
            start = token.end()
    yield sql[start:]
