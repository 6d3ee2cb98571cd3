"""Debian's Prometheus, with the configuration of `deploy/`, scraping a server that a test has started."""

import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import yaml

from tests.e2e.processes import REPOSITORY, end, eventually, spawn
from tests.ports import free_ports

DEPLOY: Final = REPOSITORY / "deploy/prometheus"
INTERVAL: Final = "1s"
LIMIT_S: Final = 10.0


def program(name: str) -> str:
    """Return the path of `prometheus` or `promtool`, or skip the test where they cannot be had."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is missing: apt-get install prometheus")
    return found


class Prometheus:
    """One server that scrapes `target`, `host:port`, each second, and evaluates the rules as often."""

    def __init__(self, directory: Path, target: str) -> None:
        binary = program("prometheus")
        configuration: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
        configuration["global"] = {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL}
        configuration["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
        (directory / "prometheus.yml").write_text(yaml.safe_dump(configuration))
        shutil.copy(DEPLOY / "alerts.yml", directory)
        (port,) = free_ports(1)
        flags = [f"--config.file={directory / 'prometheus.yml'}", f"--storage.tsdb.path={directory / 'data'}"]
        self._log = directory / "prometheus.log"
        self._process = spawn([binary, *flags, f"--web.listen-address=127.0.0.1:{port}"], log=self._log, env={})
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=LIMIT_S)

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Return labels and value of every series that an expression has now."""
        response = self._http.get("/api/v1/query", params={"query": expression})
        answer = response.json()
        assert answer["status"] == "success", f"{expression}: {answer['error']}"
        return [(each["metric"], float(each["value"][1])) for each in answer["data"]["result"]]

    def rules(self) -> list[dict[str, Any]]:
        """Return all alert rules as they were last evaluated."""
        groups = self._http.get("/api/v1/rules").json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def wait_for_scrapes(self, more: int) -> None:
        """Wait until the server has been scraped so many times more."""
        before = self._scrapes()
        eventually(lambda: self._scrapes() >= before + more, f"{more} scrapes")

    def close(self) -> None:
        """End it."""
        self._http.close()
        end(self._process)

    def _scrapes(self) -> float:
        assert self._process.poll() is None, f"prometheus ended: {self._log.read_text()[-3000:]}"
        try:
            return sum(value for _, value in self.query('count_over_time(up{job="perdure"}[1h])'))
        except httpx.TransportError:
            return 0.0


def promtool(*arguments: str, text: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run promtool."""
    return subprocess.run([program("promtool"), *arguments], input=text, capture_output=True, check=False)
