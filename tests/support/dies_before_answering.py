"""The application, as it is when its process dies between a rotation's commit and its answer.

For `AppProcess(..., app="tests.support.dies_before_answering:app")`.
"""

import os
import signal
from typing import Any

from sqlalchemy import event

from app.db.session import engine
from app.main import app

__all__ = ["app"]

MARKS_THE_ANSWER = "UPDATE refresh_tokens SET answered_at"


@event.listens_for(engine.sync_engine, "before_cursor_execute")
def die(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
    if statement.startswith(MARKS_THE_ANSWER):
        os.kill(os.getpid(), signal.SIGKILL)
