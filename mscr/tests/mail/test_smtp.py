"""SMTP: encryption, server certificates and header injection."""

import socket
import ssl
from pathlib import Path
from typing import Any

import aiosmtplib
import pytest

from mscr.mail.composition import compose
from mscr.mail.message import Mail, MailRefusedError
from mscr.mail.smtp_mailer import SmtpMailer
from mscr.testing.certificates import server_context, write_certificate
from mscr.testing.mail_server import mail_server

HOST = "mail.example.com"
SENDER = "no-reply@example.com"
MAIL = Mail("ada@example.com", "Hello", "A line\n")
LOGIN = ("app@example.com", "p@ss:wörd/?#")
IN_URL = "app%40example.com:p%40ss%3Aw%C3%B6rd%2F%3F%23@"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return write_certificate(tmp_path / "server.pem", HOST)


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    return server_context(certificate)


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resolve the server's name to loopback: it is not among the exempt names of loopback."""
    resolve = socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        return resolve(
            "127.0.0.1" if host in {HOST, "other.example.com"} else host, *arguments, **options
        )

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.fixture
def trusted(certificate: Path, named: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust the server's certificate system-wide, by OpenSSL's environment variable."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))


@pytest.mark.usefixtures("trusted")
async def test_the_password_and_the_mail_are_encrypted_by_starttls(tls: ssl.SSLContext) -> None:
    async with mail_server(tls=tls, login=LOGIN) as server:
        mailer = SmtpMailer(f"smtp://{IN_URL}{HOST}:{server.port}", sender=SENDER)
        await mailer.send(MAIL, mail_id="1")
        mail = await server.next()

    assert (mail.user, mail.is_encrypted) == (LOGIN[0], True)


@pytest.mark.usefixtures("trusted")
async def test_smtps_is_encrypted_from_the_start(tls: ssl.SSLContext) -> None:
    async with mail_server(tls=tls, implicit_tls=True) as server:
        await SmtpMailer(f"smtps://{HOST}:{server.port}", sender=SENDER).send(MAIL, mail_id="1")
        assert (await server.next()).recipients == [MAIL.recipient]


@pytest.mark.usefixtures("named")
async def test_a_server_that_offers_no_starttls_gets_nothing() -> None:
    """A man in the middle may have stripped the offer of STARTTLS (downgrade attack)."""
    async with mail_server() as server:
        mailer = SmtpMailer(f"smtp://{HOST}:{server.port}", sender=SENDER)
        with pytest.raises(aiosmtplib.SMTPException, match="STARTTLS"):
            await mailer.send(MAIL, mail_id="1")
        assert server.waiting == 0


@pytest.mark.usefixtures("named")
async def test_a_server_with_an_untrusted_certificate_gets_nothing(tls: ssl.SSLContext) -> None:
    async with mail_server(tls=tls) as server:
        mailer = SmtpMailer(f"smtp://{HOST}:{server.port}", sender=SENDER)
        with pytest.raises(ssl.SSLCertVerificationError):
            await mailer.send(MAIL, mail_id="1")
        assert server.waiting == 0


@pytest.mark.usefixtures("trusted")
async def test_a_server_with_a_certificate_for_another_name_gets_nothing(
    tls: ssl.SSLContext,
) -> None:
    async with mail_server(tls=tls) as server:
        mailer = SmtpMailer(f"smtp://other.example.com:{server.port}", sender=SENDER)
        with pytest.raises(ssl.SSLCertVerificationError):
            await mailer.send(MAIL, mail_id="1")
        assert server.waiting == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_loopback_needs_no_encryption(host: str) -> None:
    async with mail_server() as server:
        await SmtpMailer(f"smtp://{host}:{server.port}", sender=SENDER).send(MAIL, mail_id="1")
        mail = await server.next()

    assert not mail.is_encrypted


async def test_a_mail_that_cannot_be_composed_is_refused_for_good() -> None:
    async with mail_server() as server:
        mailer = SmtpMailer(f"smtp://127.0.0.1:{server.port}", sender=SENDER)
        with pytest.raises(MailRefusedError):
            await mailer.send(Mail("no address", "Hello", "A line\n"), mail_id="1")

    assert server.waiting == 0


@pytest.mark.parametrize("header", ["recipient", "subject"])
@pytest.mark.parametrize("ending", ["\r\n", "\n", "\r"])
def test_header_injection_is_refused(header: str, ending: str) -> None:
    added = f"{ending}Bcc: eve@example.com"
    values = {"recipient": MAIL.recipient, "subject": MAIL.subject, "text": MAIL.text}
    values[header] += added

    with pytest.raises(ValueError, match=r".+"):
        compose(Mail(**values), SENDER, mail_id="1")


def test_the_repr_of_a_mail_reveals_nothing() -> None:
    """ER3: not in logs or tracebacks."""
    assert str(MAIL) == repr(MAIL) == "<Mail>"
