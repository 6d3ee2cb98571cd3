"""Services on the SDK of the seed era (TypeScript 0.8.1), and how they are called: with JSON at the paths of protobuf methods."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
import pytest

from tests.e2e.endpoint import NODE, Endpoint
from tests.e2e.processes import REPOSITORY, eventually
from tests.e2e.suite import Suite

ROOM: Final = REPOSITORY / "tests/e2e/node-seed"


class Seed(NamedTuple):
    """An endpoint of the era and the server that it is registered with, or will be."""

    suite: Suite
    endpoint: Endpoint
    prefix: str

    def post(self, method: str, body: Any, *, headers: dict[str, str] | None = None) -> httpx.Response:
        """Call `Service/method` of this endpoint with the JSON of its request."""
        return self.suite.call(f"/{self.prefix}.{method}", body, headers=headers)

    def result(self, method: str, body: Any) -> Any:
        """Return the JSON of the response of a call that must succeed."""
        return self.suite.result(f"/{self.prefix}.{method}", body)

    def rpc(self, method: str, request: Any = None, *, key: str | None = None) -> Any:
        """Return what a method of a router returns; None where it returns nothing."""
        return self.result(method, rpc_request(request, key)).get("response")

    def send(self, method: str, request: Any, *, key: str | None = None) -> str:
        """Start a method of a router without waiting; return the invocation id."""
        service, _, name = f"{self.prefix}.{method}".partition("/")
        body = {"service": service, "method": name, "argument": rpc_request(request, key)}
        return self.suite.result("/dev.restate.Ingress/Invoke", body)["id"]

    def awakeable(self, tag: str) -> str:
        """Wait for the id of an awakeable that a handler has told."""

        def find() -> str | None:
            return next((what for what in self.endpoint.effects(tag) if what.startswith("prom_1")), None)

        return eventually(find, f"awakeable of {tag}") or ""

    def resolve(self, awakeable_id: str, value: Any) -> None:
        """Resolve an awakeable through the built-in service."""
        assert self.suite.result("/dev.restate.Awakeables/Resolve", {"id": awakeable_id, "json_result": value}) == {}

    def end(self, invocation_id: str, mode: str) -> None:
        """Cancel or kill an invocation."""
        answer = self.suite.http.delete(f"{self.suite.admin_url}/invocations/{invocation_id}", params={"mode": mode})
        assert answer.status_code == 202, answer.text

    def operate(self, invocation_id: str, action: str) -> None:
        """Let an operator pause or resume an invocation."""
        answer = self.suite.http.patch(f"{self.suite.admin_url}/invocations/{invocation_id}/{action}")
        assert answer.status_code in (200, 202), answer.text

    def status(self, invocation_id: str) -> str | None:
        """Return the status of an invocation, as SQL tells it."""
        rows = self.suite.rows(f"select status from sys_invocation where id = '{invocation_id}'")
        return next((row["status"] for row in rows), None)

    def wait_for_sleep_of_callee(self, invocation_id: str) -> None:
        """Wait until who was called is known to sleep: in that era a cancellation that finds nothing to cancel comes to nothing."""
        callees = f"select id from sys_invocation where invoked_by_id = '{invocation_id}'"
        sleeps = f"select id from sys_journal where entry_type like '%Sleep' and id in ({callees})"
        eventually(lambda: self.suite.rows(sleeps), f"a callee of {invocation_id} sleeps")


def rpc_request(request: Any, key: str | None) -> dict[str, Any]:
    """Return the JSON of a request to a router."""
    body: dict[str, Any] = {} if key is None else {"key": key}
    return body if request is None else body | {"request": request}


@contextmanager
def serving(suite: Suite, directory: Path, prefix: str, *, edition: str = "", as_function: bool = False) -> Iterator[Seed]:
    """Serve an edition of the services under a prefix; as a function each request's body is an event for the SDK's Lambda handler."""
    if suite.peer:
        pytest.skip("the real server of today does not know protobuf services")
    if not (ROOM / "node_modules/@restatedev").exists() or not NODE.exists():
        pytest.skip("@restatedev/restate-sdk is not installed in tests/e2e/node-seed, or node is not in tests/e2e/node")
    env = {"EDITION": edition, **({"AS_FUNCTION": "1"} if as_function else {})}
    endpoint = Endpoint(str(ROOM / "app.mjs"), directory, prefix=prefix, env=env)
    try:
        endpoint.start()
        yield Seed(suite, endpoint, prefix)
    finally:
        endpoint.stop()
