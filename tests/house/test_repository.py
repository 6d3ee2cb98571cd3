"""The repository checks itself: sizes, names, links, and what must not be in it."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
MODULE_LINES_MAX: Final = 400
TEST_MODULE_LINES_MAX: Final = 600
"""Tests may hold long tables of cases."""
FUNCTION_LINES_MAX: Final = 70
BANNED_NAMES: Final = {"util", "utils", "common", "helper", "helpers", "manager", "managers", "misc"}
TOP_LEVEL: Final = {
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "pyproject.toml", "Makefile", "compose.yaml", "compose.embedded.yaml"),
    "compose.fdb3.yaml",
    *(".gitignore", ".gitattributes", ".dockerignore", ".ci", "requirements"),
    *("libs", "services", "tests", "benchmarks", "docs", "deploy", "examples"),
}
# Written in pieces, so that this file does not hold what it looks for.
FOREIGN_TEXT: Final = [
    *("registry." + "npmjs", "pypi.org/" + "simple", "files.python" + "hosted", "--index" + "-url", "--find" + "-links"),
    *("/ro" + "ot/", "/wo" + "rk/", "/tmp/pe" + "er", "/ho" + "me/", "/opt/" + "py", "/opt/" + "wheels"),
]
LINK: Final = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def tracked() -> list[Path]:
    """Return the files of the repository, relative to its root, without those that are deleted but not yet committed."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [Path(name) for name in listed.split("\0") if name and (ROOT / name).is_file()]


FILES: Final = tracked()
MODULES: Final = [path for path in FILES if path.suffix == ".py" and not path.stem.endswith("_pb2")]
PAGES: Final = [path for path in FILES if path.suffix == ".md"]


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse((ROOT / path).read_bytes())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_no_module_is_longer_than_the_house_allows() -> None:
    lengths = {path: len((ROOT / path).read_text().splitlines()) for path in MODULES}
    limits = {path: TEST_MODULE_LINES_MAX if path.parts[0] == "tests" else MODULE_LINES_MAX for path in MODULES}
    assert {str(path): length for path, length in lengths.items() if length > limits[path]} == {}


def test_every_function_fits_a_screen() -> None:
    too_long = [
        f"{path}:{function.lineno} {function.name}"
        for path in MODULES
        for function in functions(path)
        if (function.end_lineno or 0) - function.lineno >= FUNCTION_LINES_MAX
    ]
    assert too_long == []


def test_modules_and_rooms_are_named_after_what_they_hold() -> None:
    assert [str(path) for path in MODULES if BANNED_NAMES & {path.stem, *path.parts}] == []


def test_every_public_module_of_the_library_says_what_it_is() -> None:
    silent = [
        str(path)
        for path in MODULES
        if path.parts[0] in ("libs", "services") and ast.get_docstring(ast.parse((ROOT / path).read_bytes())) is None
    ]
    assert [path for path in silent if (ROOT / path).read_text().strip()] == []


def test_nothing_else_lies_on_top() -> None:
    assert {path.parts[0] for path in FILES} - TOP_LEVEL == set()


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = [target.partition("#")[0] for target in LINK.findall((ROOT / page).read_text())]
    inside = [target for target in targets if target and "://" not in target and not target.startswith("mailto:")]
    assert [target for target in inside if not (ROOT / page.parent / target).exists()] == []


def test_no_file_names_a_registry_or_a_machine() -> None:
    found = [
        f"{path}: {text}"
        for path in FILES
        for content in [(ROOT / path).read_bytes().decode(errors="replace")]
        for text in FOREIGN_TEXT
        if text in content
    ]
    assert found == []


def test_requirements_are_pinned_and_hashed() -> None:
    for path in FILES:
        if path.parts[0] == "requirements" and path.suffix == ".txt":
            for block in re.split(r"\n(?=\S)", (ROOT / path).read_text()):
                if not block.startswith("#"):
                    assert "==" in block.splitlines()[0], f"{path}: {block.splitlines()[0]}"
                    assert "--hash=sha256:" in block, f"{path}: {block.splitlines()[0]}"
