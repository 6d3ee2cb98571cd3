"""The released command-line client as a process. `RESTATE_CLI` names another binary than the pinned one."""

import os
import pty
import subprocess
from pathlib import Path
from typing import Final

from tests.e2e.endpoint import NODE_ROOM

PROGRAM: Final = Path(os.environ.get("RESTATE_CLI", NODE_ROOM / "node_modules/@restatedev/restate-linux-x64/bin/restate"))
MISSING: Final = f"{PROGRAM.name} is not installed: npm ci in tests/e2e/node, or set RESTATE_CLI"


class Cli:
    """Runs the client against one server.

    Args:
        home: Where it may keep its own configuration.
    """

    def __init__(self, admin_url: str, home: Path) -> None:
        self._home = home
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(home), "RESTATE_ADMIN_URL": admin_url, "DO_NOT_TRACK": "1"}

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """Run a command whose questions are all answered with yes, check its exit code and return what it prints."""
        done = subprocess.run(
            [PROGRAM, "--yes", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr if code else done.stdout or done.stderr

    def edited_by(self, script: str) -> "Cli":
        """Return a client whose editor is a shell script over the file `$1`."""
        editor = self._home / "editor.sh"
        editor.write_text(f"#!/bin/sh\n{script}\n")
        editor.chmod(0o755)
        other = Cli(self.environment["RESTATE_ADMIN_URL"], self._home)
        other.environment["RESTATE_EDITOR"] = str(editor)
        return other

    def answering(self, question: str, answer: str, *arguments: str) -> int:
        """Run a command at a terminal, answer its question, and return its exit code."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(PROGRAM, [str(PROGRAM), *arguments], self.environment)
        seen, is_asked = b"", False
        try:
            while part := _read(terminal):
                seen += part
                if not is_asked and question.encode() in seen:
                    is_asked = True
                    os.write(terminal, f"{answer}\r".encode())
        finally:
            os.close(terminal)
            status = os.waitpid(pid, 0)[1]
        assert is_asked, seen.decode(errors="replace")
        return os.waitstatus_to_exitcode(status)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # what Linux says once nobody holds the other end
        return b""
