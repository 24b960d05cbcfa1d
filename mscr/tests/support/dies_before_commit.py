"""The application with a process that dies before it commits an idempotency key and its effect.

For `AppProcess(..., app="mscr.tests.support.dies_before_commit:app")`.
"""

import os
import signal
from typing import Any

from sqlalchemy import event

from examples.catalogue.db.session import database
from examples.catalogue.main import app

__all__ = ["app"]


@event.listens_for(database.engine.sync_engine, "after_cursor_execute")
def die(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
    if statement.startswith("INSERT INTO idempotency_keys"):
        os.kill(os.getpid(), signal.SIGKILL)
