"""Any number of each process, started and stopped one by one, behind a balancer: what an installation on several machines looks like."""

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Final, TypeVar

import httpx

from tests.contract.bus.nats_server import NatsServer
from tests.e2e.api import Api
from tests.e2e.processes import REPOSITORY, end, eventually, is_listening, spawn
from tests.e2e.suite import root_of
from tests.ports import free_ports

PYTHON: Final = os.environ.get("PERDURE_TEST_PYTHON", sys.executable)
PUBLIC: Final = ("ingress", "admin", "sql", "nodectl")
NATS_SETTINGS: Final = "max_payload: 8388608\nmax_pending: 134217728\n"


class Member:
    """One process of a role."""

    def __init__(self, role: str, port: int | None, process: subprocess.Popen[bytes], log: Path) -> None:
        self.role = role
        self.port = port
        self.process = process
        self.log = log

    @property
    def process_id(self) -> str:
        """Its name in heartbeats; once it is ready."""
        return str(json.loads(self.log.read_text().partition("\n")[0])["process_id"])

    def is_ready(self) -> bool:
        assert self.process.poll() is None, f"{self.role} ended: {self.log.read_text()[-3000:]}"
        return '"event":"ready"' in self.log.read_text()


F = TypeVar("F", bound="Fleet")


class Balancer:
    """A TCP balancer that knows nothing of HTTP: each connection goes to the next member that accepts it."""

    def __init__(self) -> None:
        (self.port,) = free_ports(1)
        self.addresses: list[tuple[str, int]] = []
        self._turn = itertools.count()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="balancer")
        self._thread.start()
        eventually(lambda: is_listening(self.port), "the balancer listens")

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._is_closing.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._is_closing = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, backlog=1024)
        await self._is_closing.wait()
        server.close()  # with the loop end all connections

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.CancelledError), closing(writer):
            for address in self._addresses_in_turn():
                with suppress(OSError):
                    source, sink = await asyncio.open_connection(*address)
                    with closing(sink):
                        await asyncio.gather(_pump(reader, sink), _pump(source, writer))
                    return

    def _addresses_in_turn(self) -> list[tuple[str, int]]:
        first = next(self._turn) % max(1, len(self.addresses))
        return [*self.addresses[first:], *self.addresses[:first]]


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(65_536):
            sink.write(data)
            await sink.drain()
    sink.close()


class Fleet(Api):
    """Processes of one suite on one machine. `start` and `stop` are for each alone; the balancer follows."""

    def __init__(self, base_dir: Path, *, nats_settings: str = NATS_SETTINGS, nats_host: str = "127.0.0.1") -> None:
        self.base_dir = base_dir
        base_dir.mkdir()
        self.nats = NatsServer(base_dir, nats_settings, host=nats_host)
        self.nats.start()
        self.nats_url = self.nats.url
        self.balancer = Balancer()
        self.members: dict[str, list[Member]] = {}
        self.env = {"PERDURE_LOG_FORMAT": "json", **root_of(base_dir)}
        """Of processes that are started."""
        self._numbers = itertools.count(1)
        (self.admin_port,) = free_ports(1)
        super().__init__(f"http://127.0.0.1:{self.balancer.port}", f"http://127.0.0.1:{self.admin_port}")

    def start(self, role: str, count: int = 1) -> list[Member]:
        """Start `count` processes of a role and wait until they do their work."""
        started = [self._spawn(role) for _ in range(count)]
        for member in started:
            eventually(member.is_ready, f"{role} is ready")
        self.members.setdefault(role, []).extend(started)
        self._balance()
        return started

    def stop(self, member: Member, *, within_s: float = 30.0) -> None:
        """Stop one process in order; it must end with 0. The balancer hears of it as one does: by its refusal of connections."""
        member.process.send_signal(signal.SIGTERM)
        assert member.process.wait(within_s) == 0, member.log.read_text()[-3000:]
        self.members[member.role].remove(member)
        self._balance()

    def replace(self, member: Member) -> None:
        """Start a process in place of another, then stop that: one step of a rolling restart."""
        if member.port == self.admin_port:
            self.stop(member)
            self.start("admin")
            return
        self.start(member.role)
        self.stop(member)

    def partitions_by_invoker(self) -> dict[str, int]:
        """Number of partitions of each living invoker, as node control tells."""
        port = self.members["nodectl"][0].port
        health = httpx.get(f"http://127.0.0.1:{port}/health").json()
        return {each["process_id"]: each["partitions"] for each in health["processes"] if each["role"] == "invoker"}

    def close(self) -> None:
        """End everything."""
        for member in [member for members in self.members.values() for member in members]:
            end(member.process)
        self.balancer.close()
        self.nats.kill()
        self.http.close()

    def env_of(self, _role: str) -> dict[str, str]:
        """Return the settings of a process as variables."""
        return self.env

    def placed(self, _role: str, command: list[str]) -> list[str]:
        """Return what starts a process where it belongs."""
        return command

    def _spawn(self, role: str) -> Member:
        number = next(self._numbers)
        log = self.base_dir / f"{role}-{number}.log"
        command = [PYTHON, "-m", f"services.{role}", "--nats-url", self.nats_url, "--base-dir", str(self.base_dir / "data")]
        port = None
        if role in PUBLIC:
            port = self.admin_port if role == "admin" and not is_listening(self.admin_port) else free_ports(1)[0]
            command += ["--bind", "127.0.0.1", "--port", str(port)]
        return Member(role, port, spawn(self.placed(role, command), log=log, env=self.env_of(role), cwd=REPOSITORY), log)

    def _balance(self) -> None:
        self.balancer.addresses = [("127.0.0.1", member.port) for member in self.members.get("ingress", []) if member.port is not None]


def running(base_dir: Path, **counts: int) -> Iterator[Fleet]:
    """Yield a fleet with so many processes of each role, and end it."""
    yield from started(Fleet(base_dir), **counts)


def started(fleet: F, **counts: int) -> Iterator[F]:
    """Start so many processes of each role, yield their fleet, and end it."""
    try:
        for role, count in counts.items():
            fleet.start(role, count)
        yield fleet
    finally:
        fleet.close()


def seconds_until(fact: str, probe: Callable[[], object], *, limit_s: float = 10.0) -> float:
    """Return how long it took until `probe()` was true."""
    began = time.monotonic()
    eventually(probe, fact, limit_s=limit_s)
    return time.monotonic() - began
