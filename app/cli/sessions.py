"""Sessions for commands: of a database of their own, whose connections end with the command."""
# ruff: noqa: PLC0415

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from app.cli.faults import database_faults

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from app.services.audit_event_service import AuditTrail

# A command may read and write millions of rows; it still waits for locks no longer than requests.
NO_DEADLINE_SECONDS: Final = 7 * 24 * 3600
_DEADLINES_OF_REQUESTS: Final = (
    "DATABASE_STATEMENT_TIMEOUT_SECONDS",
    "DATABASE_IDLE_TRANSACTION_TIMEOUT_SECONDS",
)


@asynccontextmanager
async def open_session(
    *, read_only: bool = False, replica: bool = False
) -> AsyncIterator["AsyncSession"]:
    """Raises `Fault` when the database cannot be used."""
    # With DEBUG on, SQLAlchemy writes its SQL to standard output, between the results, unless
    # its logger has a handler already.
    log = logging.getLogger("sqlalchemy.engine.Engine")
    log.handlers = log.handlers or [logging.StreamHandler()]
    import structlog

    # A command says itself what it did; structlog would write to standard output as well.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    from app.core.backing_services import DATABASE, REPLICA
    from app.core.config import get_settings
    from app.db.driver_threads import threads_ended
    from app.db.session import Database

    # Nobody waits for a command as a client waits for an answer.
    patient = dict.fromkeys(_DEADLINES_OF_REQUESTS, NO_DEADLINE_SECONDS)
    database = Database(get_settings().model_copy(update=patient))
    sessions = database.read_sessions if read_only else database.sessions
    with database_faults(REPLICA if replica else DATABASE):
        async with threads_ended():
            try:
                async with (database.replica_sessions if replica else sessions)() as session:
                    yield session
            finally:
                await database.close()


def audit_trail(session: "AsyncSession", command: str) -> "AuditTrail":
    """Writes what `command` does, together with it. Who ran it, nobody knows."""
    from app.core.client import COMMAND_LINE, Origin
    from app.core.config import get_settings
    from app.core.rate_limit import RequestLimiter
    from app.repositories.audit_event_repository import AuditEventRepository
    from app.services.audit_event_service import AuditTrail

    requests = RequestLimiter(get_settings())
    return AuditTrail(
        AuditEventRepository(session), Origin(COMMAND_LINE, command), requests=requests
    )
