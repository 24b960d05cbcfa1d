"""How a pooler between the application and PostgreSQL assigns server connections."""

from enum import Enum as PyEnum

from mscr.connections.diagnosis.types import Diagnosis


class Pooler(str, PyEnum):
    """The values of DATABASE_POOLER, named after PgBouncer's `pool_mode`."""

    NONE = "none"
    SESSION = "session"
    TRANSACTION = "transaction"


class PoolerError(ConnectionError):
    """The pooler differs from DATABASE_POOLER, or assigned no server connection in time."""

    def __init__(self, detail: str, remedy: str) -> None:
        super().__init__(f"{detail}; {remedy}")
        self.diagnosis = Diagnosis(detail, remedy)
