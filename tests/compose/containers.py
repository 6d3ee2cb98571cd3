"""The running set, and what a user does with it."""

import json
import os
import subprocess
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

import httpx
import psutil

from tests.compose.engine import compose_command, run
from tests.e2e.api import Api
from tests.e2e.fleet import Balancer
from tests.e2e.processes import eventually, is_listening

ROLES: Final = ("nats", "ingress", "admin", "sql", "nodectl", "invoker")
PORTS: Final = {"ingress": 8080, "admin": 9070, "sql": 9071, "nodectl": 5122}
"""Within the containers."""
REPLICAS_MAX: Final = 3
"""For each port of a container that many ports of this machine are set aside."""
PORTS_FROM: Final = 18_000
ADDRESS: Final = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
PATIENCE_S: Final = 90.0


class Containers:
    """The set of `compose.embedded.yaml` as a project of its own; `record` gets a line for all that is done to it."""

    def __init__(self, engine: dict[str, str], image: str, record: list[str]) -> None:
        self.project = f"perdure-test-{uuid.uuid4().hex[:8]}"
        self.record = record
        self.env = {
            **engine,
            **dict(zip((f"PERDURE_{name}_PORT" for name in ("INGRESS", "ADMIN", "SQL", "NODE")), _port_ranges(len(PORTS)), strict=True)),
            "COMPOSE_PROJECT_NAME": self.project,
            "BASE_IMAGE": image,
            "PERDURE_IMAGE": "perdure:test",
            "DOCKER_BUILDKIT": os.environ.get("DOCKER_BUILDKIT", "0"),
        }
        self._compose = [*compose_command(), "--file", "compose.embedded.yaml"]
        self.http = httpx.Client(timeout=PATIENCE_S)

    def compose(self, *arguments: str) -> str:
        return run([*self._compose, *arguments], env=self.env)

    def docker(self, *arguments: str) -> str:
        return run(["docker", *arguments], env=self.env).strip()

    def up(self, **replicas: int) -> None:
        """Start what is not there, and as many of each role as asked for; one of all others."""
        self.compose("up", "--detach", "--no-build", *(f"--scale={role}={count}" for role, count in replicas.items()))

    def ids(self, role: str) -> list[str]:
        """Return the containers of a role, the one that was made first at the front."""
        labels = (f"--filter=label=com.docker.compose.{key}" for key in (f"project={self.project}", f"service={role}"))
        return self.docker("ps", "--all", "--quiet", "--no-trunc", *labels).split()[::-1]

    def inspect(self, container: str, template: str) -> str:
        return self.docker("inspect", "--format", template, container)

    def address(self, container: str) -> str:
        """Return the address that it has for the other containers and for this machine."""
        return self.inspect(container, ADDRESS)

    def is_healthy(self, role: str) -> bool:
        """Run the health check of each container of the role now; the engine itself does so every few seconds."""
        command = ["python", "/opt/perdure/health.py", role]
        return all(self.succeeds(["docker", "exec", container, *command]) for container in self.ids(role))

    def is_healthy_for_the_engine(self, role: str) -> bool:
        return all(self.inspect(each, "{{.State.Health.Status}}") == "healthy" for each in self.ids(role))

    def kill(self, role: str) -> int:
        """Kill the first process of the only container of a role with signal 9; return its process id on this machine."""
        (container,) = self.ids(role)
        process = int(self.inspect(container, "{{.State.Pid}}"))
        psutil.Process(process).kill()
        return process

    def url(self, role: str) -> str:
        """Return where the first container of a role is reached on this machine.

        Raises:
            AssertionError: It does not run.
        """
        published = self.docker("port", self.ids(role)[0], f"{PORTS[role]}/tcp").splitlines()[0]
        return f"http://127.0.0.1:{published.rpartition(':')[2]}"

    def partitions_by_invoker(self, node_url: str = "") -> list[int]:
        """Return how many partitions each invoker has, as nodectl knows."""
        try:
            processes = self.http.get(f"{node_url or self.url('nodectl')}/health").json()["processes"]
        except httpx.TransportError:
            return []
        return sorted(each["partitions"] for each in processes if each["role"] == "invoker")

    def call(self, path: str, body: Any) -> Any:
        """Call a handler as a careful client does: again with the same idempotency key while the connection breaks."""
        key = uuid.uuid4().hex

        def attempt() -> httpx.Response | None:
            try:
                return self.http.post(f"{self.url('ingress')}{path}", json=body, headers={"idempotency-key": key})
            except (httpx.TransportError, AssertionError):  # the latter while its container is not there
                return None

        response = eventually(attempt, f"{path} is answered", limit_s=PATIENCE_S, pause_s=0.1)
        assert response is not None
        assert response.status_code == 200, response.text
        return response.json()

    @contextmanager
    def balanced(self) -> Iterator["Balanced"]:
        """Give one address for all ingresses."""
        balanced = Balanced(self)
        try:
            balanced.follow()
            yield balanced
        finally:
            balanced.close()

    def scale(self, wanted: list[int], **replicas: int) -> float:
        """Start or stop replicas and wait until the invokers have `wanted` partitions.

        Returns:
            How long it took since the first partition moved, in seconds, as nodectl saw it.
        """
        node_url = self.url("nodectl")
        before, since = self.partitions_by_invoker(node_url), 0.0

        def have_moved() -> bool:
            nonlocal since
            found = self.partitions_by_invoker(node_url)
            if not since and found != before:
                since = time.monotonic()
            return found == wanted

        with ThreadPoolExecutor(1) as thread:
            started = thread.submit(self.up, **replicas)
            eventually(have_moved, f"partitions are spread as {wanted}", limit_s=PATIENCE_S)
            moved = time.monotonic()
            started.result()
        return moved - since

    def seconds_to_join(self, invokers: list[str]) -> float:
        """Return how long it took, as they logged it, from when the last of them was on the bus until the last took partitions."""
        connected, taken = (
            [self._logged_at(each, event)[index].timestamp() for each in invokers]
            for event, index in (("bus_connected", 0), ("partitions_taken", -1))
        )
        return max(taken) - max(connected)

    def _logged_at(self, container: str, event: str) -> list[datetime]:
        command = ["docker", "logs", container]
        printed = subprocess.run(command, env={**os.environ, **self.env}, capture_output=True, text=True, check=True)
        lines = [json.loads(line) for line in printed.stderr.splitlines()]
        return [datetime.fromisoformat(line["timestamp"]) for line in lines if line["event"] == event]

    def succeeds(self, command: list[str]) -> bool:
        return subprocess.run(command, env={**os.environ, **self.env}, capture_output=True, check=False).returncode == 0


class Balanced(Api):
    """All ingresses behind a TCP balancer that knows nothing of HTTP. It goes to the containers themselves: the ports that the engine
    publishes accept connections also for containers that do not."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers
        self._balancer = Balancer()
        super().__init__(f"http://127.0.0.1:{self._balancer.port}", containers.url("admin"))

    def follow(self) -> None:
        """Take the ingresses that there are now."""
        found = [self._containers.address(each) for each in self._containers.ids("ingress")]
        self._balancer.addresses = [(address, PORTS["ingress"]) for address in found if address]

    def close(self) -> None:
        self._balancer.close()
        self.http.close()


def _port_ranges(count: int) -> list[str]:
    """Return ranges of `REPLICAS_MAX` ports that nothing listens on. They lie below those that the system gives to whoever asks."""
    ranges: list[str] = []
    for first in range(PORTS_FROM, PORTS_FROM + 10_000, REPLICAS_MAX):
        if not any(is_listening(port) for port in range(first, first + REPLICAS_MAX)):
            ranges.append(f"{first}-{first + REPLICAS_MAX - 1}")
        if len(ranges) == count:
            break
    return ranges
