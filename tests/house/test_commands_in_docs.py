"""What the pages tell a reader to type is there: sub-commands, flags, tasks of make, files."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from perdure.cli.main import commands
from perdure.process.config import CommonConfig
from perdure.process.settings import settings_of
from tests.house.configs import CONFIGS

ROOT: Final = Path(__file__).resolve().parents[2]
PAGES: Final = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "deploy/README.md", "examples/README.md")),
    *(ROOT / "docs").rglob("*.md"),
]
TYPED: Final = re.compile(r"^ {4,}(.+)$|`((?:\.venv/bin/)?(?:perdure|make|python -m services\.) ?[^`\n]+)`", re.MULTILINE)
SERVICE: Final = re.compile(r"python -m services\.(\w+)(.*)")
COMMAND: Final = re.compile(r"(?:^|(?<!--namespace)[\s/])perdure ([a-z][a-z-]+)(?=\s|$)(.*)")
TASK: Final = re.compile(r"^make ([a-z][a-z -]*)")
TARGET: Final = re.compile(r"^([a-z][a-z0-9-]*):", re.MULTILINE)
NO_COMMANDS: Final = frozenset({"is"})
"""What follows the name of the program where it only says something: `perdure is ready`."""


def typed(page: Path) -> Iterator[str]:
    """Give what a page shows as typed, comments left out."""
    for block, inline in TYPED.findall(page.read_text()):
        yield (block or inline).partition("  #")[0]


def flags_of(text: str) -> set[str]:
    try:
        words = shlex.split(text)
    except ValueError:
        words = text.split()
    return {word.partition("=")[0] for word in words if word.startswith("--")}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_a_page_shows_exists_with_its_flags(page: Path) -> None:
    known = {name: {flag for parameter in command.params for flag in parameter.opts} for name, command in commands.commands.items()}
    for line in typed(page):
        for name, rest in COMMAND.findall(line):
            if name not in NO_COMMANDS:
                assert name in known, line
                assert flags_of(rest) <= known[name] | {"--help"}, line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_process_that_a_page_starts_has_the_settings_that_it_is_given(page: Path) -> None:
    common = set(CommonConfig.__struct_fields__)
    for line in typed(page):
        for role, rest in SERVICE.findall(line):
            if role in CONFIGS:
                assert flags_of(rest) <= {setting.flag for setting in settings_of(CONFIGS[role], common, role)} | {"--help"}, line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_task_of_make_that_a_page_shows_exists(page: Path) -> None:
    tasks = set(TARGET.findall((ROOT / "Makefile").read_text()))
    for line in typed(page):
        for words in TASK.findall(line):
            assert set(words.split()) <= tasks, line
