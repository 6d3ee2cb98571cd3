"""Statements as text: where one ends, what kind it is, which parameters it has. The engine parses them; this only sorts them."""

import enum
import re
from collections.abc import Collection, Iterator
from functools import cache
from typing import Final

import msgspec

from perdure.codec.pgwire.values import Oid

_TOKEN: Final = re.compile(
    r"""
    (?P<blank> \s+ | --[^\n]* | /\*.*?\*/ )
    | (?P<quoted> [eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*" | \$(?P<tag>[A-Za-z_]\w*|)\$.*?\$(?P=tag)\$ )
    | \$(?P<parameter>\d+) (?: \s*::\s* (?:pg_catalog\.)? (?P<cast>\w+ (?:\s*\[\s*\])? ) )?
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
    "interval": Oid.INTERVAL,
    "numeric": Oid.NUMERIC,
    "int4[]": Oid.INT4_ARRAY,
    "int[]": Oid.INT4_ARRAY,
    "integer[]": Oid.INT4_ARRAY,
    "int8[]": Oid.INT8_ARRAY,
    "bigint[]": Oid.INT8_ARRAY,
    "oid[]": Oid.OID_ARRAY,
    "text[]": Oid.TEXT_ARRAY,
    "varchar[]": Oid.VARCHAR_ARRAY,
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
    COPY = "copy"
    DECLARE = "declare"
    FETCH = "fetch"
    """Or MOVE."""
    CLOSE = "close"
    DISCARD = "discard"
    IGNORED = "ignored"
    """Changes only what this server does not have: accepted."""
    WRITE = "write"
    UNSUPPORTED = "unsupported"
    """It is no query, and writes nothing either."""


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
    "grant",
    "revoke",
    "comment",
    "vacuum",
    "analyze",
    "reindex",
    "cluster",
    "lock",
    "refresh",
    "reassign",
    "security",
    "import",
)
# fmt: on
_UNSUPPORTED: Final = ("listen", "notify", "call", "do", "prepare", "execute", "load", "use")
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
    "copy": Kind.COPY,
    "declare": Kind.DECLARE,
    "fetch": Kind.FETCH,
    "move": Kind.FETCH,
    "close": Kind.CLOSE,
    "discard": Kind.DISCARD,
    "unlisten": Kind.IGNORED,
    "savepoint": Kind.IGNORED,
    "release": Kind.IGNORED,
    **dict.fromkeys(_WRITES, Kind.WRITE),
    **dict.fromkeys(_UNSUPPORTED, Kind.UNSUPPORTED),
}
_COMPARED: Final = re.compile(
    r"(?:(?P<left>\w+)\"?\s*(?:[<>!=]{1,2}|\bbetween\b)\s*|\b(?P<count>limit|offset)\s+)\$(?P<number>\d+)(?!\s*::|\d)", re.IGNORECASE
)
"""A parameter that is compared with a column, or that is a number of rows."""
_AMONG: Final = re.compile(r"(?P<left>\w+)\"?\s*(?:=|<>|!=)\s*(?:any|all)\s*\(\s*\$(?P<number>\d+)\s*\)", re.IGNORECASE)
"""A parameter that is a list of values for a column."""
_SHOWN_BY_ENGINE: Final = frozenset({"tables", "columns", "all", "functions"})


class Statement(msgspec.Struct, frozen=True):
    """One statement and what its text shows."""

    sql: str
    kind: Kind
    words: tuple[str, ...]
    """Its first words, lower-case."""
    parameter_count: int
    parameter_casts: dict[int, Oid]
    """Number of a parameter -> type that it must have where it stands: that of a cast, or of the column beside it."""

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
            cast = _CASTS.get("".join((token["cast"] or "").lower().split()))
            if cast is not None:
                casts[number] = cast
        if token["word"] and len(words) < _WORDS_KEPT:
            words.append(token["word"].lower())
        has_content = has_content or not (token["blank"] or token["end"])
    if parameter_count:
        casts = _types_where_they_stand(sql) | casts
    kind = _kind(words) if has_content else Kind.EMPTY
    return Statement(sql, kind, tuple(words), parameter_count, casts)


@cache
def _oids_of_columns() -> dict[str, Oid]:
    """Return column -> type of a value to compare it with, where that is not text."""
    from perdure.query.catalogue import TABLES  # 4 MB, which a process that nobody asks does not take
    from perdure.query.table import ColumnType

    numbers = {ColumnType.U64: Oid.NUMERIC, ColumnType.U32: Oid.INT8}
    oids = numbers | {ColumnType.BOOL: Oid.BOOL, ColumnType.TIMESTAMP: Oid.TIMESTAMPTZ, ColumnType.DURATION: Oid.INTERVAL}
    return {column.name: oids[column.type] for table in TABLES.values() for column in table.columns if column.type in oids}


def _types_where_they_stand(sql: str) -> dict[int, Oid]:
    types: dict[int, Oid] = {}
    for found in _COMPARED.finditer(sql):
        oid = Oid.INT8 if found["count"] else _oids_of_columns().get(found["left"].lower())
        if oid is not None:
            types[int(found["number"])] = oid
    for found in _AMONG.finditer(sql):
        oid = _oids_of_columns().get(found["left"].lower())
        types[int(found["number"])] = Oid.INT8_ARRAY if oid in {Oid.NUMERIC, Oid.INT8} else Oid.TEXT_ARRAY
    return types


def with_intervals(sql: str, numbers: Collection[int]) -> str:
    """Return a statement that tells the engine of some of its parameters that they are intervals: it takes them for something else."""

    def told(token: re.Match[str]) -> str:
        is_told = token["parameter"] and not token["cast"] and int(token["parameter"]) in numbers
        return f"{token[0]}::interval" if is_told else token[0]

    return _TOKEN.sub(told, sql) if numbers else sql


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
