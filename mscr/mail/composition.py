"""A mail as servers know it (RFC 5322). Loaded only where there is one to hand it to."""

from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid

from email_validator import validate_email

from app.mail.message import Mail


def compose(mail: Mail, sender: str) -> EmailMessage:
    """The message, from a sender that is `deliverable`.

    Raises `ValueError` for what would add lines to its headers.
    """
    message = EmailMessage(policy=SMTP)
    message["From"] = _header_address(sender)
    message["To"] = _header_address(deliverable(mail.recipient))
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
    # RFC 3834 §5: no automatic replies to what no person has written.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    return message


def deliverable(address: str) -> str:
    """With the domain in ASCII (RFC 5891), and all of it where possible.

    Where it is not, the server must know SMTPUTF8. Raises `ValueError` for what is no address.
    """
    local, _, _ = address.rpartition("@")
    found = validate_email(address, check_deliverability=False)
    return found.ascii_email or f"{local}@{found.ascii_domain}"


def _header_address(address: str) -> Address:
    # By its parts: as a whole it would have to be ASCII.
    local, _, domain = address.rpartition("@")
    return Address(username=local, domain=domain)
