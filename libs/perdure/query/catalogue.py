"""All tables, by schema and name."""

from typing import Any, Final

from perdure.query.events import SYS_JOURNAL_EVENTS
from perdure.query.invocations import SYS_IDEMPOTENCY, SYS_INVOCATION, SYS_INVOCATION_STATE, SYS_INVOCATION_STATUS
from perdure.query.journal import SYS_JOURNAL
from perdure.query.objects import STATE, SYS_INBOX, SYS_KEYED_SERVICE_STATUS, SYS_PROMISE
from perdure.query.registrations import SYS_DEPLOYMENT, SYS_SERVICE
from perdure.query.seed_era import SEED_ERA_TABLES
from perdure.query.table import Table
from perdure.query.unused import UNUSED
from perdure.query.wire import PUBLIC, SEED_ERA

TABLES: Final[dict[str, Table[Any]]] = {  # Any: each has items of its own
    table.name: table
    for table in (
        SYS_INVOCATION,
        SYS_INVOCATION_STATUS,
        SYS_INVOCATION_STATE,
        SYS_IDEMPOTENCY,
        SYS_JOURNAL,
        SYS_JOURNAL_EVENTS,
        SYS_INBOX,
        SYS_KEYED_SERVICE_STATUS,
        SYS_PROMISE,
        STATE,
        SYS_SERVICE,
        SYS_DEPLOYMENT,
        *UNUSED,
    )
}

SCHEMAS: Final[dict[str, dict[str, Table[Any]]]] = {PUBLIC: TABLES, SEED_ERA: SEED_ERA_TABLES}
"""schema -> its tables; a statement that names no schema means `public`, or `v0_8` if only that has what it names."""
