"""The description of the admin API holds: it is valid, and whatever is made up after it is answered as it says, and never by a crash."""

from collections.abc import Iterator
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from openapi_spec_validator import validate
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from services.admin.context import SERVER_VERSION
from services.admin.openapi import openapi_document
from tests.e2e.endpoint import Endpoint
from tests.e2e.suite import Suite, ours_only

EXAMPLES_MAX: Final = 5
PREFIX: Final = "Described"
pytestmark = ours_only
REFUSED_STATEMENT: Final = "Datafusion error: "
"""What clients know as the beginning of a 500: a statement that cannot be planned."""


def not_a_crash(context: Any, response: Any, case: Any) -> bool | None:
    """Refuse every 500 but that of a statement."""
    if case.path == "/query" and response.status_code == 500 and response.json()["message"].startswith(REFUSED_STATEMENT):
        return None
    return not_a_server_error(context, response, case)


HELD: Final = [not_a_crash, status_code_conformance, content_type_conformance, response_schema_conformance]
description = schemathesis.openapi.from_dict(openapi_document(SERVER_VERSION))


@pytest.fixture(scope="module")
def mine(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """An endpoint that registrations lead to."""
    endpoint = Endpoint("tests.e2e.services:app", tmp_path_factory.mktemp("openapi"), prefix=PREFIX)
    try:
        endpoint.start()
        yield endpoint
    finally:
        endpoint.stop()


@pytest.fixture
def known(suite: Suite, mine: Endpoint) -> dict[str, str]:
    """What exists, by the name of the parameter that stands for it."""
    deployment = suite.register(mine.url)["id"]
    invocation = suite.send(f"/{PREFIX}Greeter/greet", "Ada")
    suite.attach(invocation)
    return {"deployment": deployment, "service": f"{PREFIX}Counter", "handler": "add", "invocation_id": invocation}


def test_the_description_is_valid_openapi(suite: Suite) -> None:
    served = suite.http.get(f"{suite.admin_url}/openapi").json()
    validate(served)
    assert served == openapi_document(SERVER_VERSION)


@pytest.mark.parametrize("names_what_exists", [False, True])
@description.parametrize()
@settings(max_examples=EXAMPLES_MAX, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
def test_made_up_requests_are_answered_as_described(
    case: Any, suite: Suite, mine: Endpoint, known: dict[str, str], names_what_exists: bool
) -> None:
    if names_what_exists and not known.keys() & case.path_parameters.keys():
        pytest.skip("the path names nothing")
    if isinstance(case.body, dict) and {"uri", "arn"} & case.body.keys():
        # Nobody is at an address that is made up, and this machine has no account of Google: that is a 500 as clients know it.
        case.body |= {"uri": mine.url, "arn": None} | ({"auth": None} if "auth" in case.body else {})
    if names_what_exists:
        case.path_parameters |= {name: known.get(name, value) for name, value in case.path_parameters.items()}
    case.call_and_validate(base_url=suite.admin_url, checks=HELD)
