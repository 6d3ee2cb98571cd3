import os
import subprocess
import sys
from pathlib import Path

import pytest

from perdure.process import priority

LIBRARIES = Path(__file__).resolve().parents[3] / "libs"
SCHEDULE = Path("/proc/thread-self/sched")

CHILD = """
import os
import threading
from pathlib import Path
from perdure.process.priority import give_way

give_way(7)

def show():
    print(os.nice(0), Path("/proc/thread-self/sched").read_text() if Path("/proc/thread-self/sched").exists() else "")

thread = threading.Thread(target=show)
thread.start()
thread.join()
"""


def printed(child: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(LIBRARIES)}
    return subprocess.run([sys.executable, "-c", child], env=environment, check=True, capture_output=True, text=True).stdout


def test_threads_started_later_are_nice() -> None:
    assert int(printed(CHILD).split()[0]) == min(19, os.nice(0) + 7)


@pytest.mark.skipif(not SCHEDULE.exists() or "se.slice" not in SCHEDULE.read_text(), reason="this kernel does not tell of slices")
def test_threads_started_later_run_in_short_slices() -> None:
    lines = [line.split() for line in printed(CHILD).splitlines() if line.startswith("se.slice")]
    assert [line[-1] for line in lines] == ["100000"]


def test_a_machine_whose_calls_are_not_known_is_left_with_niceness(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(priority.platform, "machine", lambda: "pdp11")
    monkeypatch.setattr(priority.ctypes, "CDLL", lambda _: pytest.fail("no call is made"))
    priority.give_way(0)
