"""A Docker engine for tests: the one that is there, or one of our own in a directory of its own; and an image to build upon."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.e2e.processes import REPOSITORY, end, eventually, spawn

BASE_IMAGE: Final = "perdure-base:test"
ROOTFS: Final = REPOSITORY / ".cache/compose/rootfs.tar"
CERTIFICATES: Final = Path("/etc/ssl/certs/ca-certificates.crt")
PACKAGES: Final = "python3,python3-venv,ca-certificates"


class Unavailable(Exception):
    """There is no engine, and none can be started."""


def run(command: list[str], *, env: Mapping[str, str] = {}, cwd: Path = REPOSITORY) -> str:
    """Run a program to its end and return what it printed; it must succeed."""
    done = subprocess.run(command, env={**os.environ, **env}, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def compose_command() -> list[str]:
    """Return how Compose is called here.

    Raises:
        Unavailable: It is not installed.
    """
    if shutil.which("docker") and subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0:
        return ["docker", "compose"]
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    raise Unavailable("neither `docker compose` nor `docker-compose` is installed")


@contextmanager
def running_engine(directory: Path) -> Iterator[dict[str, str]]:
    """Give the environment in which `docker` reaches an engine.

    Raises:
        Unavailable: With the reason.
    """
    if not shutil.which("docker"):
        raise Unavailable("docker is not installed")
    if _answers({}):
        yield {}
        return
    if not shutil.which("dockerd") or os.geteuid() != 0:
        raise Unavailable("no Docker engine answers, and only root can start one, with dockerd installed")
    socket, log = f"unix://{directory}/docker.sock", directory / "dockerd.log"
    places = {"data-root": "data", "exec-root": "exec", "pidfile": "docker.pid"}
    flags = [f"--{flag}={directory / name}" for flag, name in places.items()]
    limits = ["--storage-driver=overlay2", "--default-ulimit", "nofile=20000:20000"]
    engine = spawn(["dockerd", f"--host={socket}", *flags, *limits], log=log, env={})
    try:
        eventually(lambda: engine.poll() is not None or _answers({"DOCKER_HOST": socket}), "the engine answers or has ended", limit_s=60)
        if engine.poll() is not None:
            raise Unavailable(f"dockerd cannot run here: {log.read_text().strip().splitlines()[-1]}")
        yield {"DOCKER_HOST": socket}
    finally:
        end(engine, grace_s=30)


def base_image(env: Mapping[str, str]) -> str:
    """Return an image with Python: `BASE_IMAGE` if that is set, else one made of Debian's packages."""
    given = os.environ.get("BASE_IMAGE")
    if given:
        return given
    if subprocess.run(["docker", "image", "inspect", BASE_IMAGE], env={**os.environ, **env}, capture_output=True, check=False).returncode:
        if not ROOTFS.exists():
            _make_rootfs()
        # Behind a proxy that signs by itself, pip must trust what this machine trusts.
        trust = ["--change", f"ENV PIP_CERT={CERTIFICATES}"] if "PIP_CERT" in os.environ else []
        run(["docker", "import", *trust, str(ROOTFS), BASE_IMAGE], env=env)
    return BASE_IMAGE


def _make_rootfs() -> None:
    if not shutil.which("debootstrap") or os.geteuid() != 0:
        raise Unavailable("a base image is needed: set BASE_IMAGE, or install debootstrap and be root")
    tree = ROOTFS.with_suffix("")
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    try:
        run(["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(tree)])
    except AssertionError as error:
        raise Unavailable(f"no base image could be made, set BASE_IMAGE: {error}") from error
    shutil.copy(CERTIFICATES, f"{tree}{CERTIFICATES}")
    unfinished = ROOTFS.with_suffix(".part")
    run(["tar", "--create", "--file", str(unfinished), "--exclude=./var/cache/apt/archives/*.deb", "--directory", str(tree), "."])
    unfinished.rename(ROOTFS)
    shutil.rmtree(tree)


def _answers(env: Mapping[str, str]) -> bool:
    return subprocess.run(["docker", "info"], env={**os.environ, **env}, capture_output=True, check=False).returncode == 0
