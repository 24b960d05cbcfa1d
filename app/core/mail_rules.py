"""What settings of mail must look like, and what production needs before it sends any."""

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from email_validator import EmailNotValidError, validate_email
from pydantic import SecretStr

if TYPE_CHECKING:
    from app.core.config import Settings

SMTP_SCHEMES: Final = {"smtp", "smtps"}
# Something is appended to it, so: no query, no fragment, and nothing that ends a line of the mail.
_BASE_URL: Final = re.compile(r"https?://[^\s/?#@\\]+(/[^\s?#\\]*)?", re.ASCII)


def check_smtp_url(value: SecretStr) -> SecretStr:
    """Raises `ValueError` for what is no `smtp://` or `smtps://` URL of a host."""
    try:
        url = urlsplit(value.get_secret_value())
        url.port  # noqa: B018  # raises for what is no port
    except ValueError:
        # Our own words: the library's quote what it took for the port, maybe a password.
        raise ValueError("not an SMTP URL") from None
    if url.scheme not in SMTP_SCHEMES or not url.hostname or url.path.strip("/") or url.query:
        raise ValueError("needs the form smtp://user:pass@host:587 or smtps://user:pass@host:465")
    if (url.username is None) != (url.password is None):
        raise ValueError("needs a user and a password, or neither")
    return value


def check_mail_from(value: str) -> str:
    """Raises `ValueError` for what is no bare address."""
    try:
        return validate_email(value, check_deliverability=False).normalized
    except EmailNotValidError:
        raise ValueError("needs an email address, as in no-reply@example.com") from None


def check_public_url(value: str) -> str:
    """The URL without a slash at its end. Raises `ValueError` for what no path can follow."""
    if not _BASE_URL.fullmatch(value):
        raise ValueError("needs the form https://app.example.com, with a path or without")
    return value.rstrip("/")


def mail_faults(settings: "Settings") -> list[str]:
    """One sentence for each reason why production could not mail links, if it has to."""
    if not settings.REGISTRATION_BY_MAIL:
        return []
    faults = []
    if settings.SMTP_URL is None:
        faults.append("SMTP_URL is not set, and REGISTRATION_BY_MAIL sends mails.")
    if "MAIL_FROM" not in settings.model_fields_set:
        faults.append("MAIL_FROM is not set, and REGISTRATION_BY_MAIL sends mails.")
    if "PUBLIC_URL" not in settings.model_fields_set:
        faults.append("PUBLIC_URL is not set, and links in mails start with it.")
    elif not settings.PUBLIC_URL.startswith("https://"):
        faults.append("PUBLIC_URL must be https in production: links in mails hold tokens.")
    return faults
