"""`COPY ... TO STDOUT`: which rows it wants, and how they shall look. Source: PostgreSQL documentation, page "COPY"."""

import re
from typing import Final

import msgspec

from perdure.codec.pgwire.copy import CopyFormat, CopyOptions
from perdure.query.errors import FEATURE_NOT_SUPPORTED, READ_ONLY, QueryError

_COPY: Final = re.compile(
    r"""
    ^\s* copy \s* (?: \( (?P<query> .* ) \) | (?P<table> [\w."]+ ) \s* (?: \( (?P<columns> [^)]* ) \) )? )
    \s+ to \s+ (?P<target> \w+ | '[^']*' ) (?P<options> .* )$
    """,
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
_OPTION: Final = re.compile(r"(\w+)(?:\s+(?:as\s+)?(?:e?'((?:[^']|'')*)'|(true|false|on|off|1|0|text|csv|binary)\b))?", re.IGNORECASE)
_MEANINGLESS: Final = frozenset({"with", "as", "encoding", "force_quote", "force", "escape", "freeze"})


class Copy(msgspec.Struct, frozen=True):
    """What a COPY asks for: the rows of `sql`."""

    sql: str
    options: CopyOptions


def parse_copy(sql: str) -> Copy:
    """Return what a COPY asks for.

    Raises:
        QueryError: It writes, or wants a form that is not known.
    """
    found = _COPY.match(sql)
    if found is None or found["target"].lower() != "stdout":
        raise QueryError(READ_ONLY, "cannot execute COPY: this server is read-only; COPY ... TO STDOUT is what it can do")
    query = found["query"] or " ".join(("SELECT", found["columns"] or "*", "FROM", found["table"]))
    return Copy(query, _options(found["options"]))


def _options(text: str) -> CopyOptions:
    options = CopyOptions()
    for name, quoted, word in _OPTION.findall(text):
        value = quoted.replace("''", "'") if quoted or not word else word.lower()
        match name.lower():
            case "format" | "csv" | "binary" | "text":
                options = msgspec.structs.replace(options, format=_format(value if name.lower() == "format" else name.lower()))
            case "header":
                options = msgspec.structs.replace(options, has_header=word.lower() not in {"false", "off", "0"})
            case "delimiter" if len(value) == 1 or value == "\\t":
                options = msgspec.structs.replace(options, delimiter="\t" if value == "\\t" else value)
            case "null":
                options = msgspec.structs.replace(options, null=value)
            case "quote" if len(value) == 1:
                options = msgspec.structs.replace(options, quote=value)
            case known if known in _MEANINGLESS:
                continue
            case unknown:
                raise QueryError(FEATURE_NOT_SUPPORTED, f"COPY option {unknown} is not supported")
    return options


def _format(name: str) -> CopyFormat:
    try:
        return CopyFormat(name)
    except ValueError:
        raise QueryError("22023", f'COPY format "{name}" not recognized') from None
