"""What a family of processes has used so far, from /proc."""

import contextlib
import os
from pathlib import Path
from typing import Final, NamedTuple

from tests.e2e.processes import family

TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
MB: Final = 1_000_000


class Usage(NamedTuple):
    """CPU seconds since the start, and resident bytes now, of a process and all its descendants."""

    cpu_s: float
    resident_bytes: int


def usage_of(pid: int) -> Usage:
    """Add up a process and its descendants, with those of them that have ended."""
    ticks = resident = 0
    for member in family(pid):
        try:
            fields = Path(f"/proc/{member.pid}/stat").read_text().rpartition(")")[2].split()
            pages = int(Path(f"/proc/{member.pid}/statm").read_text().split()[1])
        except OSError:
            continue
        ticks += sum(int(field) for field in fields[11:15])
        resident += pages * os.sysconf("SC_PAGE_SIZE")
    return Usage(ticks / TICKS_PER_S, resident)


def running_s(pid: int) -> float:
    """Return how long the present threads of a process and its descendants have run: exact, where `usage_of` counts hundredths."""
    total_ns = 0
    for member in family(pid):
        for path in Path(f"/proc/{member.pid}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError):
                total_ns += int(path.read_text().split()[0])
    return total_ns / 1e9
