"""Tokens of mailed links: random, and stored only as a digest."""

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Final

# 256 bits. Nobody can guess such a token, so that one fast hash is enough (ASVS v6.5.2 asks for
# 112 bits): a slow one would only let garbage load the server.
TOKEN_BYTES: Final = 32
DIGEST_LENGTH: Final = 32


@dataclass(frozen=True, slots=True)
class MailedToken:
    """The token, which only the mail has, and its digest, which the database has."""

    token: str = field(repr=False)
    digest: bytes


def new_mailed_token() -> MailedToken:
    token = secrets.token_urlsafe(TOKEN_BYTES)
    return MailedToken(token, digest_of(token))


def digest_of(token: str) -> bytes:
    """Return the digest of the token's text: another spelling in base64 is another token."""
    return hashlib.sha256(token.encode()).digest()
