"""Tie the life of a process to its parent's, so that a supervisor killed with -9 leaves no orphan. Only on Linux."""

import ctypes
import os
import signal
import sys
from typing import Final

VARIABLE: Final = "PERDURE_DIE_WITH_PARENT"
"""Set to `1`, or to the process id of the parent, by whoever starts a service and wants it gone with itself."""

_PR_SET_PDEATHSIG: Final = 1


def die_with_parent(parent_pid: int | None) -> None:
    """Have the kernel kill this process when the thread that started it ends.

    Args:
        parent_pid: Who the parent must be; another one means that it died before the kernel was told, and this process ends at once.
    """
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent_pid is not None and os.getppid() != parent_pid:
        os._exit(1)


def obey_environment() -> None:
    """Die with the parent if `PERDURE_DIE_WITH_PARENT` asks for it."""
    text = os.environ.get(VARIABLE, "")
    if text.isdigit() and text != "0":
        die_with_parent(os.getppid() if text == "1" else int(text))
