"""One server for all contract tests, and one endpoint for each SDK and way of reaching it."""

import uuid
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import httpx
import pytest

from tests.e2e.api import UNSET
from tests.e2e.conftest import running
from tests.e2e.endpoint import NODE_ROOM, Endpoint
from tests.e2e.processes import eventually
from tests.e2e.suite import Suite

PROGRAMS: Final = {"python": "tests.e2e.contract.services_py.app:app", "typescript": str(NODE_ROOM / "contract/app.mjs")}
MODES: Final = {"stream": {}, "exchange": {"HTTP_11": "1"}, "suspending": {"INACTIVITY_MS": "0"}}
"""A stream of HTTP/2; a request and its response of HTTP/1.1; and a suspension at every await that is not ready."""
VERSIONS: Final = {("python", "exchange"): 5, ("typescript", "exchange"): 6}
"""The highest version of the service protocol that an endpoint offers; 7 where nothing is said."""

V7: Final = {"PERDURE_INVOKER__EXPERIMENTAL_ENABLE_PROTOCOL_V7": "true", "RESTATE_EXPERIMENTAL_ENABLE_PROTOCOL_V7": "true"}


class Contract(NamedTuple):
    """The registered services of one SDK in one mode. A path is given in parts: service, key if it has one, handler."""

    suite: Suite
    endpoint: Endpoint
    deployment_id: str
    protocol_version: int

    @property
    def prefix(self) -> str:
        """What stands before the name of each service."""
        return self.endpoint.prefix

    def path(self, service: str, *rest: str) -> str:
        """Return the ingress path of a handler."""
        return "/" + "/".join((self.prefix + service, *rest))

    def call(self, *path: str, body: Any = UNSET, **options: Any) -> httpx.Response:
        """Call a handler and return whatever comes back."""
        return self.suite.call(self.path(*path), body, **options)

    def result(self, *path: str, body: Any = UNSET, **options: Any) -> Any:
        """Return the result of a call that must succeed."""
        return self.suite.result(self.path(*path), body, **options)

    def send(self, *path: str, body: Any = UNSET, **options: Any) -> str:
        """Send one-way and return the invocation id."""
        return self.suite.send(self.path(*path), body, **options)

    def operate(self, invocation_id: str, action: str, **parameters: str) -> httpx.Response:
        """Do what an operator does to one invocation: `cancel`, `kill`, `pause`, `resume`, `restart-as-new`, `purge`."""
        return self.suite.http.patch(f"{self.suite.admin_url}/invocations/{invocation_id}/{action}", params=parameters)

    def rows(self, statement: str) -> list[dict[str, Any]]:
        """Return what SQL answers."""
        return self.suite.rows(statement)

    def row(self, invocation_id: str) -> dict[str, Any]:
        """Return what SQL shows of an invocation, nothing if it is unknown."""
        return next(iter(self.rows(f"SELECT * FROM sys_invocation WHERE id = '{invocation_id}'")), {})

    def wait_for_status(self, invocation_id: str, *statuses: str) -> dict[str, Any]:
        """Wait until an invocation has one of `statuses` and return its row."""

        def probe() -> dict[str, Any] | None:
            row = self.row(invocation_id)
            return row if row.get("status") in statuses else None

        return eventually(probe, f"{invocation_id} becomes {statuses}") or {}

    def proxied(self, service: str, *rest: str, message: bytes, **more: Any) -> dict[str, Any]:
        """Return a request for `Proxy` to call a handler."""
        key = rest[0] if len(rest) == 2 else None
        return {
            "serviceName": self.prefix + service,
            "virtualObjectKey": key,
            "handlerName": rest[-1],
            "message": list(message),
            **more,
        }


@pytest.fixture(scope="session")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    """A server that pins invocations to version 7, of which all others know nothing by default."""
    yield from running(Suite(tmp_path_factory.mktemp("contract") / "data", env=V7))


@pytest.fixture(scope="session", params=[(sdk, mode) for sdk in PROGRAMS for mode in MODES], ids="-".join)
def contract(request: pytest.FixtureRequest, suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Contract]:
    """All services of the contract, of each SDK in each mode."""
    sdk, mode = request.param
    yield from serve(suite, sdk, mode, tmp_path_factory)


@pytest.fixture
def key() -> str:
    """A key that no other test uses."""
    return uuid.uuid4().hex[:12]


def serve(suite: Suite, sdk: str, mode: str, directories: pytest.TempPathFactory) -> Iterator[Contract]:
    """Start and register an endpoint, and stop it in the end."""
    prefix = f"{sdk.title()}{mode.title()}"
    version = VERSIONS.get((sdk, mode), 7)
    env = {**MODES[mode], "PROTOCOL_VERSION_MAX": str(version)}
    endpoint = Endpoint(PROGRAMS[sdk], directories.mktemp(prefix), prefix=prefix, env=env)
    try:
        endpoint.start()
        registered = suite.register(endpoint.url, use_http_11=mode == "exchange")
        yield Contract(suite, endpoint, registered["id"], version)
    finally:
        endpoint.stop()
