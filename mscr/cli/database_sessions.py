"""Database sessions for commands, whose connections are closed at the end of the command."""
# ruff: noqa: PLC0415

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from mscr.cli.faults import database_faults

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from mscr.project import Project

# A command may read and write millions of rows. Its lock timeout is still that of requests.
NO_DEADLINE_SECONDS: Final = 7 * 24 * 3600
_DEADLINES_OF_REQUESTS: Final = (
    "DATABASE_STATEMENT_TIMEOUT_SECONDS",
    "DATABASE_IDLE_TRANSACTION_TIMEOUT_SECONDS",
)


@asynccontextmanager
async def open_session(
    project: "Project", *, read_only: bool = False, replica: bool = False
) -> AsyncIterator["AsyncSession"]:
    """Open a database session. Raises `Fault` if the database cannot be used."""
    # With DEBUG on, SQLAlchemy writes its SQL to standard output, among the results, unless its
    # logger has a handler.
    log = logging.getLogger("sqlalchemy.engine.Engine")
    log.handlers = log.handlers or [logging.StreamHandler()]
    import structlog

    # Commands print their results themselves; structlog would write to standard output too.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    from mscr.connections.backing_services import DATABASE, REPLICA
    from mscr.db.driver_threads import threads_ended

    # Requests need short timeouts, commands do not: no client waits for them.
    patient: dict[str, int] = dict.fromkeys(_DEADLINES_OF_REQUESTS, NO_DEADLINE_SECONDS)
    settings = project.get_settings()
    database = project.create_database(settings.model_copy(update=patient))
    sessions = database.read_sessions if read_only else database.sessions
    with database_faults(settings, REPLICA if replica else DATABASE):
        async with threads_ended():
            try:
                async with (database.replica_sessions if replica else sessions)() as session:
                    yield session
            finally:
                await database.close()
