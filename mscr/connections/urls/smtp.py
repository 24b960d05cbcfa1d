"""The URL of a mail server."""

from typing import Final

from mscr.connections.urls.parts import (
    AddressError,
    credentials_text,
    host_text,
    refused_option,
    split_url,
)

SCHEMES: Final = ("smtp", "smtps")
FORM: Final = "smtp://user:pass@host:587 or smtps://user:pass@host:465"


def read_smtp_url(text: str) -> str:
    """Return the URL with user and password percent-encoded.

    Raises `AddressError`: one line with the remedy, without any value of the URL.
    """
    parts = split_url(text, form=FORM)
    names = [name for name, _ in parts.options]
    if parts.scheme not in SCHEMES:
        raise AddressError(f"it needs the form {FORM}")
    if len(parts.hosts) != 1 or not parts.hosts[0][0]:
        raise AddressError(f"it needs one host; the form is {FORM}")
    if names:
        raise refused_option(names[0], names, "unknown option; remove it")
    if parts.path.strip("/"):
        raise AddressError(f"it must end after the port; the form is {FORM}")
    if (parts.user is None) != (parts.password is None):
        raise AddressError("it needs a user and a password, or neither")
    credentials = credentials_text(parts.user, parts.password)
    return f"{parts.scheme}://{credentials}{host_text(*parts.hosts[0])}"
