"""Compose mails in the format of mail servers (RFC 5322). Loaded only if one is configured."""

from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from email_validator import validate_email

from mscr.mail.message import Mail


def compose(mail: Mail, sender: str, *, mail_id: str) -> EmailMessage:
    """Return the message. `sender` comes from `deliverable`, `mail_id` is unique.

    Raises `ValueError` for line breaks, which would allow header injection.
    """
    message = EmailMessage(policy=SMTP)
    message["From"] = _header_address(sender)
    message["To"] = _header_address(deliverable(mail.recipient))
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(datetime.now(UTC))
    # The same at every attempt: receivers deduplicate by it (RFC 5322 §3.6.4).
    message["Message-ID"] = f"<{mail_id}@{sender.rpartition('@')[2]}>"
    # RFC 3834 §5: prevents automatic replies.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    if mail.html is not None:
        # The last part is the preferred one (RFC 2046 §5.1.4).
        message.add_alternative(mail.html, subtype="html")
    return message


def deliverable(address: str) -> str:
    """Return the address in ASCII if possible, otherwise with its domain in ASCII (RFC 5891).

    A local part with other characters needs a server with SMTPUTF8. Raises `ValueError` for an
    invalid address.
    """
    local, _, _ = address.rpartition("@")
    found = validate_email(address, check_deliverability=False)
    return found.ascii_email or f"{local}@{found.ascii_domain}"


def _header_address(address: str) -> Address:
    # In two parts: as a whole, the address would have to be ASCII.
    local, _, domain = address.rpartition("@")
    return Address(username=local, domain=domain)
