"""A mail, as services create it."""

from dataclasses import dataclass


class MailNotConfiguredError(Exception):
    """Production has no SMTP_URL. A mail waits until it has: its links must not be logged."""


class MailRefusedError(Exception):
    """The mail server refuses this mail for good: another attempt cannot help."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail to one person. Its repr hides the text, which may contain a link with a token."""

    recipient: str
    subject: str
    text: str
    html: str | None = None
    """The same words as HTML: mail programs show one of the two."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"
