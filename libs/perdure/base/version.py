"""Which version of this software runs."""

from importlib import metadata
from typing import Final


def _read() -> str:
    try:
        return metadata.version("perdure")
    except metadata.PackageNotFoundError:
        return "dev"


SOFTWARE_VERSION: Final = _read()
"""As `0.1.0`, or `dev` where it is not installed."""
