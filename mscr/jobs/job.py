"""Declarations of jobs, and what a job may use while it runs."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from mscr.models.job import MAX_NAME_LENGTH
from mscr.models.tables import Tables

if TYPE_CHECKING:
    from mscr.mail.message import Mail

DataType = TypeVar("DataType", bound=BaseModel)

DEFAULT_TIME_LIMIT: Final = timedelta(seconds=60)
DEFAULT_PATIENCE: Final = timedelta(days=1)


class JobRefusedError(Exception):
    """Raised by a job that no repetition can help. It becomes a dead letter at once."""


class WorkOutbox(Protocol):
    """The `Outbox` of an attempt: its methods, without a cycle of imports."""

    async def add(
        self,
        job: "Job[DataType]",
        data: DataType,
        *,
        delay: timedelta = timedelta(0),
        patience: timedelta | None = None,
    ) -> str: ...

    async def add_mail(self, mail: "Mail", *, patience: timedelta | None = None) -> str: ...


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
    """The tables that the kit reads and writes."""
    outbox: "WorkOutbox"
    """The jobs that it adds exist if it succeeds, and run after it: mails of a summary."""
    tick: datetime | None = None
    """The time that a schedule runs for, in UTC. None for a job that was added."""


class NoData(BaseModel):
    """The data of a job that needs none."""


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
    """How long it is retried, before it becomes a dead letter. A schedule: until its next tick."""
    is_urgent: bool = False
    """A person waits for it. Each process runs one more of these than JOBS_MAX_RUNNING, so that
    slow jobs, such as webhooks to slow receivers, do not delay it."""

    def __post_init__(self) -> None:
        if not 0 < len(self.name) <= MAX_NAME_LENGTH:
            raise ValueError(f"a job's name has 1 to {MAX_NAME_LENGTH} characters: {self.name!r}")


AnyJob = Job[Any]
