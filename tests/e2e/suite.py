"""A whole server on free ports in a directory of its own: ours, or the real one as the witness of what a test claims.

`PERDURE_TEST_PEER=restate` with `RESTATE_SERVER=path` runs the real server, so that a contract can be checked on both.
"""

import os
import signal
import subprocess
import time
import uuid
from pathlib import Path
from typing import Final

import httpx
import psutil
import pytest

from tests.e2e.api import Api
from tests.e2e.processes import REPOSITORY, end, eventually, family, is_listening, kill_now, spawn
from tests.ports import free_ports

ROLES: Final = ("ingress", "admin", "sql", "nodectl", "invoker")
_ROOTS: Final[dict[Path, str]] = {}
ours_only: Final = pytest.mark.skipif(bool(os.environ.get("PERDURE_TEST_PEER")), reason="what only our server does")


class Suite(Api):
    """All processes of one server, started by one command.

    Args:
        base_dir: Where data and the log file go; a second start in the same directory continues with its data.
        invokers: Processes of the role that carries the work. The real server has one process for everything.
        peer: `restate` for the real server, empty for ours; None takes it from the environment.
        env: Further variables of the server; each server heeds those with its own prefix.
    """

    def __init__(self, base_dir: Path, *, invokers: int = 1, peer: str | None = None, env: dict[str, str] | None = None) -> None:
        self.base_dir = base_dir
        self.invokers = invokers
        self.peer = os.environ.get("PERDURE_TEST_PEER", "") if peer is None else peer
        self.ingress_port, self.admin_port, self.sql_port, self.node_port = free_ports(4)
        super().__init__(f"http://127.0.0.1:{self.ingress_port}", f"http://127.0.0.1:{self.admin_port}")
        self.node_url = f"http://127.0.0.1:{self.node_port}"
        self.ready_after_s = 0.0
        self.env = {**root_of(base_dir), **(env or {})}
        self._log = base_dir.parent / f"{base_dir.name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Id of the process whose descendants are all the others."""
        assert self._process is not None
        return self._process.pid

    def start(self, *, whole: bool = True) -> None:
        """Start every process and wait until ingress and admin answer, and of ours, where the `whole` of it is wanted, all the others."""
        assert self._process is None
        started = time.monotonic()
        command, env = self._restate() if self.peer else self._perdure()
        self._process = spawn(command, log=self._log, env={**env, **self.env}, cwd=REPOSITORY)
        eventually(self._is_ready, "server is ready")
        self.ready_after_s = time.monotonic() - started
        if whole and not self.peer:
            eventually(lambda: all(map(self.is_serving, ROLES)), "every process serves")

    def stop(self) -> int:
        """End every process in order and return the exit code."""
        assert self._process is not None
        code = end(self._process)
        self._process = None
        return code

    def close(self) -> None:
        """Stop, if it runs, and release what the test side holds."""
        if self._process is not None:
            self.stop()
        self.http.close()

    def restart(self) -> None:
        """Stop everything in order and start it again on the same data and ports."""
        self.stop()
        self.start()

    def kill_everything(self) -> None:
        """Kill each process with signal 9 at one moment; nothing is started again."""
        assert self._process is not None
        kill_now(family(self._process.pid))
        self._process.wait(10)
        self._process = None

    def processes(self, role: str) -> list[psutil.Process]:
        """Return the running processes of one role: a service's name, `nats`, or `everything`."""
        assert self._process is not None
        members = family(self._process.pid)
        return members if role == "everything" else [member for member in members if _role(member) == role]

    def is_serving(self, role: str) -> bool:
        """Tell whether the public port of a role is open; one without a port serves as soon as it runs."""
        ports = {"ingress": self.ingress_port, "admin": self.admin_port, "sql": self.sql_port, "nodectl": self.node_port}
        return is_listening(ports[role]) if role in ports else bool(self.processes(role))

    def kill(self, role: str, sig: signal.Signals = signal.SIGKILL) -> list[int]:
        """Send `sig` to every process of `role` and return their ids. The parent starts them again, unless it is the parent itself."""
        members = self.processes(role)
        assert members, f"no process of role {role} runs"
        for member in members:
            member.send_signal(sig)
        return [member.pid for member in members]

    def check(self) -> None:
        """Let `perdure check` read the store; it must be sound, whether the server runs or not. Nothing is said of the real one's."""
        if self.peer:
            return
        command = [_program(), "check", "--base-dir", str(self.base_dir)]
        checked = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **self.env})
        assert checked.returncode == 0, f"the store is damaged:\n{checked.stdout}{checked.stderr}"

    def logs(self) -> str:
        """Return all that the processes have printed so far."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"server ended with {self._process.returncode}:\n{self.logs()[-4000:]}"
        return self._answers(f"{self.ingress_url}/restate/health") and self._answers(f"{self.admin_url}/health")

    def _answers(self, url: str) -> bool:
        try:
            return self.http.get(url, timeout=2.0).status_code == 200
        except httpx.TransportError:
            return False

    def _perdure(self) -> tuple[list[str], dict[str, str]]:
        ports = {"ingress": self.ingress_port, "admin": self.admin_port, "sql": self.sql_port, "node": self.node_port}
        flags = [part for name, port in ports.items() for part in (f"--{name}-port", str(port))]
        return [_program(), "up", "--base-dir", str(self.base_dir), "--bind", "127.0.0.1", *flags, "--invokers", str(self.invokers)], {}

    def _restate(self) -> tuple[list[str], dict[str, str]]:
        command = [os.environ["RESTATE_SERVER"], "--no-logo", "--bind-ip", "127.0.0.1", "--bind-port", str(self.node_port)]
        env = {
            "RESTATE_INGRESS__BIND_PORT": str(self.ingress_port),
            "RESTATE_ADMIN__BIND_PORT": str(self.admin_port),
            "RESTATE_LISTEN_MODE": "tcp",
            "RESTATE_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "1",
        }
        return [*command, "--base-dir", str(self.base_dir)], env


def root_of(base_dir: Path) -> dict[str, str]:
    """Return what keeps the data of one directory's server apart from that of others, where all tests share a FoundationDB cluster."""
    if not os.environ.get("PERDURE_FDB_CLUSTER_FILE"):
        return {}
    return {"PERDURE_ROOT": _ROOTS.setdefault(base_dir, f"test-{uuid.uuid4().hex}")}


def _program() -> str:
    return os.environ.get("PERDURE_PROGRAM", str(REPOSITORY / ".venv/bin/perdure"))


def _role(process: psutil.Process) -> str:
    try:
        command = process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return ""
    for role in ROLES:
        if f"services.{role}" in command:
            return role
    return "nats" if command and Path(command[0]).name.startswith("nats-server") else ""
