"""The tables of `pg_catalog` and `information_schema`, filled with what the tables of this server are.

Only columns that clients ask for are there. Source: PostgreSQL documentation, chapters "System Catalogs" and "The Information Schema".
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Final

import msgspec

from perdure.query.catalogue import SCHEMAS
from perdure.query.postgres.layouts import INFORMATION_TABLES, SYSTEM_TABLES
from perdure.query.postgres.types import BY_OID, OID_OF, POSTGRES_TYPES
from perdure.query.table import Table
from perdure.query.wire import PUBLIC, SEED_ERA

DATABASE: Final = "restate"
USER: Final = "perdure"
INFORMATION_SCHEMA: Final = "information_schema"
SYSTEM_SCHEMA: Final = "pg_catalog"
CATALOGUE: Final = {SYSTEM_SCHEMA: SYSTEM_TABLES, INFORMATION_SCHEMA: INFORMATION_TABLES}
"""schema -> its tables and their columns"""
CATALOGUE_SCHEMAS: Final = frozenset(CATALOGUE)
CATALOGUE_TABLES: Final = frozenset(SYSTEM_TABLES)

_OWNER_OID: Final = 10
_NAMESPACES: Final = {SYSTEM_SCHEMA: 11, PUBLIC: 2200, INFORMATION_SCHEMA: 13_000, SEED_ERA: 16_384}
_FIRST_TABLE_OID: Final = 16_400
_COLLATION_OID: Final = 100
_COLLATABLE: Final = frozenset({25, 1043, 1009})
_TYPE_OIDS: Final = {"text": 25, "char": 18, "int": 20, "bool": 16, "text[]": 1009, "int[]": 1016, "float": 701}

_SETTINGS: Final = (("server_version", "14.0"), ("max_index_keys", "32"))

Row = dict[str, Any]  # a row of a catalogue table: its values are what its columns take


class Relation(msgspec.Struct, frozen=True):
    """A table as the catalogue shows it."""

    oid: int
    schema: str
    name: str
    columns: tuple[tuple[str, int], ...]
    """Names and types."""


@cache
def relations() -> tuple[Relation, ...]:
    """Return all tables, those of the catalogue included."""
    found: list[tuple[str, str, tuple[tuple[str, int], ...]]] = []
    for schema, tables in SCHEMAS.items():
        found += [(schema, name, _columns_of(table)) for name, table in tables.items()]
    for schema, layouts in CATALOGUE.items():
        found += [(schema, name, tuple((column, _TYPE_OIDS[kind]) for column, kind in layout)) for name, layout in layouts.items()]
    return tuple(Relation(_FIRST_TABLE_OID + number, *each) for number, each in enumerate(found))


def _columns_of(table: Table[Any]) -> tuple[tuple[str, int], ...]:
    return tuple((column.name, OID_OF[column.type]) for column in table.columns)


def rows_of(schema: str, name: str) -> list[Row]:
    """Return the rows of a table of the catalogue; those that are not known here have none."""
    rows = _ROWS.get((schema, name))
    return [] if rows is None else list(rows())


def _pg_namespace() -> Iterator[Row]:
    for name, oid in _NAMESPACES.items():
        yield {"oid": oid, "nspname": name, "nspowner": _OWNER_OID}


def _pg_class() -> Iterator[Row]:
    for each in relations():
        yield {
            "oid": each.oid,
            "relname": each.name,
            "relnamespace": _NAMESPACES[each.schema],
            "relowner": _OWNER_OID,
            "relam": 2,
            "relpersistence": "p",
            "relkind": "r" if each.schema not in {SYSTEM_SCHEMA, INFORMATION_SCHEMA} else "v",
            "relnatts": len(each.columns),
            "relispopulated": True,
            "relreplident": "n",
            "reltuples": -1.0,
        }


def _pg_attribute() -> Iterator[Row]:
    for each in relations():
        for number, (name, type_oid) in enumerate(each.columns, 1):
            kind = BY_OID[type_oid]
            yield {
                "attrelid": each.oid,
                "attname": name,
                "atttypid": type_oid,
                "attlen": kind.size,
                "attnum": number,
                "attndims": int(kind.element_oid > 0),
                "atttypmod": -1,
                "attstattarget": -1,
                "attislocal": True,
                "attstorage": "p" if kind.size > 0 else "x",
                "attidentity": "",
                "attgenerated": "",
                "attcompression": "",
                "attcollation": _COLLATION_OID if type_oid in _COLLATABLE else 0,
            }


def _pg_type() -> Iterator[Row]:
    for each in POSTGRES_TYPES:
        yield {
            "oid": each.oid,
            "typname": each.name,
            "typnamespace": _NAMESPACES[SYSTEM_SCHEMA],
            "typowner": _OWNER_OID,
            "typlen": each.size,
            "typbyval": 0 < each.size <= 8,
            "typtype": "b",
            "typcategory": each.category,
            "typisdefined": True,
            "typdelim": ",",
            "typelem": each.element_oid,
            "typarray": each.array_oid,
            "typinput": "array_in" if each.element_oid else f"{each.name}in",
            "typreceive": "array_recv" if each.element_oid else f"{each.name}recv",
            "typtypmod": -1,
            "typstorage": "p" if each.size > 0 else "x",
            "typcollation": _COLLATION_OID if each.oid in _COLLATABLE else 0,
        }


def _pg_tables() -> Iterator[Row]:
    for each in relations():
        yield {"schemaname": each.schema, "tablename": each.name, "tableowner": USER}


def _pg_database() -> Iterator[Row]:
    yield {
        "oid": 16_383,
        "datname": DATABASE,
        "datdba": _OWNER_OID,
        "encoding": 6,
        "datcollate": "C.UTF-8",
        "datctype": "C.UTF-8",
        "datallowconn": True,
        "datconnlimit": -1,
        "dattablespace": 1_663,
        "datlocprovider": "c",
    }


def _role(prefix: str) -> Row:
    return {f"{prefix}name": USER, f"{prefix}canlogin": True, f"{prefix}connlimit": -1, f"{prefix}inherit": True, "oid": _OWNER_OID}


def _pg_user() -> Iterator[Row]:
    yield {"usename": USER, "usesysid": _OWNER_OID}


def _schemata() -> Iterator[Row]:
    for name in _NAMESPACES:
        yield {"catalog_name": DATABASE, "schema_name": name, "schema_owner": USER}


def _tables() -> Iterator[Row]:
    for each in relations():
        kind = "BASE TABLE" if each.schema not in {SYSTEM_SCHEMA, INFORMATION_SCHEMA} else "VIEW"
        names = {"table_catalog": DATABASE, "table_schema": each.schema, "table_name": each.name}
        yield names | {"table_type": kind, "is_insertable_into": "NO", "is_typed": "NO"}


def _columns() -> Iterator[Row]:
    for each in relations():
        names = {"table_catalog": DATABASE, "table_schema": each.schema, "table_name": each.name}
        for number, (name, type_oid) in enumerate(each.columns, 1):
            kind = BY_OID[type_oid]
            yield names | {
                "column_name": name,
                "ordinal_position": number,
                "is_nullable": "YES",
                "data_type": "ARRAY" if kind.element_oid else kind.sql_name,
                "udt_catalog": DATABASE,
                "udt_schema": SYSTEM_SCHEMA,
                "udt_name": kind.name,
                "is_identity": "NO",
                "is_generated": "NEVER",
                "is_updatable": "NO",
                "datetime_precision": 3 if kind.category in "DT" else None,
            }


_ROWS: Final[Mapping[tuple[str, str], Callable[[], Iterator[Row]]]] = {
    (SYSTEM_SCHEMA, "pg_namespace"): _pg_namespace,
    (SYSTEM_SCHEMA, "pg_class"): _pg_class,
    (SYSTEM_SCHEMA, "pg_attribute"): _pg_attribute,
    (SYSTEM_SCHEMA, "pg_type"): _pg_type,
    (SYSTEM_SCHEMA, "pg_tables"): _pg_tables,
    (SYSTEM_SCHEMA, "pg_database"): _pg_database,
    (SYSTEM_SCHEMA, "pg_roles"): lambda: iter([_role("rol")]),
    (SYSTEM_SCHEMA, "pg_authid"): lambda: iter([_role("rol")]),
    (SYSTEM_SCHEMA, "pg_user"): _pg_user,
    (SYSTEM_SCHEMA, "pg_am"): lambda: iter([{"oid": 2, "amname": "heap", "amtype": "t"}]),
    (SYSTEM_SCHEMA, "pg_settings"): lambda: iter(
        [{"name": "server_version", "setting": "14.0"}, {"name": "max_index_keys", "setting": "32"}]
    ),
    (SYSTEM_SCHEMA, "pg_get_keywords"): lambda: ({"word": word, "catcode": "R"} for word in ("ilike", "limit", "offset", "returning")),
    (INFORMATION_SCHEMA, "schemata"): _schemata,
    (INFORMATION_SCHEMA, "tables"): _tables,
    (INFORMATION_SCHEMA, "columns"): _columns,
}

EMPTY_TABLES: Final = frozenset(name for name in SYSTEM_TABLES if (SYSTEM_SCHEMA, name) not in _ROWS)
"""What can never have a row here."""


def named(name: str) -> Relation | None:
    """Return the table with a name, with or without its schema; without one, that which is found first."""
    schema, _, bare = name.replace('"', "").rpartition(".")
    found: Iterable[Relation] = (each for each in relations() if each.name == bare and (not schema or each.schema == schema))
    return next(iter(found), None)
