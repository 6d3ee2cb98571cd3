"""`python -m services.sql`"""

import sys
from collections.abc import Sequence

from perdure.process.config import load
from perdure.process.runtime import run
from services.sql.app import serve
from services.sql.config import SqlConfig


def main(argv: Sequence[str]) -> int:
    """Run the sql process until it is told to stop; return the exit status."""
    return run("sql", load(SqlConfig, argv, section="sql"), serve)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
