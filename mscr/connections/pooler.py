"""How a pooler between the application and PostgreSQL assigns server connections."""

from enum import Enum as PyEnum

from app.core.diagnosis.types import Diagnosis


class Pooler(str, PyEnum):
    """By the names of PgBouncer's `pool_mode`."""

    NONE = "none"
    SESSION = "session"
    TRANSACTION = "transaction"


class PoolerError(ConnectionError):
    """The pooler in front of the database is not as declared, or assigns no server connection."""

    def __init__(self, detail: str, remedy: str) -> None:
        super().__init__(f"{detail}; {remedy}")
        self.diagnosis = Diagnosis(detail, remedy)
