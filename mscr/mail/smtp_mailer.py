"""Mail delivery by SMTP (RFC 6409)."""

import asyncio
import contextlib
import ssl
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

import aiosmtplib

from mscr.mail.composition import compose, deliverable
from mscr.mail.message import Mail, MailRefusedError

# Replies about this mail or its recipient, which stay the same (RFC 5321 §4.2.1). Others of class 5
# are about the server's or our own configuration, which somebody will mend.
_REFUSALS = range(550, 555)
QUIT_SECONDS: Final = 0.1


class SmtpMailer:
    """Submits mails to a mail server, with a connection for each (RFC 6409)."""

    def __init__(self, url: str, *, sender: str) -> None:
        self._url = urlsplit(url)
        self._sender = deliverable(sender)
        # Created once: it reads all certificates of the machine.
        self._tls = ssl.create_default_context()

    async def send(self, mail: Mail, *, mail_id: str) -> None:
        """Raises `MailRefusedError`, `aiosmtplib.SMTPException`, `OSError`."""
        client = self._client()
        try:
            await client.connect()
            await self._submit(client, mail, mail_id)
        finally:
            # After a failure, close without QUIT: a hanging server would not respond to it.
            client.close()

    async def _submit(self, client: aiosmtplib.SMTP, mail: Mail, mail_id: str) -> None:
        try:
            message = compose(mail, self._sender, mail_id=mail_id)
            recipients = [deliverable(mail.recipient)]
        except ValueError as error:
            raise MailRefusedError from error
        try:
            await client.send_message(message, sender=self._sender, recipients=recipients)
        except aiosmtplib.SMTPRecipientsRefused as error:
            if all(each.code in _REFUSALS for each in error.recipients):
                raise MailRefusedError from error
            raise
        except aiosmtplib.SMTPDataError as error:
            if error.code in _REFUSALS:
                raise MailRefusedError from error
            raise
        # The mail is submitted, whatever the reply to QUIT: a failure would send it again.
        with contextlib.suppress(aiosmtplib.SMTPException, OSError):
            # A server that is slow here (TimeoutError is an OSError) has the mail already.
            async with asyncio.timeout(QUIT_SECONDS):
                await client.quit()

    async def check(self) -> None:
        """Connect and log in. Raises what `send` raises."""
        client = self._client()
        try:
            await client.connect()
            await client.quit()
        finally:
            client.close()

    def _client(self) -> aiosmtplib.SMTP:
        is_tls = self._url.scheme == "smtps"
        return aiosmtplib.SMTP(
            hostname=self._url.hostname,
            port=self._url.port,
            username=_unquoted(self._url.username),
            password=_unquoted(self._url.password),
            # Otherwise the library would look up the machine's name in DNS, which can take long.
            local_hostname=self._sender.rpartition("@")[2],
            use_tls=is_tls,
            # Required, not opportunistic: a man in the middle could strip the offer of STARTTLS,
            # and read the password and the links (RFC 8314 §3).
            start_tls=not is_tls and not _is_loopback(self._url),
            tls_context=self._tls,
            # The job has a timeout for the whole delivery.
            timeout=None,
        )


def _unquoted(part: str | None) -> str | None:
    return None if part is None else unquote(part)


def _is_loopback(url: SplitResult) -> bool:
    try:
        return ip_address(url.hostname or "").is_loopback
    except ValueError:
        return url.hostname == "localhost"
