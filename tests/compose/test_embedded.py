"""The set without FoundationDB in real containers: built, called, killed, scaled, and taken down."""

import os
import subprocess
import uuid
from collections.abc import Iterator
from typing import Any, Final

import httpx
import psutil
import pytest

from tests.compose.engine import Unavailable, base_image, compose_command, run, running_engine
from tests.e2e.processes import REPOSITORY, end, eventually, free_ports, is_listening, spawn

pytestmark = pytest.mark.timeout(1_200)
ROLES: Final = ("nats", "ingress", "admin", "sql", "nodectl", "invoker")
HYPERCORN: Final = REPOSITORY / ".venv-dev/bin/hypercorn"
PARTITIONS: Final = 24
PATIENCE_S: Final = 90.0


class Containers:
    """The running set, and what a user does with it."""

    def __init__(self, engine: dict[str, str], image: str) -> None:
        ports = dict(zip(("INGRESS", "ADMIN", "SQL", "NODE"), free_ports(4), strict=True))
        self.project = f"perdure-test-{uuid.uuid4().hex[:8]}"
        self.env = {
            **engine,
            **{f"PERDURE_{name}_PORT": str(port) for name, port in ports.items()},
            "COMPOSE_PROJECT_NAME": self.project,
            "BASE_IMAGE": image,
            "PERDURE_IMAGE": "perdure:test",
            "DOCKER_BUILDKIT": os.environ.get("DOCKER_BUILDKIT", "0"),
        }
        self.ingress_url, self.admin_url, self.node_url = (f"http://127.0.0.1:{ports[name]}" for name in ("INGRESS", "ADMIN", "NODE"))
        self._compose = [*compose_command(), "--file", "compose.embedded.yaml"]
        self.http = httpx.Client(timeout=PATIENCE_S)

    def compose(self, *arguments: str) -> str:
        return run([*self._compose, *arguments], env=self.env)

    def ids(self, role: str) -> list[str]:
        return self.compose("ps", "--quiet", role).split()

    def inspect(self, container: str, template: str) -> str:
        return run(["docker", "inspect", "--format", template, container], env=self.env).strip()

    def is_healthy(self, role: str) -> bool:
        found = self.ids(role)
        return bool(found) and all(self.inspect(each, "{{.State.Running}} {{.State.Health.Status}}") == "true healthy" for each in found)

    def partitions_by_invoker(self) -> list[int]:
        """Return how many partitions each invoker has, as nodectl knows."""
        try:
            processes = self.http.get(f"{self.node_url}/health").json()["processes"]
        except httpx.TransportError:
            return []
        return sorted(each["partitions"] for each in processes if each["role"] == "invoker")

    def call(self, path: str, body: Any) -> Any:
        """Call a handler as a careful client does: again with the same idempotency key while the connection breaks."""
        key = uuid.uuid4().hex

        def attempt() -> httpx.Response | None:
            try:
                return self.http.post(f"{self.ingress_url}{path}", json=body, headers={"idempotency-key": key})
            except httpx.TransportError:
                return None

        response = eventually(attempt, f"{path} is answered", limit_s=PATIENCE_S, pause_s=0.1)
        assert response is not None
        assert response.status_code == 200, response.text
        return response.json()


@pytest.fixture(scope="module")
def containers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    """The set, built, up and healthy."""
    try:
        compose_command()
        with running_engine(tmp_path_factory.mktemp("engine")) as engine:
            running = Containers(engine, base_image(engine))
            try:
                running.compose("build", "nats")  # one image for all
                running.compose("up", "--detach", "--no-build")
                for role in ROLES:
                    eventually(lambda role=role: running.is_healthy(role), f"{role} is healthy", limit_s=PATIENCE_S, pause_s=0.5)
                yield running
            finally:
                running.http.close()
                running.compose("down", "--volumes", "--timeout", "10")
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def counter(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An SDK endpoint on this machine, registered under the name that containers have for it; the path of its counters."""
    directory = tmp_path_factory.mktemp("endpoint")
    port = free_ports(1)[0]
    effects = directory / "effects"
    effects.touch()
    command = [str(HYPERCORN), "--bind", f"0.0.0.0:{port}", "tests.e2e.services:app"]
    endpoint = spawn(command, log=directory / "log", env={"EFFECTS_FILE": str(effects)}, cwd=REPOSITORY)
    try:
        eventually(lambda: is_listening(port), "the endpoint listens")
        answer = containers.http.post(f"{containers.admin_url}/deployments", json={"uri": f"http://host.docker.internal:{port}"})
        assert answer.status_code == 201, answer.text
        yield "/Counter"
    finally:
        end(endpoint, grace_s=2.0)


def test_a_handler_on_the_host_is_called(containers: Containers, counter: str) -> None:
    assert [containers.call(f"{counter}/called/add", 2) for _ in range(3)] == [2, 4, 6]


@pytest.mark.parametrize("role", ROLES)
def test_containers_have_no_rights_and_cannot_write_their_image(containers: Containers, role: str) -> None:
    (container,) = containers.ids(role)
    user, is_read_only = containers.inspect(container, "{{.Config.User}} {{.HostConfig.ReadonlyRootfs}}").split()
    assert (user, is_read_only) == ("10001:10001", "true")


@pytest.mark.parametrize("role", ROLES)
def test_a_killed_container_comes_back_and_no_call_is_lost(containers: Containers, counter: str, role: str) -> None:
    key = f"{counter}/killed-{role}/add"
    assert containers.call(key, 1) == 1
    (container,) = containers.ids(role)
    killed = int(containers.inspect(container, "{{.State.Pid}}"))
    psutil.Process(killed).kill()
    assert [containers.call(key, 1) for _ in range(5)] == [2, 3, 4, 5, 6]
    eventually(lambda: containers.inspect(container, "{{.State.Pid}}") not in (str(killed), "0"), f"{role} runs again", limit_s=PATIENCE_S)
    eventually(lambda: containers.is_healthy(role), f"{role} is healthy again", limit_s=PATIENCE_S, pause_s=0.5)


def test_partitions_move_to_a_second_invoker_and_back(containers: Containers, counter: str) -> None:
    key = f"{counter}/scaled/add"
    containers.compose("up", "--detach", "--no-build", "--scale", "invoker=2")
    eventually(lambda: containers.partitions_by_invoker() == [PARTITIONS // 2] * 2, "two invokers share", limit_s=PATIENCE_S)
    assert [containers.call(key, 1) for _ in range(5)] == [1, 2, 3, 4, 5]
    containers.compose("up", "--detach", "--no-build", "--scale", "invoker=1")
    eventually(lambda: containers.partitions_by_invoker() == [PARTITIONS], "one invoker has all", limit_s=PATIENCE_S)
    assert containers.call(key, 1) == 6


def test_all_that_was_counted_is_there_after_everything_was_down(containers: Containers, counter: str) -> None:
    key = f"{counter}/down/add"
    assert containers.call(key, 1) == 1
    containers.compose("down", "--timeout", "10")
    containers.compose("up", "--detach", "--no-build")
    assert containers.call(key, 1) == 2


def test_the_set_with_foundationdb_is_well_formed() -> None:
    try:
        command = compose_command()
    except Unavailable as reason:
        pytest.skip(str(reason))
    checked = subprocess.run([*command, "--file", "compose.yaml", "config"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "services.invoker" in checked.stdout
