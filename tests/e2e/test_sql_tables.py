"""Every table over known activity, statement by statement as the real server shows it.

`sql_answers.json` is what it showed; `sql_activity.py` records it anew, and is the activity.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.endpoint import Endpoint
from tests.e2e.sql_activity import ANSWERS, Activity, statements
from tests.e2e.suite import Suite


@pytest.fixture(scope="module")
def activity(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Activity]:
    directory: Path = tmp_path_factory.mktemp("activity")
    suite, endpoint = Suite(directory / "data"), Endpoint("tests.e2e.sql_services:app", directory)
    try:
        suite.start()
        endpoint.start()
        running = Activity(suite, endpoint)
        running.start()
        yield running
    finally:
        endpoint.stop()
        suite.close()


@pytest.mark.parametrize("statement", statements())
def test_a_statement_shows_what_the_real_server_shows(activity: Activity, statement: str) -> None:
    assert activity.answer(statement) == json.loads(ANSWERS.read_text())[statement]
