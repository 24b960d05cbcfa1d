"""A real SMTP server on loopback, in the event loop of the test."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Final, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

# Longer than any mail takes: only a mail that never arrives reaches it.
LIMIT_SECONDS: Final = 60
# aiosmtpd logs addresses: keep its records out of the application's log.
logging.getLogger("mail.log").propagate = False


@dataclass(frozen=True)
class Delivery:
    """A mail as it arrived: envelope, message, and the client's encryption and login."""

    envelope: Envelope
    message: EmailMessage
    is_encrypted: bool
    user: str | None

    @property
    def text(self) -> str:
        """Return the part in plain text."""
        return self._part("plain")

    @property
    def html(self) -> str:
        """Return the part in HTML."""
        return self._part("html")

    def _part(self, kind: str) -> str:
        part = self.message.get_body((kind,))
        assert part is not None, f"the mail has no part in {kind}"
        text: str = part.get_content()
        return text.replace("\r\n", "\n")

    @property
    def recipients(self) -> list[str]:
        return self.envelope.rcpt_tos


class MailServer:
    """Accepts every mail, and keeps it until the test reads it.

    While `may_answer` is not set, every delivery hangs after its data. While `loses_replies` is
    true, a mail is accepted, and the connection ends before the client knows.
    """

    def __init__(self) -> None:
        self.port = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.begun = asyncio.Event()
        self.deliveries_under_way = 0
        self.refusal: str | None = None
        self.recipient_refusal: str | None = None
        self.loses_replies = False
        self.is_slow_at_quit = False
        self._deliveries: asyncio.Queue[Delivery] = asyncio.Queue()

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    async def next(self) -> Delivery:
        """Wait for the oldest unread mail and return it."""
        async with asyncio.timeout(LIMIT_SECONDS):
            return await self._deliveries.get()

    async def next_to(self, recipient: str) -> Delivery:
        """Wait for the oldest unread mail to this recipient; mails to others are discarded."""
        while (found := await self.next()).recipients != [recipient]:
            pass
        return found

    @property
    def waiting(self) -> int:
        """Return the number of unread mails."""
        return self._deliveries.qsize()

    # The name is aiosmtpd's.
    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.recipient_refusal is not None:
            return self.recipient_refusal
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    # The name is aiosmtpd's.
    async def handle_QUIT(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.is_slow_at_quit:
            await asyncio.sleep(LIMIT_SECONDS)
        return "221 Bye"

    # The name is aiosmtpd's.
    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.begun.set()
        self.deliveries_under_way += 1
        await self.may_answer.wait()
        self.deliveries_under_way -= 1
        if self.refusal is not None:
            return self.refusal
        content = envelope.original_content or b""
        message = message_from_bytes(content, _class=EmailMessage, policy=policy.SMTPUTF8)
        login: object = session.auth_data
        user = login.login.decode() if isinstance(login, LoginPassword) else None
        delivery = Delivery(envelope, message, session.ssl is not None, user)
        self._deliveries.put_nowait(delivery)
        if self.loses_replies:
            # aiosmtpd's annotation is the base of the event loop's transports.
            cast("asyncio.Transport", server.transport).abort()
        return "250 OK"


@asynccontextmanager
async def mail_server(
    *,
    tls: ssl.SSLContext | None = None,
    implicit_tls: bool = False,
    login: tuple[str, str] | None = None,
    **options: Any,
) -> AsyncIterator[MailServer]:
    """Run a server that offers STARTTLS or implicit TLS if `tls` is given, and requires `login`."""
    found = MailServer()

    def authenticate(*arguments: Any) -> AuthResult:
        data = arguments[-1]
        assert isinstance(data, LoginPassword)
        known = login is not None and (data.login.decode(), data.password.decode()) == login
        return AuthResult(success=known, handled=False, auth_data=data)

    def connect() -> SMTP:
        return SMTP(
            found,
            hostname="mail.example.com",
            enable_SMTPUTF8=True,
            tls_context=None if implicit_tls else tls,
            auth_required=login is not None,
            authenticator=authenticate if login else None,
            loop=asyncio.get_running_loop(),
            **options,
        )

    server = await asyncio.get_running_loop().create_server(
        connect, "127.0.0.1", 0, ssl=tls if implicit_tls else None
    )
    async with server:
        found.port = server.sockets[0].getsockname()[1]
        yield found
        found.may_answer.set()
        server.close()
