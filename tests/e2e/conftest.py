"""Fixtures of the end-to-end tests: a shared server, one of one's own, and SDK endpoints over each transport."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.e2e.endpoint import NODE_ROOM, Endpoint
from tests.e2e.rpc_clients import Reflected
from tests.e2e.sql_process import sql, start_sql
from tests.e2e.suite import Suite

__all__ = ["sql", "start_sql"]


class Services(NamedTuple):
    """Registered services: the server, the endpoint, and what stands before each service's name."""

    suite: Suite
    endpoint: Endpoint
    prefix: str

    def path(self, service: str, *rest: str) -> str:
        """Return the ingress path of a handler, `path("Counter", "key", "add")`."""
        return "/" + "/".join((self.prefix + service, *rest))


@pytest.fixture(scope="session")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    """A server that many tests share; none of them may kill any of it."""
    yield from running(Suite(tmp_path_factory.mktemp("shared") / "data"))


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """The Python services over HTTP/1.1 on a server of the module's own: what it counts is what the module did."""
    for suite in running(Suite(tmp_path_factory.mktemp("fresh") / "data")):
        for endpoint in _served(Endpoint("tests.e2e.services:app", tmp_path_factory.mktemp("services"))):
            suite.register(endpoint.url, use_http_11=True)
            yield Services(suite, endpoint, "")


@pytest.fixture(scope="module")
def client(suite: Suite) -> Iterator[Reflected]:
    """A client of the shared server that knows of services what reflection tells."""
    if suite.peer:
        pytest.skip("the real server speaks neither gRPC nor Connect at its ingress")
    reflected = Reflected(suite.ingress_port)
    yield reflected
    reflected.close()


@pytest.fixture
def own_suite(tmp_path: Path) -> Iterator[Suite]:
    """A server of the test's own, to be killed and restarted."""
    yield from running(Suite(tmp_path / "data"))


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """The Python services under hypercorn, registered nowhere yet."""
    yield from _served(Endpoint("tests.e2e.services:app", tmp_path_factory.mktemp("python")))


@pytest.fixture(scope="session")
def http2(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """The Python services, registered with the shared server, reached by bidirectional streams of HTTP/2."""
    for running in _served(Endpoint("tests.e2e.services:app", tmp_path_factory.mktemp("http2"))):
        suite.register(running.url)
        yield Services(suite, running, "")


@pytest.fixture(scope="session")
def http11(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """The same, reached by requests and responses of HTTP/1.1."""
    for running in _served(Endpoint("tests.e2e.services:app", tmp_path_factory.mktemp("http11"), prefix="H1")):
        suite.register(running.url, use_http_11=True)
        yield Services(suite, running, "H1")


@pytest.fixture(params=["http2", "http11"])
def services(request: pytest.FixtureRequest) -> Services:
    """The Python services over each of the two transports."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def typescript(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """The TypeScript services, registered with the shared server."""
    for running in _served(Endpoint(str(NODE_ROOM / "app.mjs"), tmp_path_factory.mktemp("node"), prefix="Ts")):
        suite.register(running.url)
        yield Services(suite, running, "Ts")


@pytest.fixture(scope="session")
def contract_services(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    """The shared server with the services that the ingress's tests call."""
    for running in _served(Endpoint("tests.e2e.ingress_services:app", tmp_path_factory.mktemp("contract"))):
        suite.register(running.url)
        yield suite


@pytest.fixture
def tag() -> str:
    """A key that no other test uses."""
    return uuid.uuid4().hex[:12]


def running(suite: Suite) -> Iterator[Suite]:
    """Start a server, and stop it in the end."""
    try:
        suite.start()
        yield suite
    finally:
        suite.close()


def _served(endpoint: Endpoint) -> Iterator[Endpoint]:
    try:
        endpoint.start()
        yield endpoint
    finally:
        endpoint.stop()
