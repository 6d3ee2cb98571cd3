"""`DECLARE`, `FETCH`, `MOVE` and `CLOSE`: what they ask for. Source: PostgreSQL documentation, pages of these commands."""

import re
from typing import Final

import msgspec

from perdure.query.errors import FEATURE_NOT_SUPPORTED, QueryError

_NAME: Final = r'(?P<name> "(?:[^"]|"")+" | \w+ )'
_DECLARE: Final = re.compile(
    rf"""
    ^\s* declare \s+ {_NAME} (?P<options> (?: \s+ (?: binary | asensitive | insensitive | no | scroll ) )* ) \s+ cursor
    (?: \s+ (?P<hold> with | without ) \s+ hold )? \s+ for \s+ (?P<query> .+ )$
    """,
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
_FETCH: Final = re.compile(
    rf"""
    ^\s* (?P<command> fetch | move ) \s+
    (?: (?: (?: forward | relative ) \s+ )? (?: (?P<count> \+? \d+ ) | (?P<all> all ) ) \s+ | (?: next | forward ) \s+
        | (?P<other> (?: prior | first | last | backward | absolute | relative | - ) .*? \s+ ) )??
    (?: (?: from | in ) \s+ )? {_NAME} \s*$
    """,
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
_CLOSE: Final = re.compile(rf"^\s* close \s+ {_NAME} \s*$", re.IGNORECASE | re.VERBOSE)


class Declaration(msgspec.Struct, frozen=True):
    """A cursor over the rows of `sql`."""

    name: str
    sql: str
    is_binary: bool
    is_held: bool
    """Whether it outlives its transaction."""


class Fetch(msgspec.Struct, frozen=True):
    """The next rows of a cursor."""

    name: str
    rows_max: int | None
    """None: all that are left."""
    is_move: bool
    """Whether rows are passed over."""


def parse_declare(sql: str) -> Declaration:
    """Return what a DECLARE asks for.

    Raises:
        QueryError: It is not one.
    """
    found = _DECLARE.match(sql)
    if found is None:
        raise QueryError("42601", "DECLARE is understood as: DECLARE name [BINARY] CURSOR [WITH HOLD] FOR query")
    is_held = (found["hold"] or "").lower() == "with"
    return Declaration(_folded(found["name"]), found["query"], "binary" in found["options"].lower().split(), is_held)


def parse_fetch(sql: str) -> Fetch:
    """Return what a FETCH or MOVE asks for.

    Raises:
        QueryError: It is not one, or it goes backward.
    """
    found = _FETCH.match(sql)
    if found is None:
        raise QueryError("42601", "FETCH is understood as: FETCH [NEXT | ALL | count | FORWARD [ALL | count]] [FROM] name")
    if found["other"]:
        raise QueryError(FEATURE_NOT_SUPPORTED, "cursors go only forward: FETCH takes NEXT, a count, ALL and FORWARD")
    rows_max = None if found["all"] else int(found["count"] or 1)
    return Fetch(_folded(found["name"]), rows_max, found["command"].lower() == "move")


def parse_close(sql: str) -> str | None:
    """Return the name of the cursor that a CLOSE names; None: all.

    Raises:
        QueryError: It is not one.
    """
    found = _CLOSE.match(sql)
    if found is None:
        raise QueryError("42601", "CLOSE is understood as: CLOSE name, or CLOSE ALL")
    return None if found["name"].lower() == "all" else _folded(found["name"])


def _folded(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()
