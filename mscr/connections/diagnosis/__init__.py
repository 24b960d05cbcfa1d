"""The cause of an exception and its remedy, for whoever runs the program.

It imports no driver: errors are recognised by their codes, so that nothing is loaded for them.
"""

from collections.abc import Callable, Iterator
from typing import Final

from app.core.diagnosis.network import diagnose_end, diagnose_network
from app.core.diagnosis.pool import diagnose_pool
from app.core.diagnosis.postgresql import diagnose_postgresql
from app.core.diagnosis.redis import diagnose_redis
from app.core.diagnosis.smtp import diagnose_smtp
from app.core.diagnosis.sqlite import diagnose_sqlite
from app.core.diagnosis.types import Diagnosis, Service, first_line
from app.core.error_attributes import attribute

__all__ = ["Diagnosis", "Service", "chain", "diagnose", "first_line"]

Recogniser = Callable[[BaseException, Service], Diagnosis | None]

# The server's own error comes before the state of the connection.
_BY_PROTOCOL: Final[tuple[Recogniser, ...]] = (
    diagnose_postgresql,
    diagnose_sqlite,
    diagnose_redis,
    diagnose_smtp,
    diagnose_pool,
)
# A cause of a cause of a cause: no library wraps its errors deeper.
_DEPTH: Final = 12


def diagnose(error: BaseException, service: Service) -> Diagnosis | None:
    """Return what is wrong with the service and what to do, or None for a fault of the program.

    It has no secret in it: no part of a URL, and of a server's words only the first line.
    """
    errors = list(chain(error))
    for known in (_diagnosed, *_BY_PROTOCOL, diagnose_network, diagnose_end):
        for each in errors:
            if (found := _recognise(known, each, service)) is not None:
                return found
    return None


def _diagnosed(error: BaseException, _: Service) -> Diagnosis | None:
    """Return what an exception says of itself, in its attribute `diagnosis`."""
    found = attribute(error, "diagnosis")
    return found if isinstance(found, Diagnosis) else None


def _recognise(known: Recogniser, error: BaseException, service: Service) -> Diagnosis | None:
    try:
        return known(error, service)
    except Exception:  # noqa: BLE001  # texts and properties of exceptions may raise
        return None


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and what it was raised from, each once."""
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
    # SQLAlchemy's, and that of `limits`.
    wrapped = (attribute(error, "orig"), attribute(error, "storage_error"))
    origins = (*grouped, *wrapped, error.__cause__, context)
    return [origin for origin in origins if isinstance(origin, BaseException)]
