"""Structured logs: a constant event name, then keys. JSON on standard error, readable lines on a terminal."""

import asyncio
import logging
import sys
from typing import Any, Final

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_encoder: Final = msgspec.json.Encoder(enc_hook=repr)


class _Logger(structlog.make_filtering_bound_logger(logging.DEBUG)):
    """The class of all loggers of this process; `set_level` changes its methods, also for those that are bound already."""


def configure(level: str, log_format: str, **bound: str) -> None:
    """Set up structlog and what libraries send to the standard library's logging.

    Args:
        level: `debug`, `info`, `warning` or `error`; calls below it cost next to nothing.
        log_format: `json`, `console`, or `auto`: console if standard error is a terminal.
        bound: Keys that every line of JSON carries, as `role` and `process_id`. On a console, where a person reads, whoever
            started the process says them once.
    """
    is_console = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    structlog.configure(
        processors=[structlog.processors.add_log_level, *(_console() if is_console else [_bind(bound), *_json()])],
        wrapper_class=_Logger,
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.getLogger().handlers = [_LibraryHandler()]
    set_level(level)


def set_level(level: str) -> None:
    """Let every logger of this process print from another level on; calls below it cost next to nothing."""
    for name, method in vars(structlog.make_filtering_bound_logger(_LEVELS[level])).items():
        if not name.startswith("__"):
            setattr(_Logger, name, method)
    logging.getLogger().setLevel(max(_LEVELS[level], logging.WARNING))


def _json() -> list[Processor]:
    return [
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(serializer=_encode),
    ]


def _console() -> list[Processor]:
    # The plain formatter: the default one imports rich where it is installed, 5 MB and 80 ms per process.
    return [
        structlog.processors.TimeStamper(fmt="%H:%M:%S.%f", utc=False),
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback),
    ]


def _encode(event: EventDict, **_: Any) -> str:  # structlog hands in json.dumps' options
    return _encoder.encode(event).decode()


def _bind(bound: dict[str, str]) -> Processor:
    def add(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        for key, value in bound.items():
            event.setdefault(key, value)
        return event

    return add


class _LibraryHandler(logging.Handler):
    """Bring records of the standard library's logging into the same stream, but for work that was cancelled because the process ends."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError):
            return
        structlog.get_logger().log(
            record.levelno, "library_message", library=record.name, message=record.getMessage(), exc_info=record.exc_info
        )
