"""A Docker engine for tests: the one that is there, or one of our own in a directory of its own; and an image to build upon."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.e2e.processes import REPOSITORY, end, eventually, spawn

ROOM: Final = REPOSITORY / ".cache/compose"
REQUIREMENTS: Final = ("requirements/runtime.txt", "requirements/build.txt")
WHEELS: Final = "/opt/perdure-wheels"
SUITE: Final = "bookworm"
SUITE_PYTHON: Final = "3.11"
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
    """Return an image with Python: `BASE_IMAGE` if that is set, else one made of Debian's packages.

    It also holds the wheels that are installed upon it, got in the way in which pip works on this machine: containers need no network.

    Raises:
        Unavailable: With the reason.
    """
    given = os.environ.get("BASE_IMAGE")
    if given:
        return given
    content = hashlib.sha256(b"".join((REPOSITORY / each).read_bytes() for each in REQUIREMENTS)).hexdigest()[:12]
    image, rootfs = f"perdure-base:{content}", ROOM / f"rootfs-{content}.tar"
    if subprocess.run(["docker", "image", "inspect", image], env={**os.environ, **env}, capture_output=True, check=False).returncode:
        if not rootfs.exists():
            _make_rootfs(rootfs)
        run(["docker", "import", "--change", f"ENV PIP_NO_INDEX=1 PIP_FIND_LINKS={WHEELS}", str(rootfs), image], env=env)
    return image


def _make_rootfs(archive: Path) -> None:
    if not shutil.which("debootstrap") or os.geteuid() != 0:
        raise Unavailable("a base image is needed: set BASE_IMAGE, or install debootstrap and be root")
    tree = archive.with_suffix("")
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    try:
        run(["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(tree)])
    except AssertionError as error:
        raise Unavailable(f"no base image could be made, set BASE_IMAGE: {error}") from error
    _download_wheels(Path(f"{tree}{WHEELS}"))
    unfinished = archive.with_suffix(".part")
    run(["tar", "--create", "--file", str(unfinished), "--exclude=./var/cache/apt/archives/*.deb", "--directory", str(tree), "."])
    unfinished.rename(archive)
    shutil.rmtree(tree)


def _download_wheels(directory: Path) -> None:
    flags = ["--quiet", "--require-hashes", "--only-binary", ":all:", "--python-version", SUITE_PYTHON, "--dest", str(directory)]
    wanted = [part for each in REQUIREMENTS for part in ("--requirement", each)]
    run([sys.executable, "-m", "pip", "download", *flags, *wanted])


def _answers(env: Mapping[str, str]) -> bool:
    return subprocess.run(["docker", "info"], env={**os.environ, **env}, capture_output=True, check=False).returncode == 0
