"""One process started alone, against a given NATS and store."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.contract.bus.nats_server import NatsServer
from tests.e2e.processes import REPOSITORY, end, eventually, spawn
from tests.e2e.suite import ROLES
from tests.ports import free_ports

PYTHON = os.environ.get("PERDURE_TEST_PYTHON", sys.executable)


class Alone:
    """`python -m services.nodectl` on a free port, with another one for its own metrics."""

    def __init__(self, directory: Path, nats_url: str) -> None:
        self.port, metrics_port = free_ports(2)
        self.metrics_address = f"127.0.0.1:{metrics_port}"
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = directory / "nodectl.log"
        command = [PYTHON, "-m", "services.nodectl", "--bind", "127.0.0.1", "--port", str(self.port), "--nats-url", nats_url]
        command += ["--metrics-address", self.metrics_address]
        self.process = spawn([*command, "--base-dir", str(directory / "data")], log=self.log, env={}, cwd=REPOSITORY)

    def health(self) -> dict[str, object] | None:
        try:
            return httpx.get(f"{self.url}/health").json()
        except httpx.TransportError:
            return None


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def alone(tmp_path: Path, nats: NatsServer) -> Iterator[Alone]:
    running = Alone(tmp_path, nats.url)
    try:
        eventually(running.health, "it answers")
        yield running
    finally:
        end(running.process)


def test_it_works_without_the_others_and_says_who_is_missing(alone: Alone) -> None:
    health = eventually(alone.health, "it answers")
    assert health["status"] == "StartingUp"
    assert "ingress: no process is alive" in str(health["reasons"])


def test_it_serves_its_own_metrics_as_it_hands_them_in(alone: Alone) -> None:
    own = series_of(httpx.get(f"http://{alone.metrics_address}/metrics").text)
    assert ("perdure_bus_connected", frozenset()) in own
    handed_in = series_of(httpx.get(f"{alone.url}/metrics?role=nodectl").text)
    assert own == {(name, frozenset(label for label in labels if label[0] not in {"role", "process"})) for name, labels in handed_in}


def series_of(text: str) -> set[tuple[str, frozenset[tuple[str, str]]]]:
    families = text_string_to_metric_families(text)
    return {(sample.name, frozenset(sample.labels.items())) for family in families for sample in family.samples}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0(alone: Alone, number: signal.Signals) -> None:
    alone.process.send_signal(number)
    assert alone.process.wait(30) == 0
    assert '"event":"stopped"' in alone.log.read_text()


def test_it_goes_on_when_nats_dies_and_returns(alone: Alone, nats: NatsServer) -> None:
    def metrics() -> bool:
        return "process_resident_memory_bytes{" in httpx.get(f"{alone.url}/metrics").text

    assert metrics()
    nats.kill()
    eventually(lambda: '"event":"bus_disconnected"' in alone.log.read_text(), "it notices")
    assert eventually(alone.health, "it answers")["status"] == "StartingUp"
    nats.start()
    eventually(metrics, "it hears requests again")
    assert alone.process.poll() is None


def test_a_signal_ends_it_also_while_nats_is_away(tmp_path: Path, nats: NatsServer) -> None:
    nats.kill()
    alone = Alone(tmp_path, nats.url)
    eventually(lambda: '"event":"starting"' in alone.log.read_text(), "it has started")
    alone.process.terminate()
    assert alone.process.wait(30) == 0
    nats.start()


def test_a_taken_port_ends_it_with_2_and_names_it(tmp_path: Path, alone: Alone, nats: NatsServer) -> None:
    command = [PYTHON, "-m", "services.nodectl", "--bind", "127.0.0.1", "--port", str(alone.port), "--nats-url", nats.url]
    second = subprocess.run(
        [*command, "--base-dir", str(tmp_path)], capture_output=True, text=True, timeout=60, cwd=REPOSITORY, check=False
    )
    assert second.returncode == 2
    assert f"cannot listen on 127.0.0.1:{alone.port}: Address already in use" in second.stderr


@pytest.mark.parametrize("role", ROLES)
def test_help_of_each_service_shows_its_settings(role: str) -> None:
    shown = subprocess.run(
        [PYTHON, "-m", f"services.{role}", "--help"], capture_output=True, text=True, timeout=60, cwd=REPOSITORY, check=True
    )
    assert f"usage: python -m services.{role} " in shown.stdout
    assert "[PERDURE_NATS_URL, default nats://127.0.0.1:4222]" in " ".join(shown.stdout.split())
    assert role == "invoker" or f"[PERDURE_{role.upper()}__PORT, default" in " ".join(shown.stdout.split())


@pytest.mark.parametrize("role", ROLES)
def test_an_unknown_setting_of_each_service_is_refused_with_2_and_one_line(role: str) -> None:
    refused = subprocess.run(
        [PYTHON, "-m", f"services.{role}", "--prot", "1"], capture_output=True, text=True, timeout=60, cwd=REPOSITORY, check=False
    )
    assert (refused.returncode, refused.stderr) == (2, f"{role}: unknown argument --prot; --help lists all\n")
