import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from perdure.process.access_log import AccessLog

SCOPE = {
    "type": "http",
    "http_version": "1.1",
    "method": "POST",
    "path": "/Greeter/greet",
    "query_string": b"token=secret",
    "client": ("10.0.0.9", 50_000),
}


async def no_message() -> dict[str, Any]:
    return {"type": "http.disconnect"}


def lines_of(app: Any) -> tuple[list[Any], list[dict[str, Any]]]:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    with capture_logs() as lines:
        asyncio.run(AccessLog(app)(SCOPE, no_message, send))
    return lines, sent


def test_a_line_tells_what_was_asked_and_answered_and_no_secret() -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-restate-id", b"inv_1")]})
        await send({"type": "http.response.body", "body": b"1234", "more_body": True})
        await send({"type": "http.response.body", "body": b"56"})

    (line,), sent = lines_of(app)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body", "http.response.body"]
    assert line.pop("duration_ms") >= 0
    assert line == {
        "event": "request",
        "log_level": "info",
        "method": "POST",
        "path": "/Greeter/greet",
        "status": 200,
        "response_bytes": 6,
        "remote_address": "10.0.0.9",
        "http_version": "1.1",
        "invocation_id": "inv_1",
    }


def test_a_client_that_left_is_logged_as_499() -> None:
    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        return

    (line,), _ = lines_of(app)
    assert (line["status"], line["response_bytes"]) == (499, 0)
    assert "invocation_id" not in line


def test_an_application_that_fails_is_logged_and_still_fails() -> None:
    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        raise RuntimeError("broken")

    with capture_logs() as lines, pytest.raises(RuntimeError, match="broken"):
        asyncio.run(AccessLog(app)(SCOPE, no_message, no_message))  # type: ignore[arg-type]
    assert len(lines) == 1
