import asyncio
import json
import logging

import pytest
import structlog

from perdure.process.logging import configure, set_level


@pytest.fixture(autouse=True)
def restored() -> object:
    handlers, level = logging.getLogger().handlers, logging.getLogger().level
    yield
    structlog.reset_defaults()
    logging.getLogger().handlers, logging.getLogger().level = handlers, level


def printed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_is_json_with_the_event_its_keys_and_who_says_it(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json", role="admin", process_id="admin-1")
    structlog.get_logger("x").warning("lease_lost", partition=7, key=b"raw")
    (line,) = printed(capsys)
    assert line.pop("timestamp")
    assert line == {"event": "lease_lost", "level": "warning", "partition": 7, "key": "cmF3", "role": "admin", "process_id": "admin-1"}


def test_what_is_below_the_level_is_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    configure("warning", "json")
    structlog.get_logger("x").info("quiet")
    assert printed(capsys) == []


def test_the_level_changes_for_loggers_that_have_printed_already(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")
    log, bound = structlog.get_logger("x"), structlog.get_logger("x").bind(partition=7)
    log.debug("one")
    set_level("debug")
    log.debug("two")
    bound.debug("three")
    set_level("error")
    log.warning("four")
    bound.warning("five")
    log.error("six")
    assert [line["event"] for line in printed(capsys)] == ["two", "three", "six"]


def test_a_traceback_is_one_field_of_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")
    try:
        raise ValueError("broken")
    except ValueError:
        structlog.get_logger("x").exception("failed")
    (line,) = printed(capsys)
    assert str(line["exception"]).endswith("ValueError: broken")


def test_what_libraries_log_comes_in_the_same_form(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json", role="admin")
    logging.getLogger("uvicorn.error").error("port %d", 80)
    logging.getLogger("uvicorn.error").info("chatter")
    (line,) = printed(capsys)
    assert (line["event"], line["library"], line["message"], line["role"]) == ("library_message", "uvicorn.error", "port 80", "admin")


def test_work_that_was_cancelled_at_the_end_is_not_worth_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")
    for cancelled in (asyncio.CancelledError(), ValueError("broken")):
        logging.getLogger("uvicorn.error").error("Exception in ASGI application", exc_info=cancelled)
    (line,) = printed(capsys)
    assert str(line["exception"]).endswith("ValueError: broken")


def test_an_exception_on_the_console_is_a_plain_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "console")
    try:
        raise ValueError("broken")
    except ValueError:
        structlog.get_logger("x").exception("failed", name="you")
    lines = capsys.readouterr().err.splitlines()
    assert "name=you" in lines[0]
    assert (lines[1], lines[-1]) == ("Traceback (most recent call last):", "ValueError: broken")


def test_a_line_for_a_person_does_not_say_again_and_again_who_says_it(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "console", role="admin", process_id="admin-1")
    structlog.get_logger("x").warning("lease_lost", partition=7)
    line = capsys.readouterr().err
    assert "lease_lost" in line
    assert "partition=7" in line
    assert "admin" not in line
