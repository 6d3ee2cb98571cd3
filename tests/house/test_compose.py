"""The compose files agree with each other, and with what they mount."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CLUSTER_FILE = "/etc/fdb.cluster"
PORT = "4500"


def services_of(name: str) -> dict[str, Any]:
    services: dict[str, Any] = yaml.safe_load((ROOT / name).read_text())["services"]
    return services


def mounts_of(service: dict[str, Any]) -> dict[str, str]:
    return {target: source for source, target, *_ in (mount.split(":") for mount in service.get("volumes", []))}


def servers_in(cluster_file: str) -> list[str]:
    _, _, addresses = (ROOT / cluster_file).read_text().strip().partition("@")
    return [address.removesuffix(f":{PORT}") for address in addresses.split(",")]


@pytest.mark.parametrize(
    ("files", "cluster_file"), [(["compose.yaml"], "deploy/fdb.cluster"), (["compose.yaml", "compose.fdb3.yaml"], "deploy/fdb3.cluster")]
)
def test_servers_and_clients_of_foundationdb_have_the_same_cluster_file(files: list[str], cluster_file: str) -> None:
    merged: dict[str, dict[str, Any]] = {}
    for name in files:
        for service, settings in services_of(name).items():
            merged[service] = {**merged.get(service, {}), **settings}
    servers = {name: each for name, each in merged.items() if "foundationdb" in name}
    assert sorted(servers) == sorted(servers_in(cluster_file))
    contents = (ROOT / cluster_file).read_text().strip()
    assert {each["environment"]["FDB_CLUSTER_FILE_CONTENTS"] for each in servers.values()} == {contents}
    clients = [mounts_of(each)[CLUSTER_FILE] for each in merged.values() if CLUSTER_FILE in mounts_of(each)]
    assert clients == [f"./{cluster_file}"] * 5


def test_no_two_servers_of_foundationdb_share_their_data() -> None:
    servers = [each for name, each in {**services_of("compose.fdb3.yaml"), **services_of("compose.yaml")}.items() if "foundationdb" in name]
    assert len({mounts_of(each)["/var/fdb/data"] for each in servers}) == len(servers) == 3


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="docker-compose is not installed")
@pytest.mark.parametrize("files", [["compose.embedded.yaml"], ["compose.yaml", "compose.fdb3.yaml"]], ids=" ".join)
def test_compose_takes_its_files(files: list[str]) -> None:
    command = ["docker-compose", *(part for name in files for part in ("--file", name)), "config", "--quiet"]
    taken = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert taken.returncode == 0, taken.stderr
