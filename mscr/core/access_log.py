"""The access log: one line for each request, without the steps of other lines."""

import logging
from contextlib import nullcontext
from typing import Any, TextIO

import structlog
from structlog.contextvars import merge_contextvars

from mscr.core.logging import PROCESSORS, LineFormatter, add_timestamp


class AccessLog:
    """Write the lines that structlog's logger of this name would write at the level INFO.

    They skip its steps, and are no records of `logging`. With another handler, a filter or another
    configuration of structlog, structlog writes them, so that each of these sees them.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._logger = logging.getLogger(name)
        self._structlog = structlog.get_logger(name)

    def write(self, event: str, **fields: Any) -> None:
        output = self._only_output()
        if output is None:
            self._structlog.info(event, **fields)
            return
        handler, formatter = output
        fields["event"] = event
        merge_contextvars(self._logger, "info", fields)
        fields["level"] = "info"
        fields["logger"] = self._name
        add_timestamp(self._logger, "info", fields)
        with handler.lock or nullcontext():
            try:
                # In one call, so that lines of several processes do not mix.
                handler.stream.write(formatter.render(fields) + handler.terminator)
                # A crash must lose none.
                handler.stream.flush()
            except Exception:  # noqa: BLE001  # as `logging` does: a full disk must fail no request
                handler.handleError(logging.makeLogRecord({"msg": fields}))

    def _only_output(self) -> tuple[logging.StreamHandler[TextIO], LineFormatter] | None:
        """Return what `configure_logging` has set up, or None if anything else would see a line."""
        mine, root = self._logger, logging.root
        if (
            mine.parent is root
            and mine.propagate
            and len(root.handlers) == 1
            # No subclass: it may write in another way.
            and type(handler := root.handlers[0]) is logging.StreamHandler
            and type(formatter := handler.formatter) is LineFormatter
            and handler.level <= logging.INFO
            and mine.isEnabledFor(logging.INFO)
            and not (mine.handlers or mine.filters or handler.filters)
            and structlog.get_config()["processors"] == PROCESSORS
        ):
            return handler, formatter
        return None
