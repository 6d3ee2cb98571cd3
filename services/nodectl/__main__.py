"""`python -m services.nodectl`"""

import sys
from collections.abc import Sequence

from perdure.process.config import load
from perdure.process.runtime import run
from services.nodectl.app import serve
from services.nodectl.config import NodectlConfig


def main(argv: Sequence[str]) -> int:
    """Run nodectl until it is told to stop; return the exit status."""
    return run("nodectl", load(NodectlConfig, argv, section="nodectl"), serve)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
