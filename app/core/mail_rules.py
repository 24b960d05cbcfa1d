"""What settings of mail must look like, and what production needs before it sends any."""

import re
from typing import TYPE_CHECKING, Final

from email_validator import EmailNotValidError, validate_email
from pydantic import SecretStr

from app.core.server_urls.parts import MAX_PORT
from app.core.server_urls.smtp import read_smtp_url

if TYPE_CHECKING:
    from app.core.config import Settings

# Something is appended to it, so: no query, no fragment, and nothing that ends a line of the mail.
_BASE_URL: Final = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<rest>(?:[^\s/?#@\\:\[\]]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?(?:/[^\s?#\\]*)?)",
    re.ASCII | re.IGNORECASE,
)


def check_smtp_url(value: SecretStr) -> SecretStr:
    """Raises `ValueError` for anything but an `smtp://` or `smtps://` URL of a host."""
    return SecretStr(read_smtp_url(value.get_secret_value()))


def check_mail_from(value: str) -> str:
    """Raises `ValueError` for anything but a bare address."""
    if "<" in value:
        raise ValueError("needs the address alone, as in no-reply@example.com: no name, no <>")
    try:
        return validate_email(value, check_deliverability=False).normalized
    except EmailNotValidError as error:
        # In brackets the library quotes parts of the address.
        reason = str(error).partition(" (")[0].rstrip(".")
        raise ValueError(
            f"needs an email address, as in no-reply@example.com; {reason[:1].lower()}{reason[1:]}"
        ) from None


def check_public_url(value: str) -> str:
    """Return the URL without a slash at its end. Raises `ValueError` for one no path can follow."""
    found = _BASE_URL.fullmatch(value)
    if found is None:
        form = "needs the form https://app.example.com, with a path or without"
        raise ValueError(f"{form}: no user, no query, no fragment, no spaces")
    if not 1 <= int(found["port"] or 1) <= MAX_PORT:
        raise ValueError(f"the port must be from 1 to {MAX_PORT}")
    return f"{found['scheme'].lower()}://{found['rest']}".rstrip("/")


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
