"""`python -m services.ingress`"""

import sys
from collections.abc import Sequence

from perdure.process.config import load
from perdure.process.runtime import run
from services.ingress.app import serve
from services.ingress.config import IngressConfig


def main(argv: Sequence[str]) -> int:
    """Run the ingress until it is told to stop; return the exit status."""
    return run("ingress", load(IngressConfig, argv, section="ingress"), serve)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
