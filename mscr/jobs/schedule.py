"""Schedules: jobs that run once per tick, whatever the number of processes."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

from pydantic import ValidationError

from mscr.jobs.job import AnyJob

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
SHORTEST_INTERVAL: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A job and its ticks. Make it by `daily` or `every`, and pass it to `install(schedules=...)`.

    `rule` is a part of `name`, the identity in the database: a changed time is another schedule.
    """

    job: AnyJob
    interval: timedelta
    offset: timedelta
    rule: str

    def __post_init__(self) -> None:
        if self.interval < SHORTEST_INTERVAL:
            raise ValueError(f"{self.name}: the shortest interval is {SHORTEST_INTERVAL}")
        self.data()

    @property
    def name(self) -> str:
        return f"{self.job.name} {self.rule}"

    def data(self) -> Any:
        """Return the data of each run: the default of every field."""
        try:
            return self.job.data()
        except ValidationError:
            raise ValueError(
                f"{self.name}: a field of {self.job.data.__name__} has no default"
            ) from None

    def newest(self, now: datetime) -> datetime:
        """Return the newest tick that is not after `now`."""
        return now - (now - EPOCH - self.offset) % self.interval

    def following(self, tick: datetime, now: datetime) -> datetime:
        """Return the tick to run after `tick`: the next, or the newest of several that passed."""
        return max(tick + self.interval, self.newest(now))


def every(interval: timedelta, job: AnyJob) -> Schedule:
    """Run the job at each multiple of `interval` since 1970 in UTC: every hour is on the hour.

    A tick starts when a process next looks for jobs (`JOBS_POLL_SECONDS`). Ticks that pass
    meanwhile, or during a run, are one run.
    """
    return Schedule(job, interval, timedelta(0), f"every {interval}")


def daily(job: AnyJob, *, at: time) -> Schedule:
    """Run the job once a day, at this time in UTC."""
    if at.tzinfo not in {None, UTC}:
        raise ValueError(f"{job.name}: a time of a schedule is in UTC: {at}")
    offset = datetime.combine(EPOCH.date(), at, UTC) - EPOCH
    return Schedule(job, timedelta(days=1), offset, f"daily {at.replace(tzinfo=None)}")
