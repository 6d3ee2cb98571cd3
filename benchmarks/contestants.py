"""The servers that are compared: each with an endpoint of its own, started once and measured in turn."""

import os
import time
import uuid
from pathlib import Path
from typing import Final

import httpx
import msgspec

from benchmarks.load import Sample, apply_load
from benchmarks.scenarios import Scenario
from benchmarks.usage import MB, Usage, running_s, usage_of
from tests.e2e.endpoint import NODE_ROOM, Endpoint
from tests.e2e.processes import eventually
from tests.e2e.suite import Suite

NAMES: Final = {"perdure": "", "restate": "restate"}
IDLE_S: Final = 5.0


class Measurement(msgspec.Struct):
    """One scenario on one server: what callers saw, and CPU per call in ms by group of processes."""

    server: str
    scenario: str
    sample: Sample
    calls_per_s: float
    server_cpu_ms: float
    endpoint_cpu_ms: float
    load_cpu_ms: float
    resident_mb: float


class Idle(msgspec.Struct):
    """A server that nobody calls."""

    server: str
    ready_after_s: float
    resident_mb: float
    cpu_percent: float


class Contestant:
    """One server and its endpoint.

    Args:
        name: A key of `NAMES`.
        directory: Where its data and logs go.
    """

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self.suite = Suite(directory / "data", peer=NAMES[name])
        directory.mkdir(parents=True)
        self.endpoint = Endpoint(str(NODE_ROOM / "app.mjs"), directory)

    def start(self) -> Idle:
        """Start the server, watch it idle, then start and register the endpoint."""
        self.suite.start()
        time.sleep(1.0)
        before_s = running_s(self.suite.pid)
        time.sleep(IDLE_S)
        busy = (running_s(self.suite.pid) - before_s) / IDLE_S
        resident_bytes = usage_of(self.suite.pid).resident_bytes
        self.endpoint.start()
        self.suite.register(self.endpoint.url)
        return Idle(self.name, self.suite.ready_after_s, resident_bytes / MB, busy * 100)

    def close(self) -> None:
        """End server and endpoint."""
        self.suite.close()
        self.endpoint.stop()

    def measure(self, scenario: Scenario, seconds: int) -> Measurement:
        """Apply one scenario's load and wait until what it left behind is done."""
        run = uuid.uuid4().hex[:8]
        greeted = self._greeted() if scenario.is_one_way else 0
        server, endpoint = usage_of(self.suite.pid), usage_of(self.endpoint.pid)
        sample = apply_load(self.suite.ingress_url, scenario, seconds=seconds, run=run)
        if scenario.is_one_way:
            eventually(lambda: self._greeted() >= greeted + sample.calls, "the backlog is done", limit_s=120, pause_s=0.2)
        return self._measurement(scenario, sample, server, endpoint)

    def _greeted(self) -> int:
        return self.suite.result("/Greeter/greeted")

    def _measurement(self, scenario: Scenario, sample: Sample, server: Usage, endpoint: Usage) -> Measurement:
        calls = max(1, sample.calls)
        now = usage_of(self.suite.pid)
        return Measurement(
            server=self.name,
            scenario=scenario.name,
            sample=sample,
            calls_per_s=sample.calls / sample.wall_s,
            server_cpu_ms=(now.cpu_s - server.cpu_s) / calls * 1e3,
            endpoint_cpu_ms=(usage_of(self.endpoint.pid).cpu_s - endpoint.cpu_s) / calls * 1e3,
            load_cpu_ms=sample.load_cpu_s / calls * 1e3,
            resident_mb=now.resident_bytes / MB,
        )


class Recovery(msgspec.Struct):
    """How long 200 invocations of five steps, killed in the middle, took from the restart to their results."""

    server: str
    first_call_s: float
    all_done_s: float
    steps_done_before: int
    steps_repeated: int


def measure_recovery(contestant: Contestant, *, invocations: int = 200, step_ms: int = 300) -> Recovery:
    """Kill everything while `invocations` run, start it again, and wait for every result."""
    suite, endpoint = contestant.suite, contestant.endpoint
    tags = [f"{uuid.uuid4().hex[:8]}-{number}" for number in range(invocations)]
    with httpx.Client(base_url=suite.ingress_url) as client:
        requests = [{"tag": tag, "count": 5, "pause_ms": step_ms} for tag in tags]
        ids = [client.post("/Steps/run_and_count/send", json=request).json()["invocationId"] for request in requests]
    eventually(lambda: all(endpoint.effects(tag) for tag in tags), "every first step is done")
    done_before = sum(len(endpoint.effects(tag)) for tag in tags)
    suite.kill_everything()
    started = time.monotonic()
    suite.start(whole=False)
    suite.result("/Greeter/greet", "Ada")
    first_call_s = time.monotonic() - started
    with httpx.Client(base_url=suite.ingress_url, timeout=60) as client:
        for invocation_id in ids:
            assert client.get(f"/restate/invocation/{invocation_id}/attach").json() == 1
    all_done_s = time.monotonic() - started
    repeated = sum(len(effects) - len(set(effects)) for effects in map(endpoint.effects, tags))
    return Recovery(contestant.name, first_call_s, all_done_s, done_before, repeated)


def available() -> list[str]:
    """Return the names of the servers that can be started here, ours first."""
    return [name for name in NAMES if not NAMES[name] or os.environ.get("RESTATE_SERVER")]
