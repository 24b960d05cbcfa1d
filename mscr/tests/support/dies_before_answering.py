"""The application with a process that dies between a rotation's commit and its response.

For `AppProcess(..., app="mscr.tests.support.dies_before_answering:app")`.
"""

import os
import signal
from typing import Any
from unittest.mock import patch

from examples.catalogue.main import app
from examples.catalogue.models.tables import TABLES
from mscr.queries.prepared_statement import PreparedStatement
from mscr.repositories.token_rotation import RotationStatements

__all__ = ["app"]

ask = PreparedStatement.all
mark_answered = TABLES.prepared(RotationStatements).mark_answered


async def die(statement: PreparedStatement, *arguments: Any, **values: Any) -> Any:
    if statement is mark_answered:
        os.kill(os.getpid(), signal.SIGKILL)
    return await ask(statement, *arguments, **values)


patch.object(PreparedStatement, "all", die).start()
