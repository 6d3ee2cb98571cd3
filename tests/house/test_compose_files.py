"""The compose files: what every container of the set has, and that nothing secret is in them."""

import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from perdure.process.config import read
from tests.house.configs import CONFIGS, PORTS

ROOT: Final = Path(__file__).resolve().parents[2]
FILES: Final = ("compose.yaml", "compose.embedded.yaml")
SECRET: Final = re.compile(r"password|secret|token|private|credential", re.IGNORECASE)
USER: Final = "10001:10001"
FOUNDATIONDB: Final = re.compile(r"foundationdb(-\d)?")
"""Its image brings its own user, and writes its cluster file where it runs."""


def services_of(*names: str) -> dict[str, dict[str, Any]]:
    """Return the services of a file, with those that an override changes."""
    merged: dict[str, dict[str, Any]] = {}
    for name in names:
        for service, value in yaml.safe_load((ROOT / name).read_text())["services"].items():
            merged[service] = {**merged.get(service, {}), **value}
    return merged


CONTAINERS: Final = [
    pytest.param(name, service, id=f"{files[-1]}-{name}")
    for files in (("compose.yaml",), ("compose.embedded.yaml",), ("compose.yaml", "compose.fdb3.yaml"))
    for name, service in services_of(*files).items()
]


@pytest.mark.parametrize(("name", "service"), CONTAINERS)
def test_every_container_is_watched_started_again_and_limited(name: str, service: dict[str, Any]) -> None:
    assert service["healthcheck"]["test"], name
    assert service["restart"] == "unless-stopped"
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize(("name", "service"), CONTAINERS)
def test_every_container_but_foundationdb_has_no_rights_and_a_read_only_file_system(name: str, service: dict[str, Any]) -> None:
    if FOUNDATIONDB.fullmatch(name):
        assert [each.partition(":")[2] for each in service["volumes"]] == ["/var/fdb/data"]
        return
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    is_ours = "build" in service  # then the image says who runs it
    assert is_ours or service["user"] == USER
    assert f"\nUSER {USER}\n" in (ROOT / "deploy/Dockerfile").read_text()


@pytest.mark.parametrize("file", FILES)
def test_each_process_has_its_container_with_its_port_and_waits_for_what_it_needs(file: str) -> None:
    services = services_of(file)
    needed = {name: {"condition": "service_healthy"} for name in services.keys() - CONFIGS.keys()}
    assert needed.keys() == ({"nats", "foundationdb"} if file == "compose.yaml" else {"nats"})
    for role in CONFIGS:
        service = services[role]
        assert service["command"] == ["python", "-m", f"services.{role}"]
        assert service["healthcheck"]["test"] == ["CMD", "python", "/opt/perdure/health.py", role]
        assert service["depends_on"] == needed
        presented = [each.rpartition(":")[2] for each in service.get("ports", [])]
        assert presented == ([str(PORTS[role])] if role in PORTS else [])


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("role", CONFIGS)
def test_each_process_knows_the_settings_that_it_is_given(file: str, role: str) -> None:
    given = {**services_of(file)[role]["environment"], "PERDURE_LOG_LEVEL": "info"}
    config = read(CONFIGS[role], [], section=role, environ=given)
    assert config.nats_url == "nats://nats:4222"
    assert config.shutdown_grace < int(services_of(file)[role]["stop_grace_period"].removesuffix("s")) * 1_000
    mounted = [each.split(":")[1] for each in services_of(file)[role]["volumes"]]
    assert mounted == ([config.fdb_cluster_file] if file == "compose.yaml" else ["/data"])


@pytest.mark.parametrize("file", [*FILES, "compose.fdb3.yaml"])
def test_no_variable_and_no_line_holds_a_secret(file: str) -> None:
    assert not SECRET.search((ROOT / file).read_text())


@pytest.mark.parametrize("file", FILES)
def test_every_image_can_come_from_elsewhere(file: str) -> None:
    for name, service in services_of(file).items():
        assert re.fullmatch(r"\$\{[A-Z_]+:-\S+\}", service["image"]), name
        for argument, value in service.get("build", {}).get("args", {}).items():
            assert re.fullmatch(r"\$\{[A-Z_]+:-\S+\}", value), argument


def test_the_client_library_of_foundationdb_comes_from_its_own_image() -> None:
    stages = re.findall(r"^FROM (\S+)(?: AS (\S+))?$", (ROOT / "deploy/Dockerfile").read_text(), re.MULTILINE)
    assert stages == [("${BASE_IMAGE}", "build"), ("${BASE_IMAGE}", "embedded"), ("${FDB_CLIENT_IMAGE}", "fdb-client"), ("embedded", "")]
    assert "COPY --from=fdb-client ${FDB_CLIENT_LIBRARY} /usr/lib/libfdb_c.so" in (ROOT / "deploy/Dockerfile").read_text()
    services = services_of("compose.yaml")
    client = services["invoker"]["build"]["args"]["FDB_CLIENT_IMAGE"]
    assert client == services["foundationdb"]["image"]
    assert "target" not in services["invoker"]["build"]
