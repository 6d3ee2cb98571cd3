"""Settings of a session: what clients ask with SHOW and change with SET. None has an effect here, but drivers insist on them."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from perdure.query.engine import COMPATIBLE_POSTGRES
from perdure.query.errors import QueryError
from perdure.query.wire import PUBLIC, SCHEMA_NAMES
from services.sql.statements import Statement

REPORTED: Final = {
    "server_version": COMPATIBLE_POSTGRES,
    "server_encoding": "UTF8",
    "client_encoding": "UTF8",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "integer_datetimes": "on",
    "standard_conforming_strings": "on",
    "is_superuser": "off",
    "session_authorization": "perdure",
    "in_hot_standby": "on",
}
"""What every client is told when its session begins."""

_DEFAULTS: Final = {name.lower(): value for name, value in REPORTED.items()} | {
    "application_name": "",
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "on",
    "extra_float_digits": "1",
    "max_identifier_length": "63",
    "search_path": "public",
    "server_version_num": "140000",
    "statement_timeout": "0",
    "transaction_isolation": "read committed",
    "transaction_read_only": "on",
}
_ALIASES: Final[dict[tuple[str, ...], str]] = {
    ("transaction", "isolation"): "transaction_isolation",
    ("time", "zone"): "timezone",
    ("session", "authorization"): "session_authorization",
}
_FIXED: Final = frozenset({"client_encoding", "server_version", "server_encoding", "datestyle", "intervalstyle", "timezone"})
"""What stays as it is reported: values are sent in one form, with their offset from UTC."""
_ENCODINGS: Final = frozenset({"utf8", "utf-8", "unicode", "sql_ascii", "default"})
_ASSIGNMENT: Final = re.compile(r"(?:=|\bto\b|\btime\s+zone\b)\s*(.+?)\s*;?\s*$", re.IGNORECASE | re.DOTALL)
_OPTION: Final = re.compile(r"(?:-c\s*|--)(\w+)=((?:\\.|\S)*)")
"""`-c name=value` or `--name=value` among the options that a client gives when it connects."""


class Settings:
    """The settings of one session."""

    def __init__(self, given: Mapping[str, str]) -> None:
        given = {**given, **dict(_OPTION.findall(given.get("options", "")))}
        names = {name.lower() for name in given} - _FIXED - {"user", "database", "options"}
        self._values = _DEFAULTS | {name.lower(): value for name, value in given.items() if name.lower() in names}

    @property
    def schema(self) -> str:
        """The schema of tables that are named without one: the first of the search path that exists."""
        names = (name.strip().strip("'\"").lower() for name in self._values["search_path"].split(","))
        return next((name for name in names if name in SCHEMA_NAMES), PUBLIC)

    def show(self, statement: Statement) -> tuple[str, str]:
        """Return name and value of the setting that a SHOW names.

        Raises:
            QueryError: There is none.
        """
        name = _name(statement.words[1:])
        value = self._values.get(name)
        if value is None:
            raise QueryError("42704", f'unrecognized configuration parameter "{name}"')
        return name, value

    def set(self, statement: Statement) -> None:
        """Take note of a SET or RESET.

        Raises:
            QueryError: The value would change what this server sends, and it cannot.
        """
        words = [word for word in statement.words[1:] if word not in {"session", "local"}]
        if not words or statement.words[0] == "reset":
            return
        assigned = _ASSIGNMENT.search(statement.sql)
        if assigned is None:
            return
        name, value = _name(words), assigned[1].strip("'\"")
        if name == "client_encoding" and value.lower() not in _ENCODINGS:
            raise QueryError("22023", f"client_encoding {value} is not supported, use UTF8")
        if name not in _FIXED:
            self._values[name] = value


def _name(words: Sequence[str]) -> str:
    return _ALIASES.get(tuple(words[:2])) or "".join(words[:1])
