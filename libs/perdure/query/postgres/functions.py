"""Functions of PostgreSQL's catalogue, for the engine. What this server does not have (comments, indexes, views) they answer with null.

Neither Arrow nor DataFusion tells types to a type checker: hence Any for their objects.
"""

import importlib
import re
from collections.abc import Callable
from typing import Any, Final

from perdure.query.postgres.catalogue import DATABASE, USER, named, relations, rows_of
from perdure.query.postgres.types import BY_NAME, BY_OID

_TEXT, _INT, _BOOL = "text", "int", "bool"
_TEXTS, _INTS, _FIELDS = "text[]", "int[]", "fields"

BY_ARITY: Final = frozenset(
    {
        *("pg_get_expr", "pg_get_constraintdef", "pg_get_indexdef", "pg_get_viewdef", "pg_get_triggerdef", "pg_get_ruledef"),
        *("obj_description", "has_table_privilege", "has_schema_privilege", "has_column_privilege", "has_database_privilege"),
        *("current_setting", "pg_size_pretty", "pg_get_partkeydef", "pg_get_function_arguments", "has_any_column_privilege", "format"),
    }
)
"""Functions that take different numbers of arguments: a call names its number, `pg_get_expr_2`."""


def _format_type(oid: int | None, _modifier: int | None) -> str | None:
    if oid is None:
        return None
    known = BY_OID.get(oid)
    return "???" if known is None else known.sql_name


def _regclass_oid(name: str | None) -> int | None:
    if name is None or name.isdecimal():
        return None if name is None else int(name)
    found = named(name)
    return None if found is None else found.oid


def _regclass_name(oid: int | None) -> str | None:
    return next((each.name for each in relations() if each.oid == oid), None if oid is None else str(oid))


def _regtype_oid(name: str | None) -> int | None:
    if name is None or name.isdecimal():
        return None if name is None else int(name)
    found = BY_NAME.get(name.rpartition(".")[2])
    return None if found is None else found.oid


def _regnamespace_oid(name: str | None) -> int | None:
    return next((row["oid"] for row in rows_of("pg_catalog", "pg_namespace") if row["nspname"] == name), None)


def _regnamespace_name(oid: int | None) -> str | None:
    return next((row["nspname"] for row in rows_of("pg_catalog", "pg_namespace") if row["oid"] == oid), None)


def _is_visible(oid: int | None) -> bool:
    found = next((each for each in relations() if each.oid == oid), None)
    return found is not None and found.schema in {"public", "pg_catalog"}


def _quoted(name: str | None) -> str | None:
    if name is None or (name.isidentifier() and name == name.lower()):
        return name
    return '"' + name.replace('"', '""') + '"'


def _literal(value: str | None) -> str | None:
    if value is None:
        return None
    quoted = "'" + value.replace("'", "''") + "'"
    return " E" + quoted.replace("\\", "\\\\") if "\\" in value else quoted


def _literal_or_null(value: str | None) -> str:
    return _literal(value) or "NULL"


def _formatted(pattern: str | None, *values: str | None) -> str | None:
    """Fill `%s`, `%I` and `%L` of a pattern."""
    left = iter(values)
    forms: dict[str, Callable[[str | None], str | None]] = {"s": lambda value: value, "I": _quoted, "L": _literal_or_null}
    return pattern and re.sub("%([sIL%])", lambda each: "%" if each[1] == "%" else forms[each[1]](next(left, None)) or "", pattern)


_SETTINGS: Final = {"server_version": "14.0", "server_version_num": "140000", "search_path": "public", "timezone": "UTC", "jit": "off"}


def _always(value: object) -> Callable[..., object]:
    def answer(*_arguments: object) -> object:
        return value

    return answer


_yes: Final = _always(True)
_null: Final = _always(None)


def _setting(name: str | None, *_is_missing_ok: object) -> str | None:
    return _SETTINGS.get(name or "")


def _set_config(_name: str | None, value: str | None, _is_local: bool | None) -> str | None:
    return value


