"""Child processes of a test: spawning with a log file, waiting for a fact, and ending what was started."""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

import psutil

REPOSITORY: Final = Path(__file__).resolve().parents[2]
T = TypeVar("T")
_LIBC: Final = ctypes.CDLL(None)
_PR_SET_PDEATHSIG: Final = 1


class NeverHappened(AssertionError):
    """A fact that a test waited for did not come true."""


def eventually(probe: Callable[[], T], what: str, *, limit_s: float = 30.0, pause_s: float = 0.02) -> T:
    """Return the first value of `probe` that is true; `NeverHappened` after `limit_s` seconds."""
    deadline = time.monotonic() + limit_s
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > deadline:
            raise NeverHappened(f"{what}: not within {limit_s} s")
        time.sleep(pause_s)


def is_listening(port: int) -> bool:
    """Tell whether something accepts connections on `port` of this machine."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def spawn(command: Sequence[str], *, log: Path, env: Mapping[str, str], cwd: Path | None = None) -> subprocess.Popen[bytes]:
    """Start `command` in a session of its own; what it prints is appended to `log`. It ends with this process, however that ends."""
    with log.open("ab") as sink:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            cwd=cwd,
            env={**os.environ, **env},
            start_new_session=True,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - nothing but one system call happens between fork and exec
        )


def family(pid: int) -> list[psutil.Process]:
    """Return the process and all its descendants, parents first; an ended one is left out."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def end(process: subprocess.Popen[bytes], *, grace_s: float = 10.0) -> int:
    """Ask a process to end, wait for it, and kill what is left of its family. Return its exit code."""
    members = family(process.pid)
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace_s)
    kill_now(members)
    return process.wait(grace_s)


def kill_now(members: Sequence[psutil.Process]) -> None:
    """Kill each of `members` that still runs with signal 9."""
    for member in members:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()


def _end_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
