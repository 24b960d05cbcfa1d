"""The schedules of an application, and their rows in the outbox."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from mscr.core.security.encryption import EncryptionService
from mscr.db.session import Database
from mscr.jobs.job import AnyJob
from mscr.jobs.outbox import stored_data
from mscr.jobs.schedule import Schedule
from mscr.models.base import encryption_context, new_public_id, utcnow
from mscr.repositories.job_repository import JobRepository


class Timetable:
    """Creates the row of each schedule, which any number of processes share."""

    def __init__(
        self, schedules: Iterable[Schedule], encryption: EncryptionService, database: Database
    ) -> None:
        """Raise `ValueError` if two schedules are equal, or the data of one cannot be stored."""
        self._encryption = encryption
        self._database = database
        self._schedules: dict[str, Schedule] = {}
        for schedule in schedules:
            if self._schedules.setdefault(schedule.name, schedule) is not schedule:
                raise ValueError(f"two schedules are {schedule.name}")
            stored_data(schedule.job, schedule.data())

    @property
    def names(self) -> list[str]:
        return [*self._schedules]

    def get(self, name: str | None) -> Schedule | None:
        """Return the schedule of a row, or None for an ordinary job."""
        return None if name is None else self._schedules[name]

    def row(self, schedule: Schedule, tick: datetime) -> dict[str, Any]:
        """Return the columns for a tick. Its id is new: each tick is deduplicated on its own."""
        public_id = new_public_id()
        context = encryption_context(self._database.tables.job.data, public_id)
        stored = stored_data(schedule.job, schedule.data())
        return {
            "public_id": public_id,
            "name": schedule.job.name,
            "schedule": schedule.name,
            "data": self._encryption.encrypt(stored, context=context),
            "due_at": tick,
            "gives_up_at": tick + schedule.interval,
            "attempts": 0,
        }

    async def add_missing(self) -> None:
        """Add the rows that do not exist yet, due at their next tick."""
        async with self._database.read_sessions() as session:
            present = await self._repository(session).list_scheduled(self.names)
        now = utcnow()
        rows = [
            self.row(schedule, schedule.newest(now) + schedule.interval)
            for name, schedule in self._schedules.items()
            if name not in present
        ]
        if rows:
            await self._replace([], rows)

    async def restart(self, job: AnyJob) -> None:
        """Make the schedules of a job due for their newest tick, whether or not that has run.

        Raises `ValueError` if it has none.
        """
        found = {n: schedule for n, schedule in self._schedules.items() if schedule.job is job}
        if not found:
            raise ValueError(f"{job.name} has no schedule: pass one to install(schedules=[...])")
        now = utcnow()
        rows = [self.row(schedule, schedule.newest(now)) for schedule in found.values()]
        await self._replace([*found], rows)

    async def _replace(self, names: list[str], rows: list[dict[str, Any]]) -> None:
        async with self._database.sessions() as session:
            repo = self._repository(session)
            await repo.remove_scheduled(names)
            await repo.add_scheduled(rows)
            await session.commit()

    def _repository(self, session: Any) -> JobRepository:
        return JobRepository(session, self._database.tables)
