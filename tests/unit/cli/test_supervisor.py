"""When programs start: one after the other in the beginning, and how long one that ended waits for its next start."""

import os
import subprocess
import sys
from pathlib import Path

import perdure.cli
from perdure.cli.supervisor import BACKOFF_S_MAX, BACKOFF_S_MIN, STEADY_S, Program, _Child


def a_child() -> _Child:
    return _Child(Program("sql", "sql", ["sql"], {}))


def test_a_program_that_was_ready_for_a_while_starts_again_at_once() -> None:
    child = a_child()
    child.address = "127.0.0.1:9071"
    assert [child.plan_restart(STEADY_S * 2) for _ in range(3)] == [BACKOFF_S_MIN] * 3


def test_one_that_takes_its_time_to_fail_waits_longer_and_longer() -> None:
    child = a_child()
    delays = [child.plan_restart(STEADY_S * 2) for _ in range(8)]
    assert delays == sorted(delays)
    assert (delays[0], delays[-1]) == (BACKOFF_S_MIN, BACKOFF_S_MAX)


SUPERVISED = """
import os, sys
from perdure.cli import supervisor
os.cpu_count = lambda: int(sys.argv[1])
supervisor.LOADING_S_MAX = float(sys.argv[2])
programs = [supervisor.Program(name, name, [sys.executable, "-c", sys.argv[3], name], dict(os.environ)) for name in sys.argv[4:]]
sys.exit(supervisor.Supervisor(programs, stop_order=sys.argv[4:], grace_s=5, ready_line="all are ready").run())
"""
LOADS = """
import os, pathlib, signal, sys, time
from perdure.process import notify
print("loads", flush=True)
pathlib.Path(sys.argv[1]).touch()
while sys.argv[1] == "impatient" and not pathlib.Path("second").exists():
    time.sleep(0.01)
time.sleep(0.2)
if sys.argv[1] != "stuck":
    print("is ready", flush=True)
    notify.notify_ready("")
if sys.argv[1] == "last":
    os.kill(os.getppid(), signal.SIGTERM)
signal.pause()
"""


def what_was_printed(directory: Path, *names: str, processors: int = 1, loading_s_max: float = 30.0) -> list[str]:
    command = [sys.executable, "-c", SUPERVISED, str(processors), str(loading_s_max), LOADS, *names]
    environ = {**os.environ, "PYTHONPATH": str(Path(perdure.cli.__file__).parents[2])}
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=environ, cwd=directory)
    return [" ".join(line.replace("|", "").split()) for line in done.stdout.splitlines()]


def test_with_one_processor_each_loads_alone(tmp_path: Path) -> None:
    printed = what_was_printed(tmp_path, "first", "second", "last")
    in_order = ["first loads", "first is ready", "second loads", "second is ready", "last loads", "last is ready"]
    assert [line for line in printed if line in in_order] == in_order


def test_with_two_processors_two_load_at_once_and_then_one_is_left_to_work(tmp_path: Path) -> None:
    printed = what_was_printed(tmp_path, "impatient", "second", "third", "last", processors=2, loading_s_max=300)
    assert max(map(printed.index, ("impatient is ready", "second is ready"))) < printed.index("third loads"), printed
    assert printed.index("third is ready") < printed.index("last loads"), printed


def test_one_that_waits_for_something_else_does_not_keep_the_others_from_starting(tmp_path: Path) -> None:
    assert "last is ready" in what_was_printed(tmp_path, "stuck", "last", loading_s_max=0.1)
