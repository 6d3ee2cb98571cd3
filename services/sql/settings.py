"""Settings of a session: what clients ask with SHOW and change with SET.

`search_path` and `statement_timeout` have an effect here; drivers insist on the others.
"""

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
_TIMEOUT: Final = re.compile(r"(\d+)\s*(ms|s|min|h|)")
_UNIT_MS: Final = {"": 1, "ms": 1, "s": 1_000, "min": 60_000, "h": 3_600_000}

Values = Mapping[str, str]


class Settings:
    """The settings of one session.

    Args:
        given: What the client gave when it connected.

    Raises:
        QueryError: A value of those cannot be.
    """

    def __init__(self, given: Mapping[str, str]) -> None:
        given = {**given, **dict(_OPTION.findall(given.get("options", "")))}
        names = {name.lower() for name in given} - _FIXED - {"user", "database", "options"}
        self._at_start: Values = _DEFAULTS | {name.lower(): value for name, value in given.items() if name.lower() in names}
        self._values = self._at_start
        self._before: Values | None = None
        """As they were when the transaction began; None outside of one."""
        self._local: Values = {}
        """What holds until the end of the transaction."""
        _timeout_ms(self._values["statement_timeout"])

    @property
    def schema(self) -> str:
        """The schema of tables that are named without one: the first of the search path that exists."""
        names = (name.strip().strip("'\"").lower() for name in self._now["search_path"].split(","))
        return next((name for name in names if name in SCHEMA_NAMES), PUBLIC)

    @property
    def statement_timeout_ms(self) -> int:
        """How long a statement may take at most, as the client wants it; 0: it does not say."""
        return _timeout_ms(self._now["statement_timeout"])

    @property
    def application_name(self) -> str:
        return self._now["application_name"]

    @property
    def _now(self) -> Values:
        return {**self._values, **self._local} if self._local else self._values

    def begin(self) -> None:
        """Take note that a transaction begins."""
        self._before = self._values

    def end(self, *, is_undone: bool) -> None:
        """Take note that a transaction, if there is one, ends; what was set in one that failed is undone."""
        if is_undone and self._before is not None:
            self._values = self._before
        self._before, self._local = None, {}

    def show(self, statement: Statement) -> tuple[str, str]:
        """Return name and value of the setting that a SHOW names.

        Raises:
            QueryError: There is none.
        """
        name = _name(statement.words[1:])
        value = self._now.get(name)
        if value is None:
            raise QueryError("42704", f'unrecognized configuration parameter "{name}"')
        return name, value

    def set(self, statement: Statement) -> None:
        """Take note of a SET or RESET.

        Raises:
            QueryError: The value would change what this server sends, and it cannot.
        """
        words = [word for word in statement.words[1:] if word not in {"session", "local"}]
        if not words:
            return
        name = _name(words)
        if statement.words[0] == "reset":
            self.reset(None if name == "all" else name)
            return
        assigned = _ASSIGNMENT.search(statement.sql)
        if assigned is None or name in _FIXED - {"client_encoding"}:
            return
        value = assigned[1].strip("'\"")
        if value.lower() == "default":
            self.reset(name)
        elif name == "client_encoding":
            if value.lower() not in _ENCODINGS:
                raise QueryError("22023", f"client_encoding {value} is not supported, use UTF8")
        else:
            if name == "statement_timeout":
                _timeout_ms(value)
            self._assign(name, value, is_local="local" in statement.words)

    def reset(self, name: str | None = None) -> None:
        """Take a setting back to what it was when the client connected; None: all."""
        if name is None:
            self._values, self._local = self._at_start, {}
            return
        self._local = {known: value for known, value in self._local.items() if known != name}
        self._values = {known: value for known, value in self._values.items() if known != name}
        if name in self._at_start:
            self._values = {**self._values, name: self._at_start[name]}

    def _assign(self, name: str, value: str, *, is_local: bool) -> None:
        if not is_local:
            self._values = {**self._values, name: value}
            self._local = {known: kept for known, kept in self._local.items() if known != name}
        elif self._before is not None:
            self._local = {**self._local, name: value}


def _name(words: Sequence[str]) -> str:
    return _ALIASES.get(tuple(words[:2])) or "".join(words[:1])


def _timeout_ms(text: str) -> int:
    found = _TIMEOUT.fullmatch(text.strip().lower())
    if found is None:
        raise QueryError("22023", f'invalid value for parameter "statement_timeout": "{text}"; it is milliseconds, or as 30s, 5min or 1h')
    return int(found[1]) * _UNIT_MS[found[2]]
