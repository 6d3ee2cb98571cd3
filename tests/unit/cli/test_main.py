"""What `perdure --help` shows to somebody who sees it for the first time."""

from click.testing import CliRunner

from perdure.cli.main import commands


def listed() -> list[str]:
    printed = CliRunner().invoke(commands, ["--help"], terminal_width=80).output
    return printed.partition("Commands:\n")[2].splitlines()


def test_the_command_that_starts_a_server_is_listed_first() -> None:
    assert listed()[0].lstrip().startswith("up ")


def test_every_command_says_in_one_whole_line_what_it_does() -> None:
    assert len(listed()) == len(commands.commands)
    assert all(line.endswith(".") and not line.endswith("...") for line in listed())
