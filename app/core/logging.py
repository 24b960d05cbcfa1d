"""Structured logs: console text for people, one JSON object a line for machines."""

import logging
import sys
from typing import TYPE_CHECKING

from app.core.config import Settings
from app.core.hidden_modules import hidden

if TYPE_CHECKING:
    from structlog.typing import Processor

# For tracebacks with local variables, passwords among them, it loads rich where that is installed,
# as for the command line: 5 MB of every worker. Where another module imports structlog before this
# one does, `make check` counts rich.
with hidden("rich"):
    import structlog


def log_user(public_id: str) -> None:
    """Name the user in every line of this request that is logged from here on."""
    structlog.contextvars.bind_contextvars(user=public_id)


def configure_logging(settings: Settings) -> None:
    """Send our events and every library's records to standard output in one format."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(_level(settings)),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    as_json = settings.is_production if settings.LOG_JSON is None else settings.LOG_JSON
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            # Plain tracebacks: the pretty ones print local variables, passwords among them.
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer()
            if as_json
            else structlog.dev.ConsoleRenderer(
                colors=sys.stdout.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ],
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(_level(settings))
    # Below this it tells every statement with its values, password hashes among them.
    logging.getLogger("aiosqlite").setLevel(logging.INFO)
    _take_over_uvicorn()


def _take_over_uvicorn() -> None:
    """Replace the handlers that uvicorn brings along unless `python cli.py serve` started it."""
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
    # Our own access log has the request id, and leaves out the query, where secrets may be.
    logging.getLogger("uvicorn.access").handlers = []
    logging.getLogger("uvicorn.access").propagate = False
    logging.getLogger("uvicorn.error").addFilter(_is_no_handshake)


def _is_no_handshake(record: logging.LogRecord) -> bool:
    """Leave out uvicorn's lines about WebSockets, with the query; our access log has them too."""
    return '"WebSocket %s"' not in str(record.msg)


def loggable(text: str) -> str:
    """`text` without control characters, so that input forges no log line (ASVS v16.4.1)."""
    return text.encode("unicode_escape").decode("ascii")


def _level(settings: Settings) -> int:
    name = "DEBUG" if settings.DEBUG else settings.LOG_LEVEL
    return logging.getLevelNamesMapping()[name]
