"""An ingress with more callers than it may keep waiting: it turns the others away, does not grow, and lets in again when some leave."""

import socket
import uuid
from pathlib import Path

import httpx
import pytest

from tests.e2e.endpoint import Endpoint
from tests.e2e.processes import eventually
from tests.e2e.suite import Suite, ours_only

WAITING_MAX = 100
REFUSED = 2_000
GROWTH_BYTES_MAX = 8 * 1024 * 1024


def stuck_caller(suite: Suite) -> socket.socket:
    """Call a handler that waits for ever."""
    connection = socket.create_connection(("127.0.0.1", suite.ingress_port), timeout=10)
    body = f'"{uuid.uuid4().hex}"'
    head = f"POST /Contract/await_outside HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    connection.sendall(f"{head}{body}".encode())
    return connection


@ours_only
def test_callers_beyond_the_limit_are_turned_away_and_cost_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERDURE_INGRESS__CONCURRENT_REQUESTS_LIMIT", str(WAITING_MAX))
    endpoint, suite = Endpoint("tests.e2e.ingress_services:app", tmp_path), Suite(tmp_path / "data")
    callers: list[socket.socket] = []
    try:
        endpoint.start()
        suite.start()
        suite.register(endpoint.url)
        callers += [stuck_caller(suite) for _ in range(WAITING_MAX)]
        health = f"{suite.ingress_url}/restate/health"
        eventually(lambda: suite.http.get(health).status_code == 429, "the ingress is full")
        (ingress,) = suite.processes("ingress")
        before = ingress.memory_info().rss
        client = httpx.Client()
        for _ in range(REFUSED):
            answer = client.post(f"{suite.ingress_url}/Contract/echo", json="a")
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        client.close()
        assert ingress.memory_info().rss - before < GROWTH_BYTES_MAX
        callers.pop().close()
        eventually(lambda: suite.http.get(health).status_code == 200, "the place of a caller that left is free")
    finally:
        for caller in callers:
            caller.close()
        suite.close()
        endpoint.stop()
