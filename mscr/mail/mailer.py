"""Mailers: deliver mails to a mail server, or in development to the log or to files."""

from typing import Protocol

import structlog

from mscr.core.config import Settings
from mscr.mail.message import Mail, MailNotConfiguredError

log = structlog.get_logger(__name__)


class Mailer(Protocol):
    async def send(self, mail: Mail, *, mail_id: str) -> None:
        """Deliver the mail. `mail_id` identifies it at every attempt.

        Raises `MailRefusedError`, and any other error that prevents the delivery.
        """

    async def check(self) -> None:
        """Check the connection. Raises any error that would prevent every delivery."""


class ConsoleMailer:
    """Writes mails to the log, including their links: for development only."""

    async def check(self) -> None:
        """Do nothing: the log is always available."""

    async def send(self, mail: Mail, *, mail_id: str) -> None:  # noqa: ARG002  # the log has the job's
        log.info("mail", recipient=mail.recipient, subject=mail.subject, text=mail.text)


class NoMailer:
    """Delivers nothing: the process has no SMTP_URL, and its log must not show links that work."""

    async def check(self) -> None:
        """Do nothing: an application may send no mail."""

    async def send(self, mail: Mail, *, mail_id: str) -> None:  # noqa: ARG002  # the protocol's
        """Raise `MailNotConfiguredError`. The mail stays in the outbox, and is tried again."""
        raise MailNotConfiguredError


def create_mailer(settings: Settings) -> Mailer:
    """Return the mailer.

    `config_rules` requires SMTP_URL in production if the process itself sends mails. A worker may
    still find mails of another process that has one.
    """
    # Each is loaded only if it is used.
    if settings.MAIL_FOLDER is not None:
        from mscr.mail.file_mailer import FileMailer  # noqa: PLC0415

        return FileMailer(settings.MAIL_FOLDER, sender=settings.MAIL_FROM)
    if settings.SMTP_URL is None:
        return NoMailer() if settings.is_production else ConsoleMailer()
    from mscr.mail.smtp_mailer import SmtpMailer  # noqa: PLC0415

    return SmtpMailer(settings.SMTP_URL.get_secret_value(), sender=settings.MAIL_FROM)
