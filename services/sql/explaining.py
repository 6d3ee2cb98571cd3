"""What a client is told of an error beside its text: a hint, more detail, and where in the statement it is.

The engine puts all of it into one text. Source of the fields: PostgreSQL documentation, "Error and Notice Message Fields".
"""

import re
from typing import Final

import msgspec

from perdure.query.tokens import tokens_of

_PARSER: Final = re.compile(r'^\w*Error\("(?P<text>.*)"\)$', re.DOTALL)
_PLACE: Final = re.compile(r"(?:,? found: (?P<found>\S+))? at Line: (?P<line>\d+), Column: (?P<column>\d+)")
_MEANT: Final = re.compile(r"\s*(Did you mean [^\n]*\?)")
_CHOICES: Final = re.compile(r"\s*(Valid fields are .*)$", re.DOTALL)
_NAMES: Final = re.compile(r"(?:No field named|table '|Invalid function '|unqualified field) ?(?P<name>[\w.\"]+?)(?:'|\.?\s|\.?$)")


class Explained(msgspec.Struct, frozen=True):
    """An error in its parts; what there is nothing to say of is empty."""

    message: str
    detail: str = ""
    hint: str = ""
    position: int = 0
    """Of the character in the statement that it is about, from 1; 0: nowhere."""


def explained(message: str, sql: str) -> Explained:
    """Return the parts of an error of a statement."""
    parsed = _PARSER.match(message)
    if parsed is not None:
        text = parsed["text"].replace('\\"', '"')
        place = _PLACE.search(text)
        found = f", found {place['found']}" if place is not None and place["found"] else ""
        shown = text if place is None else f"{text[: place.start()]}{found}"
        return Explained(f"syntax error: {shown.replace('Expected: ', 'expected ')}", position=_at(place, sql))
    hint, detail = _MEANT.search(message), _CHOICES.search(message)
    about = _NAMES.search(message)
    short = _CHOICES.sub("", _MEANT.sub("", message)).rstrip(".") if hint or detail else message
    position = 0 if about is None else _position_of(about["name"].replace('"', "").rpartition(".")[2], sql)
    return Explained(short, detail[1] if detail else "", hint[1] if hint else "", position)


def _at(place: re.Match[str] | None, sql: str) -> int:
    """Return the position of a line and column, if what was found there is there: statements are rewritten before they are parsed."""
    lines = sql.split("\n")
    if place is None or not place["found"] or int(place["line"]) > len(lines):
        return 0
    line, column = int(place["line"]) - 1, int(place["column"]) - 1
    position = sum(len(each) + 1 for each in lines[:line]) + column
    return position + 1 if place["found"] != "EOF" and sql.startswith(place["found"], position) else 0


def _position_of(name: str, sql: str) -> int:
    position = 0
    for token in tokens_of(sql):
        position += len(token.before)
        if token.kind in {"word", "name"} and token.lower == name:
            return position + 1
        position += len(token.text)
    return 0
