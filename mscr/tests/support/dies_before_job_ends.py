"""The application with a process that dies before it deletes a job that is done.

For `AppProcess(..., app="mscr.tests.support.dies_before_job_ends:app")`.
"""

import os
import signal
from typing import Any

from sqlalchemy import event

from examples.catalogue.db.session import database
from examples.catalogue.main import app

__all__ = ["app"]


@event.listens_for(database.engine.sync_engine, "before_cursor_execute")
def die(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
    if statement.startswith("DELETE FROM jobs"):
        os.kill(os.getpid(), signal.SIGKILL)
