"""The outbox: work that a transaction has caused, and that is done after it is committed."""

from datetime import datetime
from enum import Enum as PyEnum
from typing import Final

from sqlalchemy import Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from mscr.core.trace_context import TRACE_ID_LENGTH
from mscr.models.base import BigIntegerKey, EncryptedText, ModelBase, PublicIdMixin, UTCDateTime

MAX_NAME_LENGTH: Final = 100
MAX_FAULT_LENGTH: Final = 100
# A name, and the longest rule of `mscr.jobs.schedule`.
MAX_SCHEDULE_LENGTH: Final = MAX_NAME_LENGTH + 50


class JobState(str, PyEnum):
    """A job that waits may be running: its lease does not show whether its process lives."""

    WAITING = "waiting"
    DEAD = "dead"


def job_indexes(table: str) -> tuple[Index, ...]:
    """Return the indexes of jobs that wait, of dead jobs, and of schedules.

    Dead jobs do not slow the search for the next one, and the backlog does not slow a list of dead
    jobs. An ordinary job costs an entry of the first one only.
    """
    waits, died = text("dead_at IS NULL"), text("dead_at IS NOT NULL")
    is_scheduled = text("schedule IS NOT NULL")
    return (
        Index(f"ix_{table}_due_at", "due_at", sqlite_where=waits, postgresql_where=waits),
        Index(f"ix_{table}_dead", "due_at", sqlite_where=died, postgresql_where=died),
        Index(
            f"uq_{table}_schedule",
            "schedule",
            unique=True,
            sqlite_where=is_scheduled,
            postgresql_where=is_scheduled,
        ),
    )


class JobMixin(PublicIdMixin, ModelBase):
    """One job. It is deleted when it is done; a dead one stays until somebody decides.

    The row of a schedule is never deleted: it moves on to the next tick, with a new `public_id`.

    `public_id` is the deduplication id: it is the same at every attempt. With it, `attempts` is the
    fencing token: each claim raises it, and only the newest claim may end the job.
    """

    id: Mapped[int] = mapped_column(BigIntegerKey, primary_key=True, sort_order=-2)
    name: Mapped[str] = mapped_column(String(MAX_NAME_LENGTH))
    data: Mapped[str] = mapped_column(EncryptedText)
    due_at: Mapped[datetime] = mapped_column(
        UTCDateTime, doc="The next attempt, or, while one runs, the end of its lease."
    )
    gives_up_at: Mapped[datetime] = mapped_column(
        UTCDateTime, doc="The time of the last attempt, or the next tick of a schedule."
    )
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    fault: Mapped[str | None] = mapped_column(
        String(MAX_FAULT_LENGTH),
        doc="The class of the last error. Its text could contain anything.",
    )
    dead_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    schedule: Mapped[str | None] = mapped_column(
        String(MAX_SCHEDULE_LENGTH), doc="The schedule, if this is its row: a job and its ticks."
    )
    request_id: Mapped[str | None] = mapped_column(
        String(64), doc="The request that caused the job, for the log."
    )
    trace_id: Mapped[str | None] = mapped_column(
        String(TRACE_ID_LENGTH), doc="The caller's trace, from `traceparent`, for the log."
    )

    @property
    def state(self) -> JobState:
        return JobState.WAITING if self.dead_at is None else JobState.DEAD
