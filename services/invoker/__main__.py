"""Start an invoker: `python -m services.invoker --help`."""

import sys
from collections.abc import Sequence

from perdure.process.config import load
from perdure.process.runtime import run
from services.invoker.app import serve
from services.invoker.config import InvokerConfig


def main(argv: Sequence[str]) -> int:
    """Run until SIGTERM; return the exit status."""
    return run("invoker", load(InvokerConfig, argv, section="invoker"), serve)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
