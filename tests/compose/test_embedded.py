"""The set without FoundationDB in real containers: built, called, killed, scaled, debugged, and taken down."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
import psycopg
import pytest

from tests.compose.containers import PATIENCE_S, PORTS, ROLES, Containers
from tests.compose.engine import Unavailable, base_image, compose_command, running_engine
from tests.e2e.processes import REPOSITORY, end, eventually, is_listening, spawn
from tests.e2e.steady_load import CALLERS, SteadyLoad
from tests.ports import free_ports

pytestmark = pytest.mark.timeout(1_200)
HYPERCORN: Final = REPOSITORY / ".venv-dev/bin/hypercorn"
PARTITIONS: Final = 24
MANY: Final = {"invoker": 3, "ingress": 2, "sql": 2, "admin": 2}
REGISTRATIONS: Final = 8


@pytest.fixture(scope="module")
def containers(tmp_path_factory: pytest.TempPathFactory, record: list[str]) -> Iterator[Containers]:
    """The set, built, up and healthy."""
    try:
        compose_command()
        began = time.monotonic()
        with running_engine(tmp_path_factory.mktemp("engine")) as engine:
            running = Containers(engine, base_image(engine), record)
            record.append(f"an engine and a base image after {time.monotonic() - began:.0f} s")
            try:
                running.compose("build", "nats")  # one image for all
                record.append(f"the image built after {time.monotonic() - began:.0f} s")
                running.up()
                for role in ROLES:
                    eventually(lambda role=role: running.is_healthy(role), f"{role} is healthy", limit_s=PATIENCE_S, pause_s=0.5)
                record.append(f"all containers healthy after {time.monotonic() - began:.0f} s")
                yield running
            finally:
                running.http.close()
                running.compose("down", "--volumes", "--timeout", "10")
            record.append("taken down with its volume")
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def endpoint_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """An SDK endpoint on this machine; its port on all addresses."""
    directory = tmp_path_factory.mktemp("endpoint")
    (port,) = free_ports(1)
    effects = directory / "effects"
    effects.touch()
    command = [str(HYPERCORN), "--bind", f"0.0.0.0:{port}", "tests.e2e.services:app"]
    endpoint = spawn(command, log=directory / "log", env={"EFFECTS_FILE": str(effects)}, cwd=REPOSITORY)
    try:
        eventually(lambda: is_listening(port), "the endpoint listens")
        yield port
    finally:
        end(endpoint, grace_s=2.0)


@pytest.fixture(scope="module")
def counter(containers: Containers, endpoint_port: int) -> str:
    """Register the endpoint under the name that containers have for this machine; the path of its counters."""
    uri = f"http://host.docker.internal:{endpoint_port}"
    answer = containers.http.post(f"{containers.url('admin')}/deployments", json={"uri": uri})
    assert answer.status_code == 201, answer.text
    return "/Counter"


def test_a_handler_on_the_host_is_called(containers: Containers, counter: str) -> None:
    assert [containers.call(f"{counter}/called/add", 2) for _ in range(3)] == [2, 4, 6]


def test_every_public_port_is_presented(containers: Containers, counter: str) -> None:
    for role, path in {"ingress": "/restate/health", "admin": "/health", "nodectl": "/health"}.items():
        assert containers.http.get(f"{containers.url(role)}{path}").status_code == 200, role
    assert services_seen_by(containers.url("sql")) >= {counter.removeprefix("/")}


@pytest.mark.parametrize("role", ROLES)
def test_containers_have_no_rights_and_cannot_write_their_image(containers: Containers, role: str) -> None:
    (container,) = containers.ids(role)
    user, is_read_only = containers.inspect(container, "{{.Config.User}} {{.HostConfig.ReadonlyRootfs}}").split()
    assert (user, is_read_only) == ("10001:10001", "true")


def test_one_container_is_the_whole_server_and_ends_in_order(containers: Containers) -> None:
    container = containers.docker("run", "--detach", "perdure:test")
    try:
        ready = ["docker", "exec", container, "perdure", "status"]
        eventually(lambda: containers.succeeds(ready), "it does all its work", limit_s=PATIENCE_S, pause_s=0.2)
        containers.docker("stop", container)
        assert containers.inspect(container, "{{.State.ExitCode}}") == "0"
    finally:
        containers.docker("rm", "--force", "--volumes", container)


@pytest.mark.parametrize("role", ROLES)
def test_a_killed_container_comes_back_and_no_call_is_lost(containers: Containers, counter: str, role: str) -> None:
    key = f"{counter}/killed-{role}/add"
    assert containers.call(key, 1) == 1
    (container,) = containers.ids(role)
    began = time.monotonic()
    killed = containers.kill(role)
    assert [containers.call(key, 1) for _ in range(5)] == [2, 3, 4, 5, 6]
    eventually(lambda: containers.inspect(container, "{{.State.Pid}}") not in (str(killed), "0"), f"{role} runs again", limit_s=PATIENCE_S)
    eventually(lambda: containers.is_healthy(role), f"{role} is healthy again", limit_s=PATIENCE_S, pause_s=0.2)
    containers.record.append(f"killed {role}: no call lost, healthy again after {time.monotonic() - began:.1f} s")


def test_scaling_up_and_down_under_load_fails_no_call(containers: Containers, counter: str, endpoint_port: int) -> None:
    with containers.balanced() as api, SteadyLoad(api, "scaled") as load:
        before = containers.ids("invoker")
        containers.scale([PARTITIONS // MANY["invoker"]] * MANY["invoker"], **MANY)
        api.follow()
        joining_s = containers.seconds_to_join([each for each in containers.ids("invoker") if each not in before])
        containers.record.append(f"scaled to {MANY}: partitions evenly spread {joining_s:.2f} s after the last invoker came to the bus")
        load.wait_for_more(5 * CALLERS)
        register_everywhere_at_once(containers, endpoint_port)
        load.wait_for_more(CALLERS)
        moving_s = containers.scale([PARTITIONS])
        api.follow()
        containers.record.append(
            f"scaled back to one of each: all partitions with the one left {moving_s:.2f} s after nodectl saw the first move"
        )
        load.wait_for_more(5 * CALLERS)
    assert load.failures == []
    longest_s = max(answer.took_s for answer in load.answers)
    containers.record.append(f"{len(load.answers)} calls meanwhile, none failed, the longest took {longest_s:.1f} s")
    assert {role: len(containers.ids(role)) for role in MANY} == dict.fromkeys(MANY, 1)


def register_everywhere_at_once(containers: Containers, endpoint_port: int) -> None:
    """Register one endpoint under several addresses at all admins at once; every admin and every sql process knows all of them then."""
    admins = [f"http://{containers.address(each)}:{PORTS['admin']}" for each in containers.ids("admin")]
    assert len(admins) == MANY["admin"]
    uris = [f"http://host.docker.internal:{endpoint_port}/at-once-{number}" for number in range(REGISTRATIONS)]

    def register(number: int) -> int:
        return httpx.post(f"{admins[number % len(admins)]}/deployments", json={"uri": uris[number]}, timeout=PATIENCE_S).status_code

    with ThreadPoolExecutor(REGISTRATIONS) as threads:
        assert list(threads.map(register, range(REGISTRATIONS))) == [201] * REGISTRATIONS
    for admin in admins:
        known = {each["uri"].rstrip("/") for each in httpx.get(f"{admin}/deployments", timeout=PATIENCE_S).json()["deployments"]}
        assert known >= set(uris)
    for container in containers.ids("sql"):
        assert "Counter" in services_seen_by(f"http://{containers.address(container)}:{PORTS['sql']}")
    containers.record.append(f"{REGISTRATIONS} registrations at {len(admins)} admins at once")


def services_seen_by(sql_url: str) -> set[str]:
    """Return what a sql process tells of services."""
    url = httpx.URL(sql_url)
    with psycopg.connect(host=url.host, port=url.port, dbname="restate", user="restate") as connection:
        return {str(name) for (name,) in connection.execute("select name from sys_service")}


def test_a_copy_of_the_store_in_use_is_made_within_a_container(containers: Containers, counter: str) -> None:
    assert containers.call(f"{counter}/copied/add", 1) == 1
    for command in ("backup /data/copy.db", "restore /data/copy.db --base-dir /data/fresh", "check --base-dir /data/fresh"):
        containers.docker("exec", containers.ids("admin")[0], "perdure", *command.split())


def test_all_that_was_counted_is_there_after_everything_was_down(containers: Containers, counter: str) -> None:
    key = f"{counter}/down/add"
    assert containers.call(key, 1) == 1
    containers.compose("down", "--timeout", "10")
    containers.up()
    assert containers.call(key, 1) == 2
    containers.record.append("everything down and up again: nothing lost")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can open the volume of containers")
def test_a_process_on_the_host_under_a_debugger_takes_the_place_of_its_container(
    containers: Containers, counter: str, endpoint_port: int, tmp_path: Path
) -> None:
    """As in docs/guides/debugging.md. Its handlers have an address that is true for this machine too, and that ends with the network."""
    gateway = containers.inspect(containers.ids("nats")[0], "{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}")
    uri = f"http://{gateway}:{endpoint_port}"
    assert containers.http.post(f"{containers.url('admin')}/deployments", json={"uri": uri}).status_code == 201
    key = f"{counter}/debugged/add"
    assert containers.call(key, 1) == 1
    containers.compose("stop", "invoker", "admin")
    (admin_port,) = free_ports(1)
    with (
        on_the_host(containers, tmp_path, "invoker"),
        on_the_host(containers, tmp_path, "admin", "--port", str(admin_port)),
    ):
        assert [containers.call(key, 1) for _ in range(3)] == [2, 3, 4]
        eventually(lambda: is_listening(admin_port), "the admin on the host listens", limit_s=PATIENCE_S)
        again = {"uri": f"{uri}/debugged"}
        assert containers.http.post(f"http://127.0.0.1:{admin_port}/deployments", json=again).status_code == 201
        assert containers.call(key, 1) == 5
    containers.compose("start", "invoker", "admin")
    assert containers.call(key, 1) == 6
    eventually(lambda: containers.partitions_by_invoker() == [PARTITIONS], "the container has all partitions", limit_s=PATIENCE_S)
    containers.record.append("invoker and admin stopped, run under pdb on the host, and started again: work went on")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can open the volume of containers")
@pytest.mark.parametrize("role", ["ingress", "sql", "nodectl"])
def test_each_process_with_a_port_works_under_a_debugger_while_its_container_is_stopped(
    containers: Containers, counter: str, tmp_path: Path, role: str
) -> None:
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    containers.compose("stop", role)
    with on_the_host(containers, tmp_path, role, "--port", str(port)):
        if role == "ingress":
            assert containers.http.post(f"{url}{counter}/alone/add", json=1).json() == 1
        elif role == "sql":
            assert counter.removeprefix("/") in services_seen_by(url)
        else:
            known = {each["role"] for each in containers.http.get(f"{url}/status").json()["processes"]}
            assert known >= {"ingress", "admin", "sql", "nodectl", "invoker"}
    containers.compose("start", role)
    assert containers.call(f"{counter}/after-{role}/add", 1) == 1
    containers.record.append(f"{role} stopped, run under pdb on the host, and started again: work went on")


@contextmanager
def on_the_host(containers: Containers, directory: Path, role: str, *flags: str) -> Iterator[None]:
    """Run a process here under pdb, against the NATS and the store of the containers, until the block ends."""
    nats = containers.address(containers.ids("nats")[0])
    store = containers.docker("volume", "inspect", "--format", "{{.Mountpoint}}", f"{containers.project}_data")
    debugged = [sys.executable, "-m", "pdb", "-c", "continue", "-m", f"services.{role}"]
    log = directory / f"{role}.log"
    process = spawn([*debugged, "--nats-url", f"nats://{nats}:4222", "--base-dir", store, *flags], log=log, env={}, cwd=REPOSITORY)
    try:
        eventually(lambda: process.poll() is not None or '"ready"' in log.read_text(), f"{role} is ready", limit_s=PATIENCE_S)
        assert process.poll() is None, log.read_text()[-3000:]
        yield
    finally:
        end(process)


@pytest.mark.parametrize("role", ROLES)
def test_the_engine_comes_to_know_that_containers_are_healthy(containers: Containers, role: str) -> None:
    eventually(lambda: containers.is_healthy_for_the_engine(role), f"{role} is healthy", limit_s=PATIENCE_S, pause_s=0.5)


def test_the_set_with_foundationdb_is_well_formed() -> None:
    try:
        command = compose_command()
    except Unavailable as reason:
        pytest.skip(str(reason))
    checked = subprocess.run([*command, "--file", "compose.yaml", "config"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "services.invoker" in checked.stdout
