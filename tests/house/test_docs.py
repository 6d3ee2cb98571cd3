"""The documentation is true where that can be checked: generated pages, and that no key, message, code or decision lacks its page."""

import re
from pathlib import Path

from docs.generate import REFERENCE, admin_page, configuration_page
from docs.sql_page import sql_page
from perdure.bus import messages
from perdure.bus.subjects import Subjects

REPOSITORY = Path(__file__).resolve().parents[2]
ERRORS = REPOSITORY / "docs" / "errors"
CODE = re.compile(r"\b(?:RT|META)\d{4}\b")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def codes_raised() -> set[str]:
    """Return the codes that the code base names in a string, that is, gives to users."""
    raised: set[str] = set()
    for folder in ("libs", "services"):
        for module in (REPOSITORY / folder).rglob("*.py"):
            raised |= set(re.findall(r'"((?:RT|META)\d{4})"', module.read_text()))
    return raised


def test_the_sql_page_is_what_the_code_says() -> None:
    assert (REFERENCE / "sql.md").read_text() == sql_page(), "run `make docs`"


def test_the_configuration_page_is_what_the_code_says() -> None:
    assert (REFERENCE / "configuration.md").read_text() == configuration_page(), "run `make docs`"


def test_the_page_of_the_admin_api_is_what_the_api_says_of_itself() -> None:
    assert (REFERENCE / "admin-api.md").read_text() == admin_page(), "run `make docs`"


def test_the_page_of_the_store_names_every_kind_of_key() -> None:
    words = set(re.findall(r'_text\("(\w+)"\)', (REPOSITORY / "libs/perdure/store/keyspace.py").read_text()))
    page = (REFERENCE / "store-layout.md").read_text()
    assert not {word for word in words if f"`{word}`" not in page}


def test_the_page_of_the_bus_names_every_subject_and_message() -> None:
    page = (REFERENCE / "bus.md").read_text()
    kinds = {name for name, kind in vars(messages).items() if isinstance(kind, type) and issubclass(kind, messages._Message)}
    subjects = {name for name in vars(Subjects) if not name.startswith("_")} - {"root"}
    assert not {name for name in kinds - {"_Message", "LiveInvocation"} if f"`{name}`" not in page}
    assert not {name for name in subjects if f"`perdure.{name}" not in page}


def test_every_code_that_users_can_meet_has_a_page_and_every_page_a_code() -> None:
    assert {page.stem for page in ERRORS.glob("*.md")} - {"README"} == codes_raised()


def test_the_list_of_errors_names_every_page() -> None:
    assert set(CODE.findall((ERRORS / "README.md").read_text())) == {page.stem for page in ERRORS.glob("*.md")} - {"README"}


def test_every_decision_is_listed() -> None:
    decisions = REPOSITORY / "docs" / "decisions"
    listed = set(LINK.findall((decisions / "README.md").read_text()))
    assert listed == {page.name for page in decisions.glob("*.md")} - {"README.md"}
