from datetime import timedelta
from typing import Final

from app.core.exceptions import ServiceUnavailableError
from app.core.single_flight import SingleFlight
from app.repositories.health_repository import HealthRepository

# Shorter than the patience of the usual probes.
READY_DEADLINE: Final = timedelta(seconds=2)


class HealthService:
    """Probes at the same time share one look at the database, through `flight`."""

    def __init__(self, repo: HealthRepository, *, flight: SingleFlight[bool]) -> None:
        self._repo = repo
        self._flight = flight

    async def check_ready(self) -> None:
        """Raises `ServiceUnavailableError` when the database does not answer in time, or is empty.

        Other errors of the database are answered with 503 as everywhere.
        """
        try:
            is_migrated = await self._flight.run(self._repo.is_migrated, within=READY_DEADLINE)
        except TimeoutError:
            raise ServiceUnavailableError("The database does not answer.") from None
        if not is_migrated:
            raise ServiceUnavailableError("The database has not been migrated.")
