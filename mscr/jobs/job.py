"""Declarations of jobs, and what a job may use while it runs."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from mscr.models.job import MAX_NAME_LENGTH
from mscr.models.tables import Tables

DataType = TypeVar("DataType", bound=BaseModel)

DEFAULT_TIME_LIMIT: Final = timedelta(seconds=60)
DEFAULT_PATIENCE: Final = timedelta(days=1)


class JobRefusedError(Exception):
    """Raised by a job that no repetition can help. It becomes a dead letter at once."""


@dataclass(frozen=True, slots=True)
class Work:
    """One attempt at a job."""

    id: str
    """The deduplication id: the same at every attempt. Pass it on to the receiver."""
    attempt: int
    session: AsyncSession
    """Connects on first use. It is committed together with the end of the job: the changes of an
    attempt are stored once, or not at all."""
    collaborators: Any
    """The application's own `Collaborators`."""
    tables: Tables
    outbox: Any
    """An `Outbox`, for jobs that follow from this one: they are added in its transaction."""


@dataclass(frozen=True, slots=True)
class Job(Generic[DataType]):
    """A kind of job. Define it once, pass it to `install(jobs=...)`, and add it by `Outbox.add`.

    Warning: it runs at least once. After a crash it runs again, with the same `Work.id`.
    """

    name: str
    """Identifies the kind in the database: processes of two releases may share it."""
    data: type[DataType]
    """Stored encrypted. Fields that are added later need a default."""
    run: Callable[[DataType, Work], Awaitable[None]]
    """Raise `JobRefusedError` for a fault that stays; any other error is retried."""
    time_limit: timedelta = DEFAULT_TIME_LIMIT
    """A longer attempt is cancelled, and counts as failed."""
    patience: timedelta = DEFAULT_PATIENCE
    """How long it is retried, before it becomes a dead letter."""

    def __post_init__(self) -> None:
        if not 0 < len(self.name) <= MAX_NAME_LENGTH:
            raise ValueError(f"a job's name has 1 to {MAX_NAME_LENGTH} characters: {self.name!r}")


AnyJob = Job[Any]
