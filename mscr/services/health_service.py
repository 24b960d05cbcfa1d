from datetime import timedelta
from typing import Final

from mscr.core.exceptions import ServiceUnavailableError
from mscr.core.single_flight import SingleFlight
from mscr.db.schema_check import SchemaState
from mscr.repositories.health_repository import HealthRepository

# Shorter than the timeout of common probes.
READY_DEADLINE: Final = timedelta(seconds=2)


class HealthService:
    """Check readiness. Concurrent probes share one query, through `flight`."""

    def __init__(self, repo: HealthRepository, *, flight: SingleFlight[SchemaState]) -> None:
        self._repo = repo
        self._flight = flight

    async def check_ready(self) -> None:
        """Raise `ServiceUnavailableError` if the database does not respond or is not migrated.

        Other errors of the database become 503 as everywhere.
        """
        try:
            schema = await self._flight.run(self._repo.schema_state, within=READY_DEADLINE)
        except TimeoutError:
            raise ServiceUnavailableError(
                "The database does not respond.",
                reason=f"the database did not respond to readiness within {READY_DEADLINE}",
            ) from None
        if schema is SchemaState.MISSING:
            raise ServiceUnavailableError("The database has not been migrated.")
        if schema is SchemaState.OUTDATED:
            raise ServiceUnavailableError("The database's schema is older than this code.")
