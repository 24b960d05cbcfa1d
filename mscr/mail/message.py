"""A mail as services know it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mail:
    """Plain text to one person. Left out of every repr, as it may hold a link that acts."""

    recipient: str
    subject: str
    text: str

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"
