"""PostgreSQL's types, as far as columns here have them. Source: PostgreSQL documentation, its catalogue pg_type."""

from typing import Final

import msgspec

from perdure.query.table import ColumnType


class PostgresType(msgspec.Struct, frozen=True):
    """One row of pg_type, with the name that the SQL standard gives it."""

    oid: int
    name: str
    size: int
    category: str
    array_oid: int
    sql_name: str
    element_oid: int = 0


_SCALARS: Final = (
    PostgresType(16, "bool", 1, "B", 1000, "boolean"),
    PostgresType(17, "bytea", -1, "U", 1001, "bytea"),
    PostgresType(18, "char", 1, "S", 1002, '"char"'),
    PostgresType(19, "name", 64, "S", 1003, "name"),
    PostgresType(20, "int8", 8, "N", 1016, "bigint"),
    PostgresType(21, "int2", 2, "N", 1005, "smallint"),
    PostgresType(23, "int4", 4, "N", 1007, "integer"),
    PostgresType(24, "regproc", 4, "N", 1008, "regproc"),
    PostgresType(25, "text", -1, "S", 1009, "text"),
    PostgresType(26, "oid", 4, "N", 1028, "oid"),
    PostgresType(114, "json", -1, "U", 199, "json"),
    PostgresType(700, "float4", 4, "N", 1021, "real"),
    PostgresType(701, "float8", 8, "N", 1022, "double precision"),
    PostgresType(705, "unknown", -2, "X", 0, "unknown"),
    PostgresType(1042, "bpchar", -1, "S", 1014, "character"),
    PostgresType(1043, "varchar", -1, "S", 1015, "character varying"),
    PostgresType(1082, "date", 4, "D", 1182, "date"),
    PostgresType(1083, "time", 8, "D", 1183, "time without time zone"),
    PostgresType(1114, "timestamp", 8, "D", 1115, "timestamp without time zone"),
    PostgresType(1184, "timestamptz", 8, "D", 1185, "timestamp with time zone"),
    PostgresType(1186, "interval", 16, "T", 1187, "interval"),
    PostgresType(1700, "numeric", -1, "N", 1231, "numeric"),
    PostgresType(2205, "regclass", 4, "N", 2210, "regclass"),
    PostgresType(2206, "regtype", 4, "N", 2211, "regtype"),
    PostgresType(2950, "uuid", 16, "U", 2951, "uuid"),
    PostgresType(3802, "jsonb", -1, "U", 3807, "jsonb"),
)


def _array_of(scalar: PostgresType) -> PostgresType:
    return PostgresType(scalar.array_oid, f"_{scalar.name}", -1, "A", 0, f"{scalar.sql_name}[]", scalar.oid)


POSTGRES_TYPES: Final = (*_SCALARS, *(_array_of(scalar) for scalar in _SCALARS if scalar.array_oid))
BY_OID: Final = {each.oid: each for each in POSTGRES_TYPES}
BY_NAME: Final = {name: each for each in POSTGRES_TYPES for name in (each.name, each.sql_name)} | {"int": BY_OID[23]}

OID_OF: Final = {
    ColumnType.TEXT: 25,
    ColumnType.U64: 1700,
    ColumnType.U32: 20,
    ColumnType.BOOL: 16,
    ColumnType.BYTES: 17,
    ColumnType.TIMESTAMP: 1184,
    ColumnType.MOMENT: 1043,
    ColumnType.DURATION: 1186,
    ColumnType.U32_LIST: 1016,
    ColumnType.TEXT_LIST: 1009,
}
"""As `services.sql` sends them: numbers without sign take the next larger type."""
