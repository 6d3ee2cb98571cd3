"""`perdure up`: it starts all, keeps all alive, stops all, and leaves nothing behind."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.contract.deployments.certificates import make_certificates
from tests.e2e.processes import REPOSITORY, end, eventually, family, spawn
from tests.e2e.suite import ROLES, Suite, ours_only
from tests.ports import free_ports

STOP_S_MAX = 5.0
pytestmark = ours_only
PROGRAM = os.environ.get("PERDURE_PROGRAM", str(REPOSITORY / ".venv/bin/perdure"))


class Up:
    """One run of the command, with what it prints."""

    def __init__(self, directory: Path, *flags: str) -> None:
        self.base_dir = directory / "data"
        self._log = directory / "up.log"
        command = [PROGRAM, "up", "--base-dir", str(self.base_dir), "--bind", "127.0.0.1", *flags]
        self.process = spawn(command, log=self._log, env={}, cwd=directory)

    @property
    def lines(self) -> list[str]:
        return self._log.read_text().splitlines()

    def ended(self) -> int:
        return self.process.wait(30)


def on_free_ports() -> list[str]:
    names = ("--ingress-port", "--admin-port", "--sql-port", "--node-port")
    return [part for name, port in zip(names, free_ports(4), strict=True) for part in (name, str(port))]


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    """A server that has said that it is ready."""
    running = Up(tmp_path, *on_free_ports())
    try:
        eventually(lambda: ready_lines(running), "it says that it is ready")
        yield running
    finally:
        end(running.process)


def ready_lines(up: Up) -> list[str]:
    return [line for line in up.lines if line.startswith("perdure is ready:")]


def children(up: Up) -> list[psutil.Process]:
    return family(up.process.pid)[1:]


def is_gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_one_line_says_where_everything_listens_and_everything_does(up: Up) -> None:
    (line,) = ready_lines(up)
    words = line.replace(",", "").split()
    ingress, admin, sql, node = (words[words.index(name) + 1] for name in ("ingress", "admin", "sql", "node"))
    assert httpx.get(f"{ingress}/restate/health").status_code == 200
    assert httpx.get(f"{admin}/health").status_code == 200
    assert httpx.get(f"{node}/health").json()["status"] == "Alive"
    host, _, port = sql.rpartition(":")
    socket.create_connection((host, int(port))).close()


def test_each_line_of_a_process_carries_its_name(up: Up) -> None:
    prefixes = {line.partition("|")[0].strip() for line in up.lines if not line.startswith("perdure is ready:")}
    assert prefixes == set(ROLES)


@pytest.mark.parametrize("role", [*ROLES, "nats"])
def test_a_killed_process_is_started_again_and_all_is_well(own_suite: Suite, role: str) -> None:
    killed = own_suite.kill(role)
    eventually(lambda: [each for each in own_suite.processes(role) if each.pid not in killed], f"{role} runs again")
    eventually(lambda: _is_whole(own_suite), "the suite is whole")
    assert f"{role} ended with status -9, starting it again in 0.1 s" in own_suite.logs()


def test_several_invokers_share_the_partitions(tmp_path: Path) -> None:
    suite = Suite(tmp_path / "data", invokers=2)
    try:
        suite.start()
        health = eventually(lambda: _spread(suite), "both own partitions")
        assert sum(health) == 24
    finally:
        suite.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_all_in_order_and_leaves_with_0(up: Up, number: signal.Signals) -> None:
    members = children(up)
    up.process.send_signal(number)
    assert up.process.wait(STOP_S_MAX) == 0
    assert all(map(is_gone, members))
    stopped = [line.partition("|")[0].strip() for line in up.lines if '"event":"stopped"' in line]
    assert stopped == ["ingress", "admin", "sql", "nodectl", "invoker"]


def test_a_process_that_does_not_stop_is_killed_in_time(up: Up) -> None:
    members = children(up)
    for member in members:
        member.suspend()
    up.process.terminate()
    assert up.process.wait(STOP_S_MAX) == 0
    assert all(map(is_gone, members))


def test_nothing_is_left_when_it_is_killed_itself(up: Up) -> None:
    members = children(up)
    assert len(members) == len(ROLES) + 1
    up.process.kill()
    eventually(lambda: all(map(is_gone, members)), "no orphan is left")


def test_a_crash_while_it_stops_is_not_restarted(up: Up) -> None:
    members = children(up)
    up.process.terminate()
    for member in members:
        member.kill()
    assert up.process.wait(STOP_S_MAX) == 0
    assert all(map(is_gone, members))


@pytest.mark.parametrize("role", ["admin", "sql"])
def test_a_port_that_is_taken_is_named_last_and_ends_it_with_2(tmp_path: Path, role: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        flags = on_free_ports()
        flags[flags.index(f"--{role}-port") + 1] = str(port)
        up = Up(tmp_path, *flags)
        assert up.ended() == 2
    hint = "Stop the other process, or choose another port."
    assert up.lines[-1] == f"perdure: {role} cannot start: cannot listen on 127.0.0.1:{port}: Address already in use. {hint}"
    assert not ready_lines(up)


def test_a_taken_port_for_nats_is_named_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        up = Up(tmp_path, *on_free_ports(), "--nats-port", str(port))
        assert up.ended() == 2
    assert up.lines == [f"perdure: NATS cannot listen on 127.0.0.1:{port}: Address already in use"]


def test_nats_gets_a_port_that_no_connection_that_goes_out_can_take(up: Up) -> None:
    port = int((up.base_dir / "nats.conf").read_text().partition('"')[2].partition('"')[0].rpartition(":")[2])
    assert port < int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prot = 1\n", "unknown key prot in"),
        ("[up]\nworkers = 1\n", "unknown key up.workers in"),
        ("[ingress]\nprot = 1\n", "perdure: ingress cannot start: unknown key ingress.prot in"),
        ("[invoker]\npoll_interval = 5\n", "perdure: invoker cannot start: invoker.poll_interval in"),
    ],
)
def test_a_wrong_setting_is_named_and_ends_it_with_2(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "perdure.toml"
    file.write_text(text)
    up = Up(tmp_path, *on_free_ports(), "--config", str(file))
    assert up.ended() == 2
    assert message in up.lines[-1]


def test_the_file_sets_what_no_flag_does(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    file = tmp_path / "perdure.toml"
    tls = make_certificates(tmp_path)
    admin = f'[admin]\ntls_cert_file = "{tls.certificate}"\ntls_key_file = "{tls.key}"\n'
    file.write_text(f"[ingress]\nport = {port}\n[up]\ninvokers = 2\n{admin}")
    flags = on_free_ports()
    del flags[:2]
    up = Up(tmp_path, *flags, "--config", str(file))
    try:
        (line,) = eventually(lambda: ready_lines(up), "it says that it is ready")
        assert f"ingress http://127.0.0.1:{port}, admin https://" in line
        assert {line.partition("|")[0].strip() for line in up.lines} >= {"invoker-1", "invoker-2"}
    finally:
        end(up.process)


def test_a_second_server_in_the_same_directory_is_refused(up: Up) -> None:
    command = [PROGRAM, "up", "--base-dir", str(up.base_dir)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert second.returncode == 2
    assert second.stderr.startswith("perdure: another `perdure up` uses")


def _is_whole(suite: Suite) -> bool:
    try:
        return httpx.get(f"{suite.node_url}/ready", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def _spread(suite: Suite) -> list[int]:
    health = httpx.get(f"{suite.node_url}/health", timeout=5).json()
    counts = [process["partitions"] for process in health["processes"] if process["role"] == "invoker"]
    return counts if len(counts) == 2 and all(counts) and sum(counts) == 24 else []
