"""The job that delivers a mail."""

import asyncio
from datetime import timedelta
from typing import Final, Self

import structlog
from pydantic import BaseModel, Field

from mscr.connections.backing_services import MAIL, log_fields
from mscr.jobs.job import Job, JobRefusedError, Work
from mscr.mail.message import Mail, MailRefusedError

log = structlog.get_logger(__name__)


class MailData(BaseModel):
    recipient: str = Field(repr=False)
    subject: str = Field(repr=False)
    text: str = Field(repr=False)
    html: str | None = Field(default=None, repr=False)

    @classmethod
    def of(cls, mail: Mail) -> Self:
        return cls(recipient=mail.recipient, subject=mail.subject, text=mail.text, html=mail.html)


async def _send(data: MailData, work: Work) -> None:
    """Submit the mail. `Message-ID` is made from the id of the job: receivers deduplicate by it."""
    mail = Mail(data.recipient, data.subject, data.text, data.html)
    try:
        async with asyncio.timeout(work.collaborators.settings.smtp_timeout.total_seconds()):
            await work.collaborators.mailer.send(mail, mail_id=work.id)
    except Exception as error:
        # The error's text is not logged: servers repeat a refused address.
        fields = log_fields(error, MAIL)
        log.error("mail_not_sent", error=type(error).__name__, **fields)  # noqa: TRY400  # as above
        if isinstance(error, MailRefusedError):
            raise JobRefusedError from error
        raise
    log.info("mail_sent")


# Longer than SMTP_TIMEOUT_SECONDS can be (60 s), with time to store the end.
SEND_MAIL: Final = Job(
    "mscr.send_mail", MailData, _send, time_limit=timedelta(seconds=90), is_urgent=True
)
