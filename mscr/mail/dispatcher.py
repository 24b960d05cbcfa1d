"""Sends mails in the background: requests do not wait for a mail server. No mail is retried."""

import asyncio
from datetime import timedelta
from typing import Final

import structlog

from mscr.connections.backing_services import MAIL, log_fields
from mscr.mail.mailer import Mailer
from mscr.mail.message import Mail

log = structlog.get_logger(__name__)

# Concurrent connections to the mail server.
MAX_DELIVERIES: Final = 4


class MailDispatcher:
    """The bounded queue of this process's pending mails.

    Warning: a failed mail is lost. It is logged without its address or text; users can repeat the
    request that sent it.
    """

    def __init__(self, mailer: Mailer, *, max_pending: int, timeout: timedelta) -> None:
        self._mailer = mailer
        self._max_pending = max_pending
        self._timeout = timeout.total_seconds()
        self._pending: set[asyncio.Task[None]] = set()
        self._connections = asyncio.Semaphore(MAX_DELIVERIES)

    async def post(self, mail: Mail) -> None:
        """Queue a mail, and return before it is sent.

        Call this as a background task, after the response, if the response time must not reveal
        whether a mail is sent (timing side channel).
        """
        # A hanging mail server must not fill the memory.
        if len(self._pending) >= self._max_pending:
            log.error("mail_dropped", reason="too_many_pending")
            return
        # The task inherits the request's id for the log, and outlives the request.
        task = asyncio.create_task(self._deliver(mail))
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)

    async def close(self, *, within: timedelta) -> None:
        """Wait for pending mails, and drop those that are not sent in time."""
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
            except Exception as error:  # noqa: BLE001  # the response has been sent
                # The error's text is not logged: servers repeat a refused address.
                fields = log_fields(error, MAIL)
                log.error("mail_not_sent", error=type(error).__name__, **fields)  # noqa: TRY400
            else:
                log.info("mail_sent")
