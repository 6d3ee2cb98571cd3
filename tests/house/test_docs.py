"""The documentation is true where that can be checked: generated pages, links, error codes."""

import re
from pathlib import Path

from docs.generate import REFERENCE, configuration_page

REPOSITORY = Path(__file__).resolve().parents[2]
ERRORS = REPOSITORY / "docs" / "errors"
CODE = re.compile(r"\b(?:RT|META)\d{4}\b")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def pages() -> list[Path]:
    """Return every page that is ours."""
    found = [*REPOSITORY.glob("*.md")]
    for folder in ("docs", "libs", "services", "examples", "benchmarks", "deploy"):
        found += (page for page in (REPOSITORY / folder).rglob("*.md") if "node_modules" not in page.parts)
    return found


def codes_raised() -> set[str]:
    """Return the codes that the code base names in a string, that is, gives to users."""
    raised: set[str] = set()
    for folder in ("libs", "services"):
        for module in (REPOSITORY / folder).rglob("*.py"):
            raised |= set(re.findall(r'"((?:RT|META)\d{4})"', module.read_text()))
    return raised


def test_the_configuration_page_is_what_the_code_says() -> None:
    assert (REFERENCE / "configuration.md").read_text() == configuration_page(), "run `make docs`"


def test_every_link_to_a_file_leads_somewhere() -> None:
    dead = [
        f"{page.relative_to(REPOSITORY)}: {target}"
        for page in pages()
        for target in LINK.findall(page.read_text())
        if "://" not in target and not target.startswith("#") and not (page.parent / target.partition("#")[0]).exists()
    ]
    assert not dead


def test_every_code_that_users_can_meet_has_a_page_and_every_page_a_code() -> None:
    assert {page.stem for page in ERRORS.glob("*.md")} - {"README"} == codes_raised()


def test_the_list_of_errors_names_every_page() -> None:
    assert set(CODE.findall((ERRORS / "README.md").read_text())) == {page.stem for page in ERRORS.glob("*.md")} - {"README"}


def test_every_decision_is_listed() -> None:
    decisions = REPOSITORY / "docs" / "decisions"
    listed = set(LINK.findall((decisions / "README.md").read_text()))
    assert listed == {page.name for page in decisions.glob("*.md")} - {"README.md"}
