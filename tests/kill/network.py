"""Hosts that are network namespaces: a hub, where everything is that has no host of its own, and hosts with one cable to it.

Needs root, `ip` and `iptables`. The thread that enters the hub is in it with all that it starts, until it leaves.
"""

import asyncio
import ctypes
import os
import shutil
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from tests.e2e.processes import eventually, is_listening
from tests.ports import free_ports

HUB_ADDRESS: Final = "10.77.0.1"
"""At which all hosts reach the hub."""
CAN_MAKE_HOSTS: Final = os.geteuid() == 0 and all(shutil.which(tool) for tool in ("ip", "iptables"))
_CLONE_NEWNET: Final = 0x40000000
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


class Network:
    """A hub and `hosts`, by name."""

    def __init__(self, hosts: list[str]) -> None:
        self._prefix = f"perdure-{os.getpid()}-"
        self._home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self._names = ["hub", *hosts]
        for name in self._names:
            _run("ip", "netns", "add", self._prefix + name)
            self.on(name, "ip", "link", "set", "lo", "up")
        self.on("hub", "ip", "address", "add", f"{HUB_ADDRESS}/32", "dev", "lo")
        for number, name in enumerate(hosts, 1):
            self._connect(name, number)

    def enter(self) -> None:
        """Be in the hub from now on."""
        with Path(f"/var/run/netns/{self._prefix}hub").open("rb") as hub:
            _move_to(hub.fileno())

    def close(self) -> None:
        """Leave, and take everything away."""
        _move_to(self._home)
        os.close(self._home)
        for name in self._names:
            with suppress(subprocess.CalledProcessError):
                _run("ip", "netns", "delete", self._prefix + name)

    def command(self, host: str, command: list[str]) -> list[str]:
        """Return the command that runs another one on a host."""
        return ["ip", "netns", "exec", self._prefix + host, *command]

    def on(self, host: str, *command: str) -> None:
        """Run a command on a host, to its end."""
        _run(*self.command(host, list(command)))

    def cut(self, host: str, port: int) -> None:
        """Drop all that goes from a host to a port of the hub, and what comes back."""
        self.on(host, "iptables", "-A", "OUTPUT", "-p", "tcp", "--dport", str(port), "-j", "DROP")
        self.on(host, "iptables", "-A", "INPUT", "-p", "tcp", "--sport", str(port), "-j", "DROP")

    def lose(self, host: str, probability: float) -> None:
        """Drop packets of a host at random, both ways."""
        for chain in ("OUTPUT", "INPUT"):
            self.on(host, "iptables", "-A", chain, "-m", "statistic", "--mode", "random", "--probability", str(probability), "-j", "DROP")

    def heal(self, host: str) -> None:
        """Drop nothing any more."""
        self.on(host, "iptables", "-F")

    def _connect(self, name: str, number: int) -> None:
        here, there = f"hub{number}", "cable"
        _run(
            "ip",
            "link",
            "add",
            "name",
            here,
            "netns",
            f"{self._prefix}hub",
            "type",
            "veth",
            "peer",
            "name",
            there,
            "netns",
            self._prefix + name,
        )
        for host, device, last in (("hub", here, 1), (name, there, 2)):
            self.on(host, "ip", "address", "add", f"10.77.{number}.{last}/30", "dev", device)
            self.on(host, "ip", "link", "set", device, "up")
        self.on(name, "ip", "route", "add", "default", "via", f"10.77.{number}.1")


class SlowCable:
    """A TCP port before another one, on which every piece takes a while longer, both ways, in order. In a thread of its own."""

    def __init__(self, target_port: int, delay_s: float) -> None:
        (self.port,) = free_ports(1)
        self._target_port = target_port
        self._delay_s = delay_s
        self._ends: list[asyncio.StreamWriter] = []
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._run()), name="slow-cable")
        self._thread.start()
        eventually(lambda: is_listening(self.port), "the cable is there")

    def close(self) -> None:
        """Cut all that runs over it."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        self._loop.close()

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as pumps:
            server = await asyncio.start_server(lambda reader, writer: self._accept(pumps, reader, writer), "0.0.0.0", self.port)
            await self._stopping.wait()
            server.close()
            for end in self._ends:
                end.transport.abort()

    async def _accept(self, pumps: asyncio.TaskGroup, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        self._ends += [writer, far_writer]
        pumps.create_task(self._pump(reader, far_writer))
        pumps.create_task(self._pump(far_reader, writer))

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65_536):
                self._loop.call_later(self._delay_s, sink.write, data)
        self._loop.call_later(self._delay_s, sink.close)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _move_to(namespace: int) -> None:
    if _LIBC.setns(namespace, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "cannot enter the namespace")
