"""Structured logs: console text for people, one JSON object per line for machines."""

import json
import logging
import sys
import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import structlog
from pydantic_core import to_json
from structlog.stdlib import ProcessorFormatter

from mscr.core.config import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import EventDict, Processor, WrappedLogger


def add_timestamp(_logger: "WrappedLogger", _level: str, event: "EventDict") -> "EventDict":
    event["timestamp"] = timestamp()
    return event


def timestamp() -> str:
    """Return the current time in UTC, to the microsecond."""
    microseconds = time.time_ns() // 1000
    second = microseconds // 1_000_000
    # Slicing takes half of the time of a format with leading zeros.
    return f"{_text_of(second)}.{str(microseconds)[-6:]}Z"


@lru_cache(maxsize=2)
def _text_of(second: int) -> str:
    # Formatting a time takes a tenth of a line's time, so each second is formatted once.
    return datetime.fromtimestamp(second, UTC).replace(tzinfo=None).isoformat()


# `AccessLog` repeats these steps for its own lines.
_SHARED: Final["list[Processor]"] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    add_timestamp,
]
PROCESSORS: Final["list[Processor]"] = [*_SHARED, ProcessorFormatter.wrap_for_formatter]

# `json.dumps` with a `default` would create an encoder for each line.
_to_plain_json: Final["Callable[[Any], str]"] = json.JSONEncoder(default=repr).encode


def as_json(value: Any) -> str:
    """Return the value as the log shows it in JSON: in ASCII."""
    # A third of the time of `json`. It refuses what `json` escapes, such as lone surrogates.
    try:
        return to_json(value, ensure_ascii=True, fallback=repr).decode()
    except ValueError:
        return _to_plain_json(value)


class LineFormatter(ProcessorFormatter):
    """Format an event or a library's record as one JSON object, or as text for people."""

    def __init__(self, *, is_json: bool) -> None:
        self.is_json = is_json
        self.render: Callable[[EventDict], str] = as_json if is_json else _text_renderer()
        super().__init__(
            foreign_pre_chain=_SHARED,
            processors=[
                self.remove_processors_meta,
                # Plain tracebacks: the pretty ones print local variables, including passwords.
                structlog.processors.format_exc_info,
                lambda _logger, _level, event: self.render(event),
            ],
        )


def _text_renderer() -> "Callable[[EventDict], str]":
    renderer = structlog.dev.ConsoleRenderer(
        colors=sys.stdout.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    return lambda event: renderer(None, "", event)


def log_user(public_id: str) -> None:
    """Add the user to all further log lines of this request."""
    structlog.contextvars.bind_contextvars(user=public_id)


def configure_logging(settings: Settings) -> None:
    """Log the application's events and the libraries' records to standard output, in one format."""
    structlog.configure(
        processors=[*PROCESSORS],
        wrapper_class=structlog.make_filtering_bound_logger(_level(settings)),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    is_json = settings.is_production if settings.LOG_JSON is None else settings.LOG_JSON
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(LineFormatter(is_json=is_json))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(_level(settings))
    # At DEBUG, aiosqlite logs every statement with its values, including password hashes.
    logging.getLogger("aiosqlite").setLevel(logging.INFO)
    _take_over_uvicorn()


def _take_over_uvicorn() -> None:
    """Replace the handlers that uvicorn installs unless `python cli.py serve` started it."""
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
    # Our own access log has the request id, and omits the query, which may contain secrets.
    logging.getLogger("uvicorn.access").handlers = []
    logging.getLogger("uvicorn.access").propagate = False
    logging.getLogger("uvicorn.error").addFilter(_is_no_handshake)


def _is_no_handshake(record: logging.LogRecord) -> bool:
    """Drop uvicorn's lines about WebSocket handshakes: they include the query.

    Our access log has these handshakes too.
    """
    return '"WebSocket %s"' not in str(record.msg)


def loggable(text: str) -> str:
    """Escape control characters, to prevent log injection (ASVS v16.4.1)."""
    if text.isascii() and text.isprintable() and "\\" not in text:
        return text
    return text.encode("unicode_escape").decode("ascii")


def _level(settings: Settings) -> int:
    name = "DEBUG" if settings.DEBUG else settings.LOG_LEVEL
    return logging.getLevelNamesMapping()[name]
