"""Entry point of the `perdure` command."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

F = TypeVar("F", bound=Callable[..., None])


class _InOrder(click.Group):
    """Lists commands as they are defined here: what starts a server, what works on a running one, what works on a store."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_InOrder, context_settings={"help_option_names": ["-h", "--help"]})
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
    """Run a whole server on this machine.

    NATS and all processes start, and stay in the foreground; Ctrl-C stops them in order. Other settings than these come from --config
    or from variables, as PERDURE_LOG_LEVEL=debug.
    """
    from perdure.cli.up import run_up

    sys.exit(run_up({name: str(value) for name, value in flags.items() if value is not None}))


def _of_a_suite(command: F) -> F:
    """Add the flag that says which suite is meant."""
    return click.option("--node", default="http://127.0.0.1:5122", metavar="URL", help="The node port.  [default: http://127.0.0.1:5122]")(
        command
    )


def _within(seconds: int) -> Callable[[F], F]:
    """Add the flag that says how long to wait."""
    return click.option(
        "--within", type=click.FloatRange(min=0), default=seconds, metavar="SECONDS", help=f"How long to wait.  [default: {seconds}]"
    )


@commands.command()
@_of_a_suite
def status(node: str) -> None:
    """Print how a running suite does.

    Its processes, its partitions, their owners, and how far behind they are. Exits with 0 where it does all its work, 1 where not (it
    says why), 2 where the node port does not answer.
    """
    from perdure.cli.node import run_status

    sys.exit(run_status(node))


@commands.command()
@click.argument("process")
@_within(60)
@_of_a_suite
def drain(process: str, within: float, node: str) -> None:
    """Take all work from PROCESS, before it is stopped.

    Its partitions go to other invokers, its clients to other processes. Exits with 0 once it has nothing under way, 1 where that takes
    longer, 2 where it is refused. It does nothing any more until it is started again.
    """
    from perdure.cli.node import run_drain

    sys.exit(run_drain(node, process, within))


@commands.command()
@click.argument("partition", type=int)
@click.argument("process", required=False)
@click.option("--back", is_flag=True, help="Let the partition go where the invokers would put it.")
@_within(30)
@_of_a_suite
def move(partition: int, process: str | None, back: bool, within: float, node: str) -> None:
    """Move PARTITION to the invoker PROCESS.

    There it stays as long as that lives. Exits with 0 once it is there, 1 where that takes longer, 2 where it is refused.
    """
    from perdure.cli.node import run_move

    if back == (process is not None):
        raise click.UsageError("say either to which PROCESS, or --back")
    sys.exit(run_move(node, partition, process or "", within))


@commands.command()
@click.argument("level", type=click.Choice(["debug", "info", "warning", "error"]))
@click.option("--role", default="", metavar="ROLE", help="Only processes of this role: ingress, admin, sql, nodectl or invoker.")
@_of_a_suite
def log_level(level: str, role: str, node: str) -> None:
    """Change the log level of running processes.

    They print from LEVEL on, until they end.
    """
    from perdure.cli.node import run_log_level

    sys.exit(run_log_level(node, level, role))


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
    """Check a store, in use or not.

    Reads all of it, and names every place that breaks a rule. Changes nothing. Exits with 0 where it is sound, 1 where it is damaged, 2
    where it cannot be read.
    """
    from perdure.cli.upkeep import run_check

    sys.exit(run_check(_given(flags)))


@commands.command()
@click.argument("copy", type=click.Path(path_type=Path))
@_of_a_store
def backup(copy: Path, **flags: str | None) -> None:
    """Copy an embedded store to the file COPY. The suite may run meanwhile."""
    from perdure.cli.upkeep import run_backup

    sys.exit(run_backup(copy, _given(flags)))


@commands.command()
@click.argument("copy", type=click.Path(path_type=Path))
@_of_a_store
def restore(copy: Path, **flags: str | None) -> None:
    """Make an embedded store out of the file COPY. The base directory must have none."""
    from perdure.cli.upkeep import run_restore

    sys.exit(run_restore(copy, _given(flags)))


def _given(flags: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in flags.items() if value is not None}


def main() -> None:
    """Run the command that `sys.argv` names."""
    commands()
