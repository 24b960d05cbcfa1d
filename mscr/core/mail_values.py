"""Validators of single mail settings."""

import re
from typing import Final

from email_validator import EmailNotValidError, validate_email
from pydantic import SecretStr

from mscr.connections.urls.parts import MAX_PORT
from mscr.connections.urls.smtp import read_smtp_url

# A path is appended: so no query, no fragment, and no character that ends a line of the mail.
_BASE_URL: Final = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<rest>(?:[^\s/?#@\\:\[\]]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?(?:/[^\s?#\\]*)?)",
    re.ASCII | re.IGNORECASE,
)


def check_smtp_url(value: SecretStr) -> SecretStr:
    """Raise `ValueError` unless the value is an `smtp://` or `smtps://` URL of a host."""
    return SecretStr(read_smtp_url(value.get_secret_value()))


def check_mail_from(value: str) -> str:
    """Raise `ValueError` unless the value is a bare email address."""
    if "<" in value:
        raise ValueError("needs a bare address, as in no-reply@example.com, without a name or <>")
    try:
        return validate_email(value, check_deliverability=False).normalized
    except EmailNotValidError as error:
        # The library quotes parts of the address in parentheses.
        reason = str(error).partition(" (")[0].rstrip(".")
        raise ValueError(
            f"needs an email address, as in no-reply@example.com; {reason[:1].lower()}{reason[1:]}"
        ) from None


def check_public_url(value: str) -> str:
    """Return the URL without a trailing slash. Raise `ValueError` if no path can follow it."""
    found = _BASE_URL.fullmatch(value)
    if found is None:
        form = "needs the form https://app.example.com, with a path or without"
        raise ValueError(f"{form}: no user, no query, no fragment, no spaces")
    if not 1 <= int(found["port"] or 1) <= MAX_PORT:
        raise ValueError(f"the port must be from 1 to {MAX_PORT}")
    return f"{found['scheme'].lower()}://{found['rest']}".rstrip("/")
