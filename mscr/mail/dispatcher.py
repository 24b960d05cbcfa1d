"""Sends mails: nobody waits for a mail server, and no mail is tried twice."""

import asyncio
from datetime import timedelta
from typing import Final

import structlog

from app.core.backing_services import MAIL, log_fields
from app.mail.mailer import Mailer
from app.mail.message import Mail

log = structlog.get_logger(__name__)

# Connections to the mail server at once.
MAX_DELIVERIES: Final = 4


class MailDispatcher:
    """Holds the mails of this process that have not left yet, a bounded number of them.

    A mail that fails is logged, without its address or text, and forgotten: its request may be
    made again.
    """

    def __init__(self, mailer: Mailer, *, max_pending: int, timeout: timedelta) -> None:
        self._mailer = mailer
        self._max_pending = max_pending
        self._timeout = timeout.total_seconds()
        self._pending: set[asyncio.Task[None]] = set()
        self._connections = asyncio.Semaphore(MAX_DELIVERIES)

    async def post(self, mail: Mail) -> None:
        """Take a mail, and return before anything is done about it.

        Where it must not be seen whether there is a mail, or which, this is called as a background
        task, after the response.
        """
        # A server that hangs must not fill the memory.
        if len(self._pending) >= self._max_pending:
            log.error("mail_dropped", reason="too_many_pending")
            return
        # A task of its own, which keeps the request's id for the log and outlives the request.
        task = asyncio.create_task(self._deliver(mail))
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)

    async def close(self, *, within: timedelta) -> None:
        """Wait for what is pending, and drop the rest."""
        pending = set(self._pending)
        if not pending:
            return
        _, late = await asyncio.wait(pending, timeout=within.total_seconds())
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        if late:
            log.error("mail_dropped", reason="shutdown", mails=len(late))

    async def _deliver(self, mail: Mail) -> None:
        async with self._connections:
            try:
                async with asyncio.timeout(self._timeout):
                    await self._mailer.send(mail)
            except Exception as error:  # noqa: BLE001  # whatever it is, the answer has been given
                # Its text may hold the address, as a server that refuses one repeats it.
                fields = log_fields(error, MAIL)
                log.error("mail_not_sent", error=type(error).__name__, **fields)  # noqa: TRY400
            else:
                log.info("mail_sent")
