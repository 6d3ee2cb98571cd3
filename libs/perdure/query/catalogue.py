"""All tables, by name."""

from typing import Final

from perdure.query.invocations import SYS_INVOCATION
from perdure.query.registrations import SYS_DEPLOYMENT, SYS_SERVICE
from perdure.query.table import Table

TABLES: Final[dict[str, Table]] = {table.name: table for table in (SYS_INVOCATION, SYS_SERVICE, SYS_DEPLOYMENT)}
