"""How `perdure status` writes partitions, and what the commands say where no node port answers."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from click.testing import CliRunner

from perdure.cli.main import commands
from perdure.cli.node import _partition_rows, run_status
from perdure.model.suite_status import PartitionStatus


def partition(number: int, owner: str = "invoker-a", lag_ms: int | None = 0, moved_to: str = "") -> PartitionStatus:
    return PartitionStatus(partition=number, owner=owner, epoch=1, lag_ms=lag_ms, moved_to=moved_to)


def rows(*partitions: PartitionStatus) -> list[tuple[object, ...]]:
    return [tuple(row) for row in _partition_rows(partitions)]


def test_partitions_of_one_owner_are_one_row_with_the_longest_lag() -> None:
    found = rows(partition(0), partition(1, lag_ms=7), partition(2), partition(4), partition(6), partition(7))
    assert found == [("0-2,4,6-7", "invoker-a", 1, "7 ms", "-")]


def test_what_differs_has_a_row_of_its_own() -> None:
    found = rows(partition(0), partition(1, owner="", lag_ms=None), partition(2, moved_to="invoker-a"), partition(3))
    assert found == [("0,3", "invoker-a", 1, "0 ms", "-"), ("1", "-", 1, "?", "-"), ("2", "invoker-a", 1, "0 ms", "invoker-a")]


@contextmanager
def a_server(status: int, body: bytes) -> Iterator[str]:
    """Answer every request in the same way."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (404, b"", "GET /status was answered with 404"),
        (200, b"<html>", "GET /status was not answered as a node port does"),
        (200, b"{}", "GET /status was not answered as a node port does"),
    ],
)
def test_a_port_of_something_else_is_named(capsys: pytest.CaptureFixture[str], status: int, body: bytes, reason: str) -> None:
    with a_server(status, body) as url:
        assert run_status(url) == 2
    assert capsys.readouterr().err == f"perdure: {url}: {reason}; --node names the node port of a running suite\n"


def test_an_address_that_is_none_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_status("ftp://localhost") == 2
    assert capsys.readouterr().err.startswith("perdure: ftp://localhost: it begins with neither http:// nor https://")


def test_nobody_waits_for_less_than_no_time() -> None:
    result = CliRunner().invoke(commands, ["drain", "invoker-1", "--within", "-1"])
    assert result.exit_code == 2
    assert "--within" in result.output
