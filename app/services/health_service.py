import asyncio
from typing import Final

from app.core.exceptions import ServiceUnavailableError
from app.repositories.health_repository import HealthRepository

# Shorter than the patience of the usual probes.
READY_DEADLINE_SECONDS: Final = 2.0


class HealthService:
    def __init__(self, repo: HealthRepository) -> None:
        self._repo = repo

    async def check_ready(self) -> None:
        """Raises `ServiceUnavailableError` when the database does not answer in time, or is empty.

        Other errors of the database are answered with 503 as everywhere.
        """
        try:
            async with asyncio.timeout(READY_DEADLINE_SECONDS):
                is_migrated = await self._repo.is_migrated()
        except TimeoutError:
            raise ServiceUnavailableError("The database does not answer.") from None
        if not is_migrated:
            raise ServiceUnavailableError("The database has not been migrated.")
