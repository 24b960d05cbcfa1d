"""Diagnose an exhausted connection pool: SQLAlchemy's, in this process."""

from mscr.connections.diagnosis.types import Diagnosis, Service


def diagnose_pool(error: BaseException, service: Service) -> Diagnosis | None:
    if (type(error).__module__, type(error).__name__) != ("sqlalchemy.exc", "TimeoutError"):
        return None
    return Diagnosis("every connection of the pool was in use for too long", service.pool)
