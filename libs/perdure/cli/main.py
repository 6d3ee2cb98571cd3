"""Entry point of the `perdure` command."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

F = TypeVar("F", bound=Callable[..., None])


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="perdure")
def commands() -> None:
    """Perdure, a durable-execution server that Restate clients use unchanged."""


@commands.command()
@click.option("--base-dir", metavar="DIR", help="Directory for all data.  [default: ./target]")
@click.option("--bind", metavar="ADDRESS", help="Address that the public ports listen on.  [default: that of each service]")
@click.option("--ingress-port", type=int, metavar="N", help="Port for calls.  [default: 8080]")
@click.option("--admin-port", type=int, metavar="N", help="Port of the admin API.  [default: 9070]")
@click.option("--sql-port", type=int, metavar="N", help="Port for PostgreSQL clients.  [default: 9071]")
@click.option("--node-port", type=int, metavar="N", help="Port for health and metrics.  [default: 5122]")
@click.option("--invokers", type=int, metavar="N", help="Processes of the role that carries the work.  [default: 1]")
@click.option("--nats-port", type=int, metavar="N", help="Loopback port of the NATS server.  [default: any free one]")
@click.option("--config", metavar="FILE", help="TOML file with settings for all processes.")
def up(**flags: str | int | None) -> None:
    """Run a whole server on this machine: NATS and all processes, in the foreground."""
    from perdure.cli.up import run_up

    sys.exit(run_up({name: str(value) for name, value in flags.items() if value is not None}))


def _of_a_store(command: F) -> F:
    """Add the flags that say which store is meant."""
    for option in (
        click.option("--base-dir", metavar="DIR", help="Directory of the suite's data.  [default: ./target]"),
        click.option("--root", metavar="NAME", help="Root of the keys.  [default: perdure]"),
        click.option("--config", metavar="FILE", help="TOML file with settings of the suite."),
    ):
        command = option(command)
    return command


@commands.command()
@click.option("--fdb-cluster-file", metavar="FILE", help="Cluster file of FoundationDB, instead of a base directory.")
@_of_a_store
def check(**flags: str | None) -> None:
    """Read a whole store, in use or not, and name every place that breaks a rule. Changes nothing.

    Exits with 0 where it is sound, 1 where it is damaged, 2 where it cannot be read.
    """
    from perdure.cli.upkeep import run_check

    sys.exit(run_check(_given(flags)))


@commands.command()
@click.argument("copy", type=click.Path(path_type=Path))
@_of_a_store
def backup(copy: Path, **flags: str | None) -> None:
    """Copy an embedded store to the file COPY, while the suite runs or not."""
    from perdure.cli.upkeep import run_backup

    sys.exit(run_backup(copy, _given(flags)))


@commands.command()
@click.argument("copy", type=click.Path(path_type=Path))
@_of_a_store
def restore(copy: Path, **flags: str | None) -> None:
    """Make the embedded store of a base directory that has none out of the file COPY."""
    from perdure.cli.upkeep import run_restore

    sys.exit(run_restore(copy, _given(flags)))


@commands.command()
@click.argument("level", type=click.Choice(["debug", "info", "warning", "error"]))
@click.option("--role", default="", metavar="ROLE", help="Only processes of this role: ingress, admin, sql, nodectl or invoker.")
@click.option("--node", default="http://127.0.0.1:5122", metavar="URL", help="The node port.  [default: http://127.0.0.1:5122]")
def log_level(level: str, role: str, node: str) -> None:
    """Let the running processes print from LEVEL on, until they end."""
    from perdure.cli.node import run_log_level

    sys.exit(run_log_level(node, level, role))


def _given(flags: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in flags.items() if value is not None}


def main() -> None:
    """Run the command that `sys.argv` names."""
    commands()
