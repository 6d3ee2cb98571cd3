"""Errors of queries, with the SQLSTATE that PostgreSQL clients know them by."""

import re
from typing import Final

from perdure.base.errors import PerdureError


class QueryError(PerdureError):
    """A statement cannot be run.

    Attributes:
        sqlstate: Why, in PostgreSQL's terms.
        engine_text: Why, as the engine says it; empty where it did not come to that.
    """

    status = 400

    def __init__(self, sqlstate: str, message: str, engine_text: str = "") -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        self.engine_text = engine_text


READ_ONLY: Final = "25006"
QUERY_CANCELED: Final = "57014"
LIMIT_EXCEEDED: Final = "54000"
OUT_OF_MEMORY: Final = "53200"
FEATURE_NOT_SUPPORTED: Final = "0A000"
INTERNAL: Final = "XX000"

UNKNOWN_NAMES: Final = frozenset({"42P01", "42703"})
"""There is no such table, or no such column."""

# The engine tells kinds of errors apart only by their text.
_SQLSTATES: Final = (
    (re.compile(r"not supported: (DDL|DML)|(DDL|DML|Statement) not supported"), READ_ONLY),
    (re.compile(r"table '.*' not found", re.IGNORECASE), "42P01"),
    (re.compile(r"No field named"), "42703"),
    (re.compile(r"Invalid function"), "42883"),
    (re.compile(r"ParserError|TokenizerError|SQL error"), "42601"),
    (re.compile(r"[Pp]laceholder"), "42P02"),
    (re.compile(r"Divide by zero|divide by zero", re.IGNORECASE), "22012"),
    (re.compile(r"Cast error|Cannot cast string|Parser error"), "22P02"),
    (re.compile(r"[Oo]verflow"), "22003"),
    (re.compile(r"Resources exhausted"), OUT_OF_MEMORY),
    (re.compile(r"not implemented|not supported|Unsupported", re.IGNORECASE), FEATURE_NOT_SUPPORTED),
    (re.compile(r"Error during planning|type_coercion|Schema error"), "42000"),
)
_PREFIXES: Final = re.compile(r"^(DataFusion error: |Error during planning: |Execution error: |Schema error: |SQL error: )+")


def of_engine(error: BaseException) -> QueryError:
    """Return what the client is told of an error of the engine."""
    text = str(error)
    sqlstate = next((sqlstate for pattern, sqlstate in _SQLSTATES if pattern.search(text)), INTERNAL)
    return QueryError(sqlstate, _PREFIXES.sub("", text), text)
