"""Handlers called from a page in a browser, over gRPC-Web and Connect, by the official clients for the web."""

from pathlib import Path

import pytest

from tests.e2e.browser import BROWSER, DRIVER
from tests.e2e.conftest import Services
from tests.e2e.rpc_browser import TRANSPORTS, connect_in_browser
from tests.e2e.rpc_clients import Reflected


def test_a_page_of_another_origin_calls_handlers_and_reads_failures(http2: Services, tmp_path: Path, tag: str) -> None:
    if http2.suite.peer:
        pytest.skip("the real server speaks neither gRPC nor Connect at its ingress")
    if BROWSER is None or DRIVER is None:
        pytest.skip("chromium is not installed")
    client = Reflected(http2.suite.ingress_port)
    files = client.files_of("Counter", "Failing")
    client.close()
    calls = [("Counter", "add", {"key": tag, "body": "1"}), ("Failing", "refuse", {"body": "x"})]
    ended = connect_in_browser(
        http2.suite.ingress_url,
        files,
        [
            {"transport": transport, "service": service, "method": method, "request": request, "headers": {"x-who": "Ada"}}
            for transport in TRANSPORTS
            for service, method, request in calls
        ],
        tmp_path,
    )
    assert [each.get("message") for each in ended[::2]] == [{"body": str(count)} for count in (1, 2, 3)], ended
    assert [(each["code"], each["details"]) for each in ended[1::2]] == [("Unknown", ["google.rpc.ErrorInfo"])] * 3
    assert all(each["metadata"]["x-restate-id"].startswith("inv_1") for each in ended)
