"""The access log: one line for each request, without the steps of other lines."""

import logging
import os
from codecs import lookup
from contextlib import nullcontext
from contextvars import ContextVar
from functools import lru_cache
from io import TextIOWrapper
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, Final, TextIO

import structlog
from structlog.contextvars import merge_contextvars

from mscr.core.logging import PROCESSORS, LineFormatter, add_timestamp, as_json, loggable, timestamp

# The variables that `bind_contextvars` has made in this process, by `structlog_` and their names.
# Looking for them in the context, which has many others, takes three times as long.
_BINDABLE: Final[dict[str, ContextVar[Any]]] = structlog.contextvars._CONTEXT_VARS  # noqa: SLF001  # not public
_PREFIX: Final = structlog.contextvars.STRUCTLOG_KEY_PREFIX

# The fields of a line. They hide values that are bound by these names, as in other lines.
_FIELDS: Final = frozenset(
    {"method", "path", "route", "status", "duration_ms", "client", "event"}
    | {"level", "logger", "timestamp"}
)
# Lines are ASCII, which these encode as itself.
_ENCODINGS: Final = {"ascii", "utf-8", "iso8859-1"}


class AccessLog:
    """Write the lines that structlog's logger of this name would write at the level INFO.

    They skip its steps, and are no records of `logging`. With another handler, a filter or another
    configuration of structlog, structlog writes them, so that each of these sees them.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._logger = logging.getLogger(name)
        self._structlog = structlog.get_logger(name)
        self._end = f',"level":"info","logger":{quoted(name)},"timestamp":"'
        self._bindable_count = 0
        self._bindable: list[tuple[str, ContextVar[Any]]] = []
        # The stream of the last line, and whether lines can be written to its descriptor.
        self._latest: TextIO | None = None
        self._is_direct = False

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
        _write(handler, formatter.render(fields) + handler.terminator)

    def write_request(
        self,
        *,
        method: str,
        path: str,
        route: str | None,
        status: int | None,
        seconds: float,
        client: str | None,
    ) -> None:
        """Write the line of a request, as `write` does, in two thirds of the time.

        JSON is composed of parts. Each function that is not called here is code that need not be
        loaded into the processor's caches, nor evicts that of the next request.
        """
        tenths = int(seconds * 10_000 + 0.5)
        output = self._only_output()
        if output is None or not output[1].is_json:
            self.write(
                "request",
                method=method,
                path=path,
                route=route,
                status=status,
                duration_ms=tenths / 10,
                client=client and loggable(client),
            )
            return
        handler = output[0]
        before, between = _parts(method, route, status)
        line = (
            f"{before}{quoted(path)}{between}{tenths // 10}.{tenths % 10}{_client_part(client)}"
            f'{self._bound()}{self._end}{timestamp()}"}}{handler.terminator}'
        )
        stream = handler.stream
        if stream is not self._latest:
            self._latest, self._is_direct = stream, _takes_ascii(stream)
        if not self._is_direct:
            _write(handler, line)
            return
        try:
            # In one call, so that lines of several processes do not mix.
            written = os.write(stream.fileno(), line.encode())
        except (OSError, ValueError):
            handler.handleError(logging.makeLogRecord({"msg": line}))
        else:
            if written < len(line):
                # A signal came while a full pipe was written to.
                _write(handler, line[written:])

    def _bound(self) -> str:
        """Return what is bound to the context, as members of a JSON object after commas."""
        if self._bindable_count != len(_BINDABLE):
            self._bindable_count = len(_BINDABLE)
            named = {name.removeprefix(_PREFIX): each for name, each in _BINDABLE.items()}
            self._bindable = [
                (f",{quoted(name)}:", each) for name, each in named.items() if name not in _FIELDS
            ]
        found = ""
        for before, variable in self._bindable:
            value = variable.get(...)
            if value is not ...:
                found += before + (quoted(value) if type(value) is str else as_json(value))
        return found

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


@lru_cache(maxsize=512)
def _parts(method: str, route: str | None, status: int | None) -> tuple[str, str]:
    """Return what is before the path, and between it and the duration."""
    return (
        f'{{"method":{as_json(method)},"path":',
        f',"route":{as_json(route)},"status":{as_json(status)},"duration_ms":',
    )


@lru_cache(maxsize=1024)
def _client_part(client: str | None) -> str:
    return f',"client":{as_json(client and loggable(client))},"event":"request"'


def _takes_ascii(stream: TextIO) -> bool:
    """Return whether the stream has a descriptor, encodes ASCII as itself and keeps line ends."""
    if type(stream) is not TextIOWrapper or lookup(stream.encoding).name not in _ENCODINGS:
        return False
    try:
        stream.fileno()
    except (OSError, ValueError):
        return False
    return os.linesep == "\n"


def _write(handler: logging.StreamHandler[TextIO], line: str) -> None:
    with handler.lock or nullcontext():
        try:
            # In one call, so that lines of several processes do not mix.
            handler.stream.write(line)
            # A crash must lose none.
            handler.stream.flush()
        except Exception:  # noqa: BLE001  # as `logging` does: a full disk must fail no request
            handler.handleError(logging.makeLogRecord({"msg": line}))
