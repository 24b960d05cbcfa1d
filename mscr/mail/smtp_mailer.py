"""Mail delivery by SMTP (RFC 6409)."""

import ssl
from ipaddress import ip_address
from urllib.parse import SplitResult, unquote, urlsplit

import aiosmtplib

from mscr.mail.composition import compose, deliverable
from mscr.mail.message import Mail


class SmtpMailer:
    """Submits mails to a mail server, with a connection for each (RFC 6409)."""

    def __init__(self, url: str, *, sender: str) -> None:
        self._url = urlsplit(url)
        self._sender = deliverable(sender)
        # Created once: it reads all certificates of the machine.
        self._tls = ssl.create_default_context()

    async def send(self, mail: Mail) -> None:
        """Raises `aiosmtplib.SMTPException`, `OSError`, and `ValueError` for an invalid address."""
        client = self._client()
        try:
            await client.connect()
            message = compose(mail, self._sender)
            await client.send_message(
                message, sender=self._sender, recipients=[deliverable(mail.recipient)]
            )
            await client.quit()
        finally:
            # After a failure, close without QUIT: a hanging server would not respond to it.
            client.close()

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
            # The dispatcher has a timeout for the whole delivery.
            timeout=None,
        )


def _unquoted(part: str | None) -> str | None:
    return None if part is None else unquote(part)


def _is_loopback(url: SplitResult) -> bool:
    try:
        return ip_address(url.hostname or "").is_loopback
    except ValueError:
        return url.hostname == "localhost"
