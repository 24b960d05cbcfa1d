"""Checks for servers other than `python cli.py serve`.

`serve` checks WEB_CONCURRENCY before it starts workers. The number of another server's workers is
unknown here. Where only one may run, each of them therefore claims to be the only one.
"""

from hashlib import sha256

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mscr.core.config import Settings
from mscr.server.sole_process import claim
from mscr.server.status import find_status

NOT_IN_FORCE = (
    "limits on the size of headers and on slow clients, MAX_CONNECTIONS, KEEP_ALIVE_SECONDS, "
    "DRAIN_SECONDS, SHUTDOWN_TIMEOUT_SECONDS"
)

log = structlog.get_logger(__name__)


async def run_lifespan(
    app: ASGIApp, scope: Scope, receive: Receive, send: Send, settings: Settings
) -> None:
    """Run the application's lifespan, unless this server may not run it in production."""
    is_ours = find_status(scope) is not None
    if settings.is_production and not is_ours:
        if faults := _faults(settings):
            await receive()
            message = "\n".join(f"Configuration error: {fault}" for fault in faults)
            await send({"type": "lifespan.startup.failed", "message": message})
            return
        send = _warning_with(send)
    await app(scope, receive, send)


def _warning_with(send: Send) -> Send:
    async def warn_when_complete(message: Message) -> None:
        # By now the log is configured.
        if message["type"] == "lifespan.startup.complete":
            log.warning("started_by_another_server", not_in_force=NOT_IN_FORCE, use="cli.py serve")
        await send(message)

    return warn_when_complete


def _faults(settings: Settings) -> list[str]:
    """Return a sentence for each setting that several processes of a server cannot share."""
    faults = []
    if settings.is_sqlite:
        faults.append("SQLite serves one process: start one worker or use PostgreSQL.")
    if settings.REDIS_URL is None:
        faults.append("The rate limiter in memory serves one process: set REDIS_URL.")
    return faults if faults and not _is_alone(settings) else []


def _is_alone(settings: Settings) -> bool:
    name = sha256(settings.DATABASE_URL.encode()).hexdigest()[:32]
    try:
        return claim(f"sole-{name}")
    except OSError as error:
        log.warning("processes_not_counted", reason=error.strerror or str(error))
        return True
