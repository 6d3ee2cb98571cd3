"""Entry point of the `perdure` command."""

import sys

import click


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


def main() -> None:
    """Run the command that `sys.argv` names."""
    commands()
