import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

LIBRARIES = Path(__file__).resolve().parents[3] / "libs"

CHILD = "from perdure.process import parent; parent.obey_environment(); print('alive', flush=True); import time; time.sleep(600)"
PARENT = f"""
import os, subprocess, sys
environment = {{**os.environ, "PERDURE_DIE_WITH_PARENT": sys.argv[1]}}
child = subprocess.Popen([sys.executable, "-c", {CHILD!r}], env=environment, stdout=subprocess.PIPE, stderr=sys.stdout)
print(child.stdout.readline().strip().decode(), child.pid, flush=True)
child.wait()
"""

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel call is Linux's")


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(LIBRARIES)}


def ends_with_its_standard_output(process: subprocess.Popen[bytes]) -> bytes:
    """Return what else came before every holder of the pipe was gone."""
    assert process.stdout is not None
    return process.stdout.read()


def test_a_service_dies_with_the_parent_that_asked_for_it() -> None:
    supervisor = subprocess.Popen([sys.executable, "-c", PARENT, "1"], stdout=subprocess.PIPE, env=environment())
    assert supervisor.stdout is not None
    word, pid = supervisor.stdout.readline().split()
    assert word == b"alive"
    supervisor.kill()
    supervisor.wait()
    # The child's standard error is our pipe, which ends only when the child is gone.
    assert ends_with_its_standard_output(supervisor) == b""
    supervisor.stdout.close()
    assert int(pid) > 0


def test_a_service_whose_parent_is_already_another_ends_at_once() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", CHILD], env={**environment(), "PERDURE_DIE_WITH_PARENT": "2"}, capture_output=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout) == (1, b"")


def test_a_service_that_is_not_asked_to_lives_on() -> None:
    child = subprocess.Popen([sys.executable, "-c", CHILD], env=environment(), stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"alive\n"
    child.send_signal(signal.SIGTERM)
    assert child.wait(60) == -signal.SIGTERM
    child.stdout.close()
