"""The reference page of SQL: what it promises, and every table with its columns."""

from collections.abc import Iterator
from typing import Any, Final

from perdure.query.catalogue import SCHEMAS
from perdure.query.postgres.types import BY_OID, OID_OF
from perdure.query.table import Table
from perdure.query.unused import UNUSED

HEAD: Final = """\
# SQL

Written by `make docs` from the code; change the code instead.

What the server knows can be read as tables, in two ways that share one engine ([DataFusion](https://datafusion.apache.org)):

- port 9071 takes any PostgreSQL client: `psql -h localhost -p 9071 -c 'select target, status from sys_invocation'`;
- `POST /query` of the admin API takes `{"query": "..."}` and answers as JSON (`Accept: application/json`) or as an Arrow stream.

Nothing can be written: what tries is refused with SQLSTATE 25006.

## What a statement sees

All tables of a statement are read in one snapshot of the store. FoundationDB keeps a snapshot for five seconds; a statement that reads for
longer than three goes on with a later one, behind the last row that it has read: each row is as it was at one moment, none comes twice, and
rows far apart may be of different moments. With the embedded store it is always one snapshot.

What only an invoker knows (running or backing off, attempts, the last failure) is asked for shortly before. An invoker that does not answer
within half a second is left out, and the log says so: its invocations show as `ready`.

## What is cheap

| condition | reads |
|---|---|
| `id = '...'`, `id IN (...)`; `invocation_id` of locks and idempotency keys | those invocations |
| `partition_key = n`; `target_service_key = '...'` of invocations | what lies at that key |
| `service_name = '...'` and `service_key = '...'` of state, promises, inboxes and locks | that object |
| `status = 'completed'`, `status <> 'completed'` | only what has ended, or only what has not |
| `LIMIT n` without an order or a condition | n rows |

Anything else reads the table; columns that a statement does not name are not computed.

## Dialect

Over the PostgreSQL port, the grammar of PostgreSQL; `POST /query` is read as the engine has it. Beside what DataFusion offers there are:

- JSON: `json_get_str(x, 'a', 0)`, `json_get_int`, `json_get_float`, `json_get_bool`, `json_get_json`, `json_get_array`, `json_as_text`,
  `json_length`, `json_keys`, `json_contains`, and the operators `->`, `->>`, `?`;
- `pg_catalog` and `information_schema` on the PostgreSQL port, as far as psql, psycopg, asyncpg, SQLAlchemy, JDBC, Grafana, DBeaver and
  Metabase ask;
- `COPY (select ...) TO STDOUT` there, as text, CSV or binary, which is what `\\copy (select ...) to 'file'` of psql uses;
- cursors there: `DECLARE c CURSOR FOR select ...` in a transaction, or `WITH HOLD`, then `FETCH 100 FROM c`, `MOVE`, `CLOSE`; forward only.

Durations are compared as hours, not days: `completion_retention >= interval '24 hours'`.

Of the settings of a session two have an effect, by `SET` or in `options` of the connection: `search_path` (below), and `statement_timeout`,
which may be shorter than `sql.query_timeout`. Others are taken note of. Times are always sent in UTC. A transaction is a word and no more:
each statement in it has a snapshot of its own.

## Two eras

The schema `public` has the tables of today. `v0_8` has those of servers up to 0.8: `sys_status`, and other columns under the same names.
Which one a name means is told by, first that applies:

1. the name: `SELECT * FROM v0_8.sys_journal`;
2. the search path of the session: `SET search_path TO v0_8`, or `options='-c search_path=v0_8'` in the connection's parameters;
3. the columns: a statement that does not fit `public` and fits `v0_8` means that. `SELECT service, service_key FROM state` needs no more.

In `v0_8` an invocation that has ended is in no table, a journal is found by service and key and has no rows for notifications, an
invocation of a service without keys has a key made of its id, and times are text without a fraction.

## Limits and access

Settings of the process bound the time of a statement, what it may read and hold, the rows and bytes of its result, and the sessions at
a time: see `[sql]` in [Configuration](configuration.md). A statement ends at once when its client leaves or cancels it, and when its
cursor is left unread for as long as a statement may take. `POST /query` is
bounded by 60 s and 128 MiB.

With `sql.tls_cert_file` and `sql.tls_key_file` the port offers TLS; the files are read again when they change. With `sql.password` clients
must know it (SCRAM-SHA-256), and be `sql.user` if that is set. Without them anybody may read.

## Tables

"live" columns are asked from invokers. PostgreSQL types are those of port 9071.
"""

_TITLES: Final = {"public": "Today: schema `public`", "v0_8": "Servers up to 0.8: schema `v0_8`"}


def sql_page() -> str:
    """Return the page with every table and column."""
    lines = [HEAD]
    empty = {table.name for table in UNUSED}
    for schema, tables in SCHEMAS.items():
        lines += [f"### {_TITLES[schema]}", ""]
        for name in sorted(tables.keys() - empty if schema == "public" else tables):
            lines += [f"#### `{name}`", "", *_columns(tables[name]), ""]
    named = ", ".join(f"`{name}`" for name in sorted(empty))
    lines += [f"Always empty, and there for the tools that ask for them: {named}."]
    return "\n".join(lines) + "\n"


def _columns(table: Table[Any]) -> Iterator[str]:
    yield "| column | PostgreSQL | engine | |"
    yield "|---|---|---|---|"
    for column in table.columns:
        kind = BY_OID[OID_OF[column.type]].sql_name
        yield f"| `{column.name}` | {kind} | {column.type.value} | {'live' if column.is_live else ''} |"
