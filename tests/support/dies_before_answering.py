"""The application, as it is when its process dies between a rotation's commit and its answer.

For `AppProcess(..., app="tests.support.dies_before_answering:app")`.
"""

import os
import signal
from typing import Any
from unittest.mock import patch

from app.main import app
from app.repositories.prepared_statement import PreparedStatement
from app.repositories.token_rotation import MARK_ANSWERED

__all__ = ["app"]

ask = PreparedStatement.all


async def die(statement: PreparedStatement, *arguments: Any, **values: Any) -> Any:
    if statement is MARK_ANSWERED:
        os.kill(os.getpid(), signal.SIGKILL)
    return await ask(statement, *arguments, **values)


patch.object(PreparedStatement, "all", die).start()
