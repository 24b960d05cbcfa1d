"""Diagnose exceptions of backing services: find the cause and the remedy, for operators.

No driver is imported: errors are recognised by their codes.
"""

from collections.abc import Callable, Iterator
from typing import Final

from mscr.connections.diagnosis.network import diagnose_end, diagnose_network
from mscr.connections.diagnosis.pool import diagnose_pool
from mscr.connections.diagnosis.postgresql import diagnose_postgresql
from mscr.connections.diagnosis.redis import diagnose_redis
from mscr.connections.diagnosis.smtp import diagnose_smtp
from mscr.connections.diagnosis.sqlite import diagnose_sqlite
from mscr.connections.diagnosis.types import Diagnosis, Service, first_line
from mscr.connections.error_attributes import attribute

__all__ = ["Diagnosis", "Service", "chain", "diagnose", "first_line"]

Recogniser = Callable[[BaseException, Service], Diagnosis | None]

# The server's own error takes precedence over the state of the connection.
_BY_PROTOCOL: Final[tuple[Recogniser, ...]] = (
    diagnose_postgresql,
    diagnose_sqlite,
    diagnose_redis,
    diagnose_smtp,
    diagnose_pool,
)
# Most errors of a chain that are examined. No library nests its errors deeper.
_DEPTH: Final = 12


def diagnose(error: BaseException, service: Service) -> Diagnosis | None:
    """Return the service's fault and its remedy, or None if the program itself is at fault.

    The diagnosis contains no secret: no part of a URL, and only the first line of a server's
    message.
    """
    errors = list(chain(error))
    for known in (_diagnosed, *_BY_PROTOCOL, diagnose_network, diagnose_end):
        for each in errors:
            if (found := _recognise(known, each, service)) is not None:
                return found
    return None


def _diagnosed(error: BaseException, _: Service) -> Diagnosis | None:
    """Return the diagnosis that an exception carries in its attribute `diagnosis`."""
    found = attribute(error, "diagnosis")
    return found if isinstance(found, Diagnosis) else None


def _recognise(known: Recogniser, error: BaseException, service: Service) -> Diagnosis | None:
    try:
        return known(error, service)
    except Exception:  # noqa: BLE001  # texts and properties of exceptions may raise
        return None


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and the errors that it wraps or was raised from, each once."""
    seen: list[BaseException] = []
    waiting: list[BaseException] = [error]
    while waiting and len(seen) < _DEPTH:
        current = waiting.pop(0)
        if any(current is other for other in seen):
            continue
        seen.append(current)
        yield current
        waiting += _origins(current)


def _origins(error: BaseException) -> list[BaseException]:
    context = None if error.__suppress_context__ else error.__context__
    grouped = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    # `orig` is SQLAlchemy's attribute, `storage_error` that of `limits`.
    wrapped = (attribute(error, "orig"), attribute(error, "storage_error"))
    origins = (*grouped, *wrapped, error.__cause__, context)
    return [origin for origin in origins if isinstance(origin, BaseException)]
