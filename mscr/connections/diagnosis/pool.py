"""A pool of connections in the program itself that had none left: SQLAlchemy's."""

from app.core.diagnosis.types import Diagnosis, Service


def diagnose_pool(error: BaseException, service: Service) -> Diagnosis | None:
    if (type(error).__module__, type(error).__name__) != ("sqlalchemy.exc", "TimeoutError"):
        return None
    return Diagnosis("every connection of the pool was in use for too long", service.pool)
