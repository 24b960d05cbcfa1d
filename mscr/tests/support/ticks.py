"""The application with schedules that leave an event of the audit log for each tick.

For `AppProcess(..., app="mscr.tests.support.ticks:app")`. The process dies in the middle of an
hourly tick that nobody has tried before.
"""

import os
import signal
from datetime import timedelta
from typing import Final

from examples.catalogue.main import app
from mscr.core.client import Client
from mscr.jobs.job import Job, NoData, Work
from mscr.jobs.schedule import every
from mscr.models.audit_event import AuditOutcome
from mscr.repositories.audit_event_repository import AuditEventRepository

__all__ = ["app"]

HERE: Final = Client("schedule", None)


async def record(_: NoData, work: Work) -> None:
    await AuditEventRepository(work.session, work.tables).create(
        action="tick",
        outcome=AuditOutcome.SUCCESS,
        operation=str(work.tick),
        address=HERE.address,
        reason=work.id,
    )


async def record_and_die(data: NoData, work: Work) -> None:
    await record(data, work)
    if work.attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)


app.state.schedules = [
    every(timedelta(seconds=1), Job("tests.second", NoData, record)),
    every(timedelta(days=3650), Job("tests.decade", NoData, record_and_die)),
]
