"""What the test gives to this process: a prefix of all names, and a file for effects that can be counted."""

import os
from datetime import timedelta
from typing import Final

from restate import InvocationRetryPolicy

PREFIX: Final = os.environ.get("SERVICE_PREFIX", "")
FAST_RETRIES: Final = InvocationRetryPolicy(initial_interval=timedelta(milliseconds=10), exponentiation_factor=1.0)
_EFFECTS: Final = os.open(os.environ.get("EFFECTS_FILE", os.devnull), os.O_WRONLY | os.O_APPEND)


def effect(tag: str, what: str) -> None:
    """Do something outside of the server that can be counted."""
    os.write(_EFFECTS, f"{tag} {what}\n".encode())
