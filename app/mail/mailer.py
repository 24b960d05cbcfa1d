"""The two ways in which a mail leaves: to a mail server, or, in development, to the log."""

from typing import Protocol

import structlog

from app.core.config import Settings
from app.mail.message import Mail

log = structlog.get_logger(__name__)


class Mailer(Protocol):
    async def send(self, mail: Mail) -> None:
        """Raises whatever keeps it from leaving."""

    async def check(self) -> None:
        """Raises whatever would keep every mail from leaving."""


class ConsoleMailer:
    """Writes mails to the log, links and all: for development."""

    async def check(self) -> None:
        """The log is always there."""

    async def send(self, mail: Mail) -> None:
        log.info("mail", recipient=mail.recipient, subject=mail.subject, text=mail.text)


def create_mailer(settings: Settings) -> Mailer:
    """In production there is a server: `mail_rules` sees to it wherever mails are sent."""
    if settings.SMTP_URL is None:
        return ConsoleMailer()
    from app.mail.smtp_mailer import SmtpMailer  # noqa: PLC0415  # for those who have a server

    return SmtpMailer(settings.SMTP_URL.get_secret_value(), sender=settings.MAIL_FROM)
