"""A NATS server of a test's own, which can be killed and started again on its port."""

import shutil
import signal
import socket
import subprocess
import sysconfig
import time
from pathlib import Path

from tests.ports import free_ports


class NatsServer:
    """One nats-server process on a free port, of the loopback interface or of `host`.

    Args:
        settings: Further lines of its configuration.
    """

    def __init__(self, directory: Path, settings: str = "", *, host: str = "127.0.0.1") -> None:
        (self.port,) = free_ports(1)
        self.url = f"nats://127.0.0.1:{self.port}"
        self._configuration = directory / "nats.conf"
        self._configuration.write_text(f'listen: "{host}:{self.port}"\n{settings}')
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = shutil.which("nats-server", path=sysconfig.get_path("scripts"))
        assert program is not None
        self._process = subprocess.Popen([program, "--config", str(self._configuration)], stderr=subprocess.DEVNULL)
        while not self._is_listening():
            assert self._process.poll() is None, "nats-server ended"
            time.sleep(0.005)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def suspend(self) -> None:
        """Stop it from reading, with its connections standing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _is_listening(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
        except OSError:
            return False
        return True
