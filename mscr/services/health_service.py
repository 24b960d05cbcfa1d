from datetime import timedelta
from typing import Final

from app.core.exceptions import ServiceUnavailableError
from app.core.single_flight import SingleFlight
from app.db.schema_check import SchemaState
from app.repositories.health_repository import HealthRepository

# Shorter than the patience of the usual probes.
READY_DEADLINE: Final = timedelta(seconds=2)


class HealthService:
    """Probes at the same time share one look at the database, through `flight`."""

    def __init__(self, repo: HealthRepository, *, flight: SingleFlight[SchemaState]) -> None:
        self._repo = repo
        self._flight = flight

    async def check_ready(self) -> None:
        """Raises `ServiceUnavailableError` when the database does not answer, or is too old.

        Other errors of the database are answered with 503 as everywhere.
        """
        try:
            schema = await self._flight.run(self._repo.schema_state, within=READY_DEADLINE)
        except TimeoutError:
            raise ServiceUnavailableError(
                "The database does not answer.",
                reason=f"the database did not answer readiness within {READY_DEADLINE}",
            ) from None
        if schema is SchemaState.MISSING:
            raise ServiceUnavailableError("The database has not been migrated.")
        if schema is SchemaState.OUTDATED:
            raise ServiceUnavailableError("The database's schema is older than this code.")