def _size_text(size: int | None) -> str | None:
    return None if size is None else f"{size} bytes"


def _schemas(with_system: bool | None) -> list[str]:
    return ["pg_catalog", "public"] if with_system else ["public"]


def _type_name(oid: int | None) -> str | None:
    return _format_type(oid, None)


def _subscripts(values: list[int] | None) -> list[int] | None:
    return None if values is None else list(range(1, len(values) + 1))


Function = tuple[tuple[str, ...], str, Callable[..., object]]
"""Types of its arguments, type of its result, and what it does with one row."""

_PRIVILEGES: Final = ("has_table_privilege", "has_schema_privilege", "has_database_privilege", "has_any_column_privilege")

FUNCTIONS: Final[dict[str, Function]] = {
    "format_type": ((_INT, _INT), _TEXT, _format_type),
    "regclass_oid": ((_TEXT,), _INT, _regclass_oid),
    "regclass_name": ((_INT,), _TEXT, _regclass_name),
    "to_regclass": ((_TEXT,), _INT, _regclass_oid),
    "regtype_oid": ((_TEXT,), _INT, _regtype_oid),
    "regtype_name": ((_INT,), _TEXT, _type_name),
    "to_regtype": ((_TEXT,), _INT, _regtype_oid),
    "regnamespace_oid": ((_TEXT,), _INT, _regnamespace_oid),
    "regnamespace_name": ((_INT,), _TEXT, _regnamespace_name),
    "pg_table_is_visible": ((_INT,), _BOOL, _is_visible),
    "pg_type_is_visible": ((_INT,), _BOOL, _yes),
    **{
        f"pg_{kind}_is_visible": ((_INT,), _BOOL, _yes)
        for kind in ("function", "collation", "statistics_obj", "opclass", "operator", "conversion")
    },
    **{f"pg_{kind}_is_visible": ((_INT,), _BOOL, _yes) for kind in ("opfamily", "ts_config", "ts_dict", "ts_parser", "ts_template")},
    "pg_get_userbyid": ((_INT,), _TEXT, _always(USER)),
    "pg_encoding_to_char": ((_INT,), _TEXT, _always("UTF8")),
    "getdatabaseencoding": ((), _TEXT, _always("UTF8")),
    "pg_char_to_encoding": ((_TEXT,), _INT, _always(6)),
    "pg_get_expr_2": ((_TEXT, _INT), _TEXT, _null),
    "pg_get_expr_3": ((_TEXT, _INT, _BOOL), _TEXT, _null),
    "pg_get_constraintdef_1": ((_INT,), _TEXT, _null),
    "pg_get_constraintdef_2": ((_INT, _BOOL), _TEXT, _null),
    "pg_get_indexdef_1": ((_INT,), _TEXT, _null),
    "pg_get_indexdef_3": ((_INT, _INT, _BOOL), _TEXT, _null),
    "pg_get_viewdef_1": ((_INT,), _TEXT, _null),
    "pg_get_viewdef_2": ((_INT, _BOOL), _TEXT, _null),
    "pg_get_triggerdef_1": ((_INT,), _TEXT, _null),
    "pg_get_triggerdef_2": ((_INT, _BOOL), _TEXT, _null),
    "pg_get_ruledef_1": ((_INT,), _TEXT, _null),
    "pg_get_ruledef_2": ((_INT, _BOOL), _TEXT, _null),
    "pg_get_partkeydef_1": ((_INT,), _TEXT, _null),
    "pg_get_statisticsobjdef_columns": ((_INT,), _TEXT, _null),
    "pg_get_serial_sequence": ((_TEXT, _TEXT), _TEXT, _null),
    "pg_get_function_result": ((_INT,), _TEXT, _null),
    "pg_get_function_arguments_1": ((_INT,), _TEXT, _null),
    "pg_get_function_sqlbody": ((_INT,), _TEXT, _null),
    "pg_get_function_identity_arguments": ((_INT,), _TEXT, _null),
    "pg_relation_is_publishable": ((_INT,), _BOOL, _always(False)),
    "pg_relation_size": ((_INT,), _INT, _always(0)),
    "pg_table_size": ((_INT,), _INT, _always(0)),
    "pg_tablespace_size": ((_TEXT,), _INT, _always(0)),
    "pg_database_size": ((_TEXT,), _INT, _always(0)),
    "pg_total_relation_size": ((_INT,), _INT, _always(0)),
    "pg_tablespace_location": ((_INT,), _TEXT, _null),
    "pg_size_pretty_1": ((_INT,), _TEXT, _size_text),
    "pg_backend_pid": ((), _INT, _always(0)),
    "pg_advisory_unlock_all": ((), _TEXT, _always("")),
    "pg_stat_get_numscans": ((_INT,), _INT, _always(0)),
    "pg_is_in_recovery": ((), _BOOL, _always(False)),
    "pg_my_temp_schema": ((), _INT, _always(0)),
    "obj_description_1": ((_INT,), _TEXT, _null),
    "obj_description_2": ((_INT, _TEXT), _TEXT, _null),
    "col_description": ((_INT, _INT), _TEXT, _null),
    "shobj_description": ((_INT, _TEXT), _TEXT, _null),
    "current_setting_1": ((_TEXT,), _TEXT, _setting),
    "current_setting_2": ((_TEXT, _BOOL), _TEXT, _setting),
    "set_config": ((_TEXT, _TEXT, _BOOL), _TEXT, _set_config),
    "current_schemas": ((_BOOL,), _TEXTS, _schemas),
    "quote_ident": ((_TEXT,), _TEXT, _quoted),
    "quote_literal": ((_TEXT,), _TEXT, _literal),
    "quote_nullable": ((_TEXT,), _TEXT, _literal_or_null),
    **{f"format_{count}": ((_TEXT,) * count, _TEXT, _formatted) for count in range(1, 5)},
    "array_subscripts": ((_INTS,), _INTS, _subscripts),
    "_pg_expandarray": ((_INTS,), _FIELDS, _null),
    "current_user": ((), _TEXT, _always(USER)),
    "session_user": ((), _TEXT, _always(USER)),
    "current_catalog": ((), _TEXT, _always(DATABASE)),
    **{f"{name}_2": ((_TEXT, _TEXT), _BOOL, _yes) for name in _PRIVILEGES},
    **{f"{name}_3": ((_TEXT, _TEXT, _TEXT), _BOOL, _yes) for name in _PRIVILEGES},
    "has_column_privilege_3": ((_TEXT, _TEXT, _TEXT), _BOOL, _yes),
    "has_column_privilege_4": ((_TEXT, _TEXT, _TEXT, _TEXT), _BOOL, _yes),
}


def arrow_type(kind: str) -> Any:
    """Return the Arrow type of a kind of value."""
    pa: Any = importlib.import_module("pyarrow")
    types = {"text": pa.string(), "char": pa.string(), "int": pa.int64(), "bool": pa.bool_(), "float": pa.float64()}
    types |= {"text[]": pa.list_(pa.string()), "int[]": pa.list_(pa.int64())}
    return types.get(kind) or pa.struct([("x", pa.int64()), ("n", pa.int64())])


def udfs() -> list[Any]:
    """Return all functions as the engine takes them."""
    pa: Any = importlib.import_module("pyarrow")
    datafusion: Any = importlib.import_module("datafusion")

    def by_row(work: Callable[..., object], result: Any) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            if not arguments:
                return pa.array([work()], type=result)
            return pa.array([work(*row) for row in zip(*(each.to_pylist() for each in arguments), strict=True)], type=result)

        return run

    return [
        datafusion.udf(by_row(work, arrow_type(result)), [arrow_type(kind) for kind in kinds], arrow_type(result), "stable", name)
        for name, (kinds, result, work) in FUNCTIONS.items()
    ]
